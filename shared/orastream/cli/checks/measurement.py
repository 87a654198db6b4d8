"""Measures single utterances and summarises them, for `bench` and `demo`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rich.console import Console, RenderableType
from rich.table import Table

from orastream.cli import terminal
from orastream.cli.checks.texts import SampleText
from orastream.cli.terminal import percentile
from orastream.client.async_client import Client
from orastream.contract.errors import OrastreamError
from orastream.contract.messages import Report, Transport


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to use the node: a transport, and whether the caller waits."""

    name: str
    short: str
    """The name in a narrow table."""
    token: str
    transport: Transport
    fire_and_forget: bool


HTTP = Mode("HTTP", "HTTP", "http", "http", fire_and_forget=False)
FORGET = Mode("WebSocket, fire and forget", "WS, forget", "ws-forget", "websocket", fire_and_forget=True)
SYNC = Mode("WebSocket, sync", "WS, sync", "ws-sync", "websocket", fire_and_forget=False)
MODES = (HTTP, FORGET, SYNC)

COLUMNS = (
    "mode",
    ">delivered",
    ">first audio",
    ">transfer",
    ">caller waits",
    ">RTF",
    ">ran dry",
    ">chunks",
    ">reconnects",
)
DROPPED_WHEN_NARROW = (">chunks", ">RTF", ">ran dry", ">reconnects")
"""Columns that are left out on a narrow terminal, in this order."""
UNBOUNDED = 1_000
NO_CAPTION: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one utterance. `report` is the final report, `problem` the reason why there is none."""

    mode: Mode
    text: SampleText
    session_id: str
    request_id: str
    returned_ms: float
    """Time until the call returned: with the acceptance in fire and forget, with the final report in sync."""
    report: Report | None
    problem: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the report's status is `delivered`."""
        return self.report is not None and self.report.status == "delivered"

    @property
    def outcome(self) -> str:
        """The status and the error as a text for users."""
        if self.report is None:
            return self.problem or "no report"
        error = self.report.error
        return self.report.status if error is None else f"{self.report.status}: {error.code}, {error.message}"


async def speak(
    client: Client, mode: Mode, text: SampleText, *, session_id: str, request_id: str, wait_s: float
) -> Measurement:
    """Speak a text in a mode and wait for its final report, at most `wait_s` seconds.

    Does not raise OrastreamError: its message is the `problem` of the result.
    """
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
        return Measurement(mode, text, session_id, request_id, returned_ms, None, str(exc))
    return Measurement(mode, text, session_id, request_id, returned_ms, report)


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of the measurements of one mode. Times in milliseconds are of delivered utterances; None without any."""

    count: int
    delivered: int
    first_audio_p50_ms: float | None
    first_audio_p95_ms: float | None
    transfer_p50_ms: float | None
    transfer_p95_ms: float | None
    returned_p50_ms: float | None
    returned_p95_ms: float | None
    rtf_p50: float | None
    rtf_p95: float | None
    underrun_p50_ms: float | None
    underrun_p95_ms: float | None
    underruns: int
    """Utterances with at least one underrun."""
    chunks: int
    reconnects: int


def summarise(trials: Sequence[Measurement]) -> Summary:
    """The summary of these measurements."""
    reports = [trial.report for trial in trials if trial.report is not None and trial.delivered]
    first = [report.first_audio_ms for report in reports if report.first_audio_ms is not None]
    transfer = [report.transfer_ms for report in reports if report.transfer_ms is not None]
    rtf = [report.rtf for report in reports if report.rtf is not None]
    underrun = [report.underrun_ms for report in reports]
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
        rtf_p50=percentile(rtf, 0.5),
        rtf_p95=percentile(rtf, 0.95),
        underrun_p50_ms=percentile(underrun, 0.5),
        underrun_p95_ms=percentile(underrun, 0.95),
        underruns=sum(report.underruns > 0 for report in reports),
        chunks=sum(report.delivered_chunks for report in reports),
        reconnects=sum(trial.report.reconnects for trial in trials if trial.report is not None),
    )


def comparison(
    trials: Sequence[Measurement], *, title: str, to: Console, caption: Mapping[str, str] = NO_CAPTION
) -> Table:
    """The comparison table: a line per measured mode, in the order of MODES.

    If the console `to` is too narrow, the modes get short names and columns are left out, so that no word is cut.
    `caption` explains columns by name; explanations of columns that are left out are not shown.
    """
    made = _table(trials, COLUMNS, title, caption, short=False)
    for left_out in range(len(DROPPED_WHEN_NARROW) + 1):
        if to.measure(made, options=to.options.update(width=UNBOUNDED)).maximum <= to.width:
            break
        columns = [column for column in COLUMNS if column not in DROPPED_WHEN_NARROW[:left_out]]
        made = _table(trials, columns, title, caption, short=True)
    return made


def _table(
    trials: Sequence[Measurement], columns: Sequence[str], title: str, caption: Mapping[str, str], *, short: bool
) -> Table:
    explained = [f"{name}: {meaning}" for name, meaning in caption.items() if f">{name}" in columns]
    under = "; ".join(["times: p50 / p95 in ms", *explained])
    made = terminal.table(*columns, title=terminal.words(title), caption=terminal.words(under))
    for mode in MODES:
        of_mode = [trial for trial in trials if trial.mode is mode]
        if not of_mode:
            continue
        summary = summarise(of_mode)
        colour = "green" if summary.delivered == summary.count else "red"
        cells: dict[str, RenderableType] = {
            "mode": mode.short if short else mode.name,
            ">delivered": terminal.words(
                (f"{100 * summary.delivered / summary.count:.0f} % of {summary.count}", colour)
            ),
            ">first audio": _two(summary.first_audio_p50_ms, summary.first_audio_p95_ms),
            ">transfer": _two(summary.transfer_p50_ms, summary.transfer_p95_ms),
            ">caller waits": _two(summary.returned_p50_ms, summary.returned_p95_ms),
            ">RTF": f"{_ratio(summary.rtf_p50)} / {_ratio(summary.rtf_p95)}",
            ">ran dry": _dry(summary),
            ">chunks": str(summary.chunks),
            ">reconnects": str(summary.reconnects),
        }
        made.add_row(*(cells[column] for column in columns))
    return made


def _two(p50_ms: float | None, p95_ms: float | None) -> str:
    return f"{_short(p50_ms)} / {_short(p95_ms)}"


def _short(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _dry(summary: Summary) -> str:
    """The number of utterances with underruns, and the times of the underruns; `0` when there are none."""
    if not summary.underruns:
        return "0"
    return f"{summary.underruns}: {_two(summary.underrun_p50_ms, summary.underrun_p95_ms)}"
