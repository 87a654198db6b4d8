"""One utterance through the node, timed, and what a number of them come to: for `bench` and the demonstration."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from orastream.cli import terminal
from orastream.cli.terminal import percentile
from orastream.cli.texts import Text
from orastream.client import Client
from orastream.errors import OrastreamError
from orastream.messages import Report, Transport


@dataclass(frozen=True, slots=True)
class Mode:
    """One of the node's ways to be used."""

    name: str
    token: str
    transport: Transport
    fire_and_forget: bool


HTTP = Mode("HTTP", "http", "http", fire_and_forget=False)
FORGET = Mode("WebSocket, fire and forget", "ws-forget", "websocket", fire_and_forget=True)
SYNC = Mode("WebSocket, sync", "ws-sync", "websocket", fire_and_forget=False)
MODES = (HTTP, FORGET, SYNC)


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened to one utterance; `report` is its final report, `problem` why there is none."""

    mode: Mode
    text: Text
    session_id: str
    request_id: str
    returned_ms: float
    """When the caller could go on: the acceptance in fire and forget, the final report in sync."""
    report: Report | None
    problem: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether OraServer has all of it."""
        return self.report is not None and self.report.status == "delivered"

    @property
    def outcome(self) -> str:
        """In words, for whoever reads why it failed."""
        if self.report is None:
            return self.problem or "no report"
        error = self.report.error
        return self.report.status if error is None else f"{self.report.status}: {error.code}, {error.message}"


async def speak(client: Client, mode: Mode, text: Text, *, session_id: str, request_id: str, wait_s: float) -> Trial:
    """Say a text in a mode and wait for its final report. Does not raise: what went wrong is in the trial."""
    began = time.perf_counter()
    returned_ms = 0.0
    try:
        answer = await client.say(
            text.text,
            session_id=session_id,
            phone_id=session_id,
            request_id=request_id,
            transport=mode.transport,
            fire_and_forget=mode.fire_and_forget,
            wait_s=wait_s,
            language=text.language,
        )
        returned_ms = (time.perf_counter() - began) * 1000
        report = answer if isinstance(answer, Report) else await client.wait(session_id, request_id, wait_s)
    except OrastreamError as exc:
        return Trial(mode, text, session_id, request_id, returned_ms, None, str(exc))
    return Trial(mode, text, session_id, request_id, returned_ms, report)


@dataclass(frozen=True, slots=True)
class Summary:
    """What trials of one mode come to; times in milliseconds, of the delivered ones, None when there is none."""

    count: int
    delivered: int
    first_audio_p50_ms: float | None
    first_audio_p95_ms: float | None
    transfer_p50_ms: float | None
    transfer_p95_ms: float | None
    returned_p50_ms: float | None
    returned_p95_ms: float | None
    chunks: int
    reconnects: int


def summarise(trials: Sequence[Trial]) -> Summary:
    """The summary of some trials."""
    reports = [trial.report for trial in trials if trial.report is not None and trial.delivered]
    first = [report.first_audio_ms for report in reports if report.first_audio_ms is not None]
    transfer = [report.transfer_ms for report in reports if report.transfer_ms is not None]
    returned = [trial.returned_ms for trial in trials if trial.delivered]
    return Summary(
        count=len(trials),
        delivered=len(reports),
        first_audio_p50_ms=percentile(first, 0.5),
        first_audio_p95_ms=percentile(first, 0.95),
        transfer_p50_ms=percentile(transfer, 0.5),
        transfer_p95_ms=percentile(transfer, 0.95),
        returned_p50_ms=percentile(returned, 0.5),
        returned_p95_ms=percentile(returned, 0.95),
        chunks=sum(report.delivered_chunks for report in reports),
        reconnects=sum(trial.report.reconnects for trial in trials if trial.report is not None),
    )


def comparison(trials: Sequence[Trial], *, title: str, caption: str | None = None) -> Table:
    """The comparison table: a line per mode that was tried, in the order of MODES."""
    made = terminal.table(
        "mode",
        ">delivered",
        ">first audio",
        ">transfer",
        ">caller waits",
        ">chunks",
        ">reconnects",
        title=title,
        caption="times: p50 / p95 in ms" + ("; " + caption if caption else ""),
    )
    for mode in MODES:
        of_mode = [trial for trial in trials if trial.mode is mode]
        if not of_mode:
            continue
        summary = summarise(of_mode)
        colour = "green" if summary.delivered == summary.count else "red"
        made.add_row(
            mode.name,
            f"[{colour}]{100 * summary.delivered / summary.count:.0f} % of {summary.count}[/]",
            _two(summary.first_audio_p50_ms, summary.first_audio_p95_ms),
            _two(summary.transfer_p50_ms, summary.transfer_p95_ms),
            _two(summary.returned_p50_ms, summary.returned_p95_ms),
            str(summary.chunks),
            str(summary.reconnects),
        )
    return made


def _two(p50_ms: float | None, p95_ms: float | None) -> str:
    return f"{_short(p50_ms)} / {_short(p95_ms)}"


def _short(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"
