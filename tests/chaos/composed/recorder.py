"""Records what is stored in the streams, live and at the end, over a connection that no fault touches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

from orastream.contract import codec, subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, unpack
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from tests.chaos.composed.history import Frame, History, Key, ReportSeen, StoredAudio, digest
from tests.chaos.composed.wire import BridgeTap
from tests.support.tcp_proxy import Connection, TcpProxy

TICK_S = 0.02
LATE_S = 0.05
STALL_TAIL_S = 1.0


class Recorder:
    """Follows the reports, and knows which requests are final."""

    def __init__(self, js: JetStream, history: History) -> None:
        self._js = js
        self._history = history
        self._final: dict[Key, asyncio.Event] = {}

    def final(self, key: Key) -> asyncio.Event:
        """Set once a final report of that request was seen."""
        return self._final.setdefault(key, asyncio.Event())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Record inside the context."""
        tasks = [asyncio.create_task(self._reports()), asyncio.create_task(self._lags())]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _reports(self) -> None:
        changed = asyncio.Event()
        async with Feed(self._js, "TTS_REPORTS", "tts.report.>", wake=changed.set) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    report = report_of(message)
                    self._history.reports.append(report)
                    if report.final:
                        self.final(report.key).set()
                await changed.wait()

    async def _lags(self) -> None:
        """Notice how late this process is: its times are late by as much."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            if (late := loop.time() - due) > LATE_S:
                self._history.lags.append((time.time(), late))


def report_of(message: Stored) -> ReportSeen:
    """The report in a stored message."""
    body = codec.decode(message.data)
    return ReportSeen(str(body["sessionId"]), str(body["requestId"]), message.sequence, message.time_s, dict(body))


async def read_all(js: JetStream, stream: str, subject: str) -> list[Stored]:
    """All stored messages of a subject, confirmed by the stream's leader."""
    found: list[Stored] = []
    tries = 0
    while True:
        after = found[-1].sequence if found else 0
        try:
            page = await js.read(stream, subject, after, batch=256, max_bytes=8 << 20, timeout_s=10)
            if not page:
                message = await js.after(stream, subject, after)
                if message is None:
                    return found
                page = [message]
        except NodeUnavailable:
            tries += 1
            if tries > 5:
                raise
            continue
        found += page


async def record_end(js: JetStream, history: History) -> None:
    """Read the reports and the audio that are stored at the end."""
    history.last_reports = [report_of(message) for message in await read_all(js, "TTS_REPORTS", "tts.report.>")]
    by_token = {
        (subjects.token(request.session), subjects.token(request.request)): request for request in history.requests
    }
    reports = sorted([*history.reports, *history.last_reports], key=lambda report: -report.seq)
    seqs = {report.key: int(report.body["requestSeq"]) for report in reports}
    by_subject: dict[str, list[Stored]] = {}
    for message in await read_all(js, "TTS_AUDIO", "tts.audio.>"):
        by_subject.setdefault(message.subject, []).append(message)
    for subject, messages in by_subject.items():
        _, _, session, token = subject.split(".")
        request = by_token.get((session, token))
        if request is not None:
            history.audio[request.key] = assembled(messages, seqs.get(request.key) or request.seq or 0)


def assembled(messages: list[Stored], request_seq: int) -> StoredAudio:
    """Put stored audio together by the rules of docs/reference/audio-and-reports.md, not by the node's code."""
    attempt: int | None = None
    held: dict[int, AudioChunk] = {}
    out: list[tuple[int, str]] = []
    end: AudioEnd | None = None
    starts = 0
    others: set[int] = set()
    spoken_by_others: set[int] = set()
    finished: str | None = None
    for message in messages:
        part = unpack(message.data)
        if isinstance(part, AudioStart):
            if part.request_seq != request_seq:
                others.add(message.sequence)
            elif finished is None:
                attempt, held, end, starts = message.sequence, {}, None, starts + 1
        elif isinstance(part, AudioChunk) and part.attempt in others:
            spoken_by_others.add(part.attempt)
        elif finished is not None:
            continue
        elif isinstance(part, AudioChunk) and part.attempt == attempt:
            if part.index >= len(out):
                held[part.index] = part
            while (chunk := held.pop(len(out), None)) is not None:
                out.append((len(chunk.audio), digest(chunk.audio)))
        elif isinstance(part, AudioEnd) and part.attempt == attempt:
            end = part
        if end is not None and (end.status != "complete" or len(out) == end.total_chunks):
            finished = end.status
    return StoredAudio(out, finished, starts, len(spoken_by_others))


def read_frames(path: Path, proxies: dict[str, TcpProxy]) -> list[Frame]:
    """The frames in OraServer's log, each with the time at which it left its bridge, from the proxies."""
    by_port: dict[int, list[tuple[str, Connection]]] = {}
    for name, proxy in proxies.items():
        for connection in proxy.connections:
            by_port.setdefault(connection.local_port, []).append((name, connection))
    frames: list[Frame] = []
    posts: dict[tuple[int, int], Frame] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off by `kill -9`
        if entry["kind"] == "answer":
            if (post := posts.get((entry["port"], entry["n"]))) is not None:
                post.status = entry["status"]
            continue
        bridge, connection = _connection(by_port.get(entry["port"], []), entry["at"])
        times = connection.tap.times if connection is not None and isinstance(connection.tap, BridgeTap) else []
        sent_at = min(times[entry["n"]], entry["at"]) if entry["n"] < len(times) else entry["at"]
        frame = Frame(
            entry["s"],
            entry["r"],
            entry["kind"],
            entry["i"],
            entry["size"],
            entry["digest"],
            sent_at,
            entry["at"],
            bridge,
            id(connection) if connection is not None else 0,
            entry["kept"],
            held_up=connection is not None
            and any(begin <= sent_at <= (end or sent_at) + STALL_TAIL_S for begin, end in connection.stalls),
        )
        frames.append(frame)
        if frame.kind == "post":
            posts[entry["port"], entry["n"]] = frame
    return frames


def _connection(candidates: list[tuple[str, Connection]], at: float) -> tuple[str, Connection | None]:
    """The connection with that port at that time: the youngest that was open before."""
    for name, connection in reversed(sorted(candidates, key=lambda candidate: candidate[1].opened_at)):
        if connection.opened_at <= at:
            return name, connection
    return "?", None
