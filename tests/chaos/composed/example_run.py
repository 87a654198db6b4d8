"""Builds histories as an undisturbed node would leave them, for tests of the oracle."""

from __future__ import annotations

from tests.chaos.composed.history import (
    CancelSent,
    Disturbance,
    Frame,
    History,
    ReportSeen,
    Request,
    StoredAudio,
    Violation,
    digest,
)
from tests.chaos.composed.oracle import judge

SIZE = 100


def reference(text: str, fmt: str) -> bytes:
    """An engine: a file of four to seven chunks."""
    return (f"{text} {fmt} ".encode() * 80)[: SIZE * (4 + len(text) % 4)]


def parts(text: str, fmt: str = "wav") -> list[bytes]:
    file = reference(text, fmt)
    return [file[at : at + SIZE] for at in range(0, len(file), SIZE)]


class Run:
    """Builds a history as an undisturbed node would leave it."""

    def __init__(self) -> None:
        self.history = History(0.0, settled_at=1000.0)
        self.now = 10.0
        self.seq = 100

    def tick(self, seconds: float = 0.1) -> float:
        self.now = round(self.now + seconds, 6)
        return self.now

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def ask(self, name: str, session: str = "s", transport: str = "websocket") -> Request:
        request = Request(session, name, transport, "wav", f"text {name}", self.now, self.next_seq(), self.tick(0.01))
        self.history.requests.append(request)
        return request

    def report(self, request: Request, status: str, **fields: object) -> ReportSeen:
        body = {"status": status, "requestSeq": request.seq, "error": None, **self.numbers(request, status), **fields}
        report = ReportSeen(request.session, request.request, self.next_seq(), self.tick(), body)
        self.history.reports.append(report)
        return report

    def numbers(self, request: Request, status: str) -> dict[str, object]:
        """What an honest report counts: all that was sent, if it was delivered, else nothing."""
        if status != "delivered":
            return {"deliveredChunks": 0, "totalChunks": None, "bytes": 0, "epoch": 0}
        pieces = parts(request.text)
        return {"deliveredChunks": len(pieces), "totalChunks": len(pieces), "bytes": sum(map(len, pieces)), "epoch": 0}

    def fault(self, kind: str, target: str, seconds: float, **more: object) -> Disturbance:
        """A fault that begins now. The time goes on to its end."""
        began = self.now
        disturbance = Disturbance(kind, target, began, self.tick(seconds))
        for field, value in more.items():
            setattr(disturbance, field, value)
        self.history.disturbances.append(disturbance)
        return disturbance

    def violations(self) -> set[str]:
        """The names of the rules that are broken."""
        return {violation.rule for violation in self.judge()}

    def frame(self, request: Request, kind: str, index: int, audio: bytes = b"", **more: object) -> Frame:
        at = self.tick()
        name = digest(audio) if audio else ""
        frame = Frame(request.session, request.request, kind, index, len(audio), name, at, at, "ws_bridge-1", 1)
        for field, value in more.items():
            setattr(frame, field, value)
        self.history.frames.append(frame)
        return frame

    def speak(self, request: Request, chunks: int | None = None) -> None:
        """Send the first chunks; None: all and `complete`."""
        pieces = parts(request.text)
        self.history.audio[request.key] = StoredAudio([(len(p), digest(p)) for p in pieces], "complete", 1)
        if request.transport == "http":
            file = reference(request.text, "wav")
            sizes = (len(file) - 8).to_bytes(4, "little"), (len(file) - 44).to_bytes(4, "little")
            self.frame(request, "post", 0, file[:4] + sizes[0] + file[8:40] + sizes[1] + file[44:], status=200)
        elif request.transport == "websocket":
            for index, piece in enumerate(pieces[:chunks]):
                self.frame(request, "chunk", index, piece)
            if chunks is None:
                self.frame(request, "complete", len(pieces))

    def deliver(self, name: str, session: str = "s", transport: str = "websocket") -> Request:
        request = self.ask(name, session, transport)
        self.speak(request)
        self.report(request, "delivered")
        return request

    def cancel(self, session: str = "s", request: str | None = None) -> CancelSent:
        cancel = CancelSent(session, request, self.now, self.next_seq(), self.tick(0.01))
        self.history.cancels.append(cancel)
        return cancel

    def judge(self) -> list[Violation]:
        return judge(self.history, reference)


def an_honest_run() -> Run:
    run = Run()
    run.deliver("a")
    run.deliver("b", transport="http")
    run.deliver("c", transport="none")
    spoken = run.ask("d")
    run.speak(spoken, 2)
    waiting = run.ask("e")
    run.cancel()
    run.report(spoken, "cancelled")
    run.report(waiting, "cancelled")
    run.deliver("f")
    run.deliver("g", session="other")
    return run


def request_of(run: Run, name: str) -> Request:
    """The request with that id."""
    return next(request for request in run.history.requests if request.request == name)
