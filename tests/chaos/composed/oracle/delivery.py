"""Rules on audio: what OraServer gets, what is stored, and what reports say of both."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.composed.history import WAV_HEADER_BYTES, Frame, ReportSeen, Request, StoredAudio, Violation, digest
from tests.chaos.composed.oracle.facts import LOSS_AFTER_S, Facts, broken
from tests.support.names import NAMES

EARLY_S = 0.0
"""By how much a frame may be received after the report that counts it as delivered."""


def post_of(facts: Facts, request: Request) -> bytes:
    """The file as a POST has it: a WAV with its true sizes."""
    file = facts.reference(request.text, request.format)
    if request.format == "wav":
        sizes = (len(file) - 8).to_bytes(4, "little"), (len(file) - WAV_HEADER_BYTES).to_bytes(4, "little")
        file = file[:4] + sizes[0] + file[8:40] + sizes[1] + file[44:]
    return file


def sends_the_right_bytes(facts: Facts, request: Request) -> Iterator[Violation]:
    """Every chunk that OraServer has read is the right part of the file, and a repeat equals the first."""
    frames = facts.frames.get(request.key, [])
    sizes: dict[int, tuple[int, str]] = {}
    audio_lost = facts.lost(request, NAMES.audio_stream)
    for frame in frames:
        if frame.kind != "chunk":
            continue
        first = sizes.setdefault(frame.index, (frame.size, frame.digest))
        if first != (frame.size, frame.digest):
            if not audio_lost:
                yield broken("a repeat differs", request, f"chunk {frame.index}: {first} and {frame.size}")
            return
    wrong = _wrong_chunk(facts, request, [sizes[index] for index in sorted(sizes)], sorted(sizes))
    if wrong is not None and not audio_lost:
        yield broken("wrong bytes were sent", request, wrong)
    for frame in frames:
        if frame.kind == "post":
            file = post_of(facts, request)
            if (frame.size, frame.digest) != (len(file), digest(file)):
                yield broken("wrong bytes were sent", request, f"a POST of {frame.size} of {len(file)} bytes")
                return


def _wrong_chunk(facts: Facts, request: Request, chunks: list[tuple[int, str]], indexes: list[int]) -> str | None:
    file, at = facts.reference(request.text, request.format), 0
    for position, ((size, name), index) in enumerate(zip(chunks, indexes, strict=True)):
        if index != position:
            return f"chunk {position} is missing, {index} is there"
        if digest(file[at : at + size]) != name:
            return f"chunk {index} of {size} bytes at byte {at} is not the engine's"
        at += size
    return None


def _first_received(frames: list[Frame]) -> dict[int, tuple[float, int]]:
    """Of each chunk: when OraServer had it first, and its size."""
    found: dict[int, tuple[float, int]] = {}
    for frame in sorted(frames, key=lambda frame: frame.received_at):
        if frame.kind == "chunk":
            found.setdefault(frame.index, (frame.received_at, frame.size))
    return found


def receives_all_before_it_is_delivered(facts: Facts, request: Request) -> Iterator[Violation]:
    """`delivered` means that OraServer has the whole file, and has had it before the report was stored."""
    final = facts.final(request)
    if final is None or final.status != "delivered" or request.transport == "none":
        return
    frames = facts.frames.get(request.key, [])
    if request.transport == "http":
        taken = [f.received_at for f in frames if f.kind == "post" and f.status is not None and f.status < 300]
        if not taken:
            yield broken("delivered, but not received", request, "no POST with an answer 2xx")
            return
        had_all_at = min(taken)
    else:
        chunks = _first_received(frames)
        whole = len(facts.reference(request.text, request.format))
        size = sum(size for _, size in chunks.values())
        if size != whole or sorted(chunks) != list(range(len(chunks))):
            detail = f"{size} of {whole} bytes, chunks {sorted(chunks)}"
            yield broken("delivered, but not received", request, detail)
            return
        complete = [f.received_at for f in frames if f.kind == "complete" and f.index == len(chunks)]
        if not complete:
            yield broken("delivered, but not received", request, "no `complete`")
            return
        had_all_at = max(min(complete), *(at for at, _ in chunks.values()))
    early_s = had_all_at - final.stored_at
    if early_s > EARLY_S:
        yield broken("delivered before it was received", request, f"{early_s:.3f} s before")


def stores_all(facts: Facts, request: Request) -> Iterator[Violation]:
    """The stored audio of a delivered request is the whole file."""
    final = facts.final(request)
    if final is None or final.status != "delivered" or _audio_was_lost(facts, request):
        return
    stored = facts.history.audio.get(request.key, StoredAudio([], None))
    wrong = _wrong_chunk(facts, request, stored.chunks, list(range(len(stored.chunks))))
    whole, size = len(facts.reference(request.text, request.format)), sum(size for size, _ in stored.chunks)
    if wrong is None and (size != whole or stored.end != "complete"):
        wrong = f"{size} of {whole} bytes, end {stored.end}"
    if wrong is not None:
        yield broken("stored audio differs", request, wrong)


def _audio_was_lost(facts: Facts, request: Request) -> bool:
    return any(loss.ended + LOSS_AFTER_S >= request.sent_at for loss in facts.losses(NAMES.audio_stream))


def is_spoken_once(facts: Facts, request: Request) -> Iterator[Violation]:
    """A repeated `requestId` is not spoken again."""
    stored = facts.history.audio.get(request.key)
    reports = facts.reports.get(request.key, [])
    if facts.lost(request, NAMES.reports_stream, NAMES.sessions_stream) or (
        len(reports) > 1 and facts.forgotten(reports[0], reports[-1])
    ):
        return
    if stored is not None and stored.other_attempts:
        yield broken("spoken twice", request, f"{stored.other_attempts} attempts of a request with the same id")
    seqs = {int(report.body["requestSeq"]) for report in reports}
    may_be = {request.seq, *request.repeats}
    if len(seqs) > 1 or (not may_be & {None, 0} and not seqs <= may_be):
        yield broken("a report of another request", request, f"reports of {sorted(seqs)}, stored as {request.seq}")


def reports_true_numbers(facts: Facts, request: Request) -> Iterator[Violation]:
    """A chunk that a report counts was received before; an owner's numbers do not fall; the totals are the file's."""
    received = _first_received(facts.frames.get(request.key, [])) if request.transport == "websocket" else {}
    last: ReportSeen | None = None
    for report in facts.reports.get(request.key, []):
        count, epoch = int(report.body.get("deliveredChunks") or 0), int(report.body.get("epoch") or 0)
        if last is not None and not facts.forgotten(last, report):
            before = int(last.body.get("deliveredChunks") or 0), int(last.body.get("epoch") or 0)
            # A bridge of the other transport may end a request as not delivered: its epochs are others.
            fell = epoch < before[1] and (not report.final or report.status == "delivered")
            # A new owner overwrites what the old one has stored meanwhile, and repeats those chunks.
            if fell or (epoch == before[1] and count < before[0]):
                detail = f"chunks {before[0]} → {count}, epoch {before[1]} → {epoch}, at {report.seq}"
                yield broken("numbers of a report fall", request, detail)
                return
        last = report
        if request.transport == "websocket":
            missing = [i for i in range(count) if i not in received or received[i][0] > report.stored_at + EARLY_S]
            if missing:
                detail = f"{report.status} with {count} chunks, {missing[:8]} of them not received by then"
                yield broken("counted before it was received", request, detail)
                return
            size = sum(received[index][1] for index in range(count))
            if report.body.get("bytes") != size:
                yield broken(
                    "wrong numbers", request, f"{count} chunks of {report.body.get('bytes')}, not {size} bytes"
                )
                return
    final = facts.final(request)
    if final is not None and final.status == "delivered":
        yield from _totals(facts, request, final.body, len(received))


def _totals(facts: Facts, request: Request, body: dict[str, object], chunks: int) -> Iterator[Violation]:
    if request.transport != "websocket":
        stored = facts.history.audio.get(request.key)
        chunks = len(stored.chunks) if stored is not None else 0
    size = len(facts.reference(request.text, request.format))
    numbers = body.get("deliveredChunks"), body.get("totalChunks"), body.get("bytes")
    if (request.transport != "websocket" and _audio_was_lost(facts, request)) or facts.lost(
        request, NAMES.reports_stream
    ):
        chunks = int(str(numbers[0]))  # spoken again, with other borders of chunks
    if numbers != (chunks, chunks, size):
        detail = f"{numbers[0]} of {numbers[1]} chunks, {numbers[2]} bytes; the file has {chunks} and {size}"
        yield broken("wrong numbers", request, detail)


RULES = (
    sends_the_right_bytes,
    receives_all_before_it_is_delivered,
    stores_all,
    is_spoken_once,
    reports_true_numbers,
)
