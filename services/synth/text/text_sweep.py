"""Deletes pieces of text that nobody will read, or that keep others out. Rules: `text_fate.py`.

Every synth sweeps, and they need not agree: each deletion is a purge, which may be repeated. What the rules need is in
the server's index of subjects, so a sweep reads no text, except to measure one that may be too large.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable

import structlog

from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, OrastreamError, PublishRefused
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.contract.text_pieces import STALLED
from orastream.jetstream import management
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import next_request
from orastream.jetstream.stream_limits import STREAM_MAX_BYTES
from orastream.jetstream.tally import subject_counts
from services.synth.text.text_fate import Ages, Fate, fate, is_pressed, orphan_age_s, too_large_bytes

LOOK_EVERY_S = 5.0
"""Interval of looks at the size of the stream: one call."""
SWEEP_EVERY_S = 30.0
"""Interval of sweeps. While the stream is pressed, each look is a sweep."""
MAX_TEXTS = 200_000
"""Texts of one sweep, so that the list of a flood does not fill this process. The next sweep has the next ones."""
MAX_SINGLE_LISTS = 256
"""With more sessions than this, the reports of all sessions are listed at once."""
READ_BYTES, PRESSED_READ_BYTES = 4 << 20, 64 << 20
"""Bytes of the stream that a sweep reads to find pieces under unusable subjects."""
CALLS = 8
"""Sessions that are looked at, and texts that are deleted, at the same time."""
BULK = 1_000
"""From so many texts without a request on, what is older than every other text is deleted by one call."""

log = structlog.get_logger()

Counts = dict[str, int]
"""Number of stored messages by subject."""


class TextSweep:
    """`await run()` sweeps until cancelled. Not thread-safe."""

    def __init__(self, js: JetStream, reports: ReportStore) -> None:
        self._js = js
        self._reports = reports
        self._ages = Ages()
        self._unusable = 0
        """Pieces under subjects that no filter can name: as a filter, a token `*` would delete the texts of others."""
        self._read_to = 0
        """The sequence up to which such pieces were looked for."""
        self._clock = asyncio.get_running_loop().time
        self._sweep_at = self._clock() + SWEEP_EVERY_S

    async def run(self) -> None:
        """Look every LOOK_EVERY_S seconds. While NATS does not answer, pieces stay until a later sweep."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except (NodeUnavailable, PublishRefused) as exc:
                log.debug("pieces of text stay for now", error=str(exc))
            except Exception:  # noqa: BLE001 - without later sweeps a flood would keep other texts out
                log.exception("a sweep of the texts failed")

    async def look(self) -> int:
        """Sweep if it is time. Return the number of deleted pieces. Raises NodeUnavailable."""
        answer = await management.stream_info(self._js, self._js.names.texts_stream)
        state = management.checked(self._js.names.texts_stream, answer, "state", "config")["state"]
        now = self._clock()
        self._ages.note(now, int(state["last_seq"]))
        limit, largest = (int(answer["config"].get(key, -1)) for key in ("max_bytes", "max_msg_size"))
        limit = limit if limit > 0 else STREAM_MAX_BYTES  # a server without room for the limit has none
        pressed = is_pressed(int(state["bytes"]), limit)
        if not state["messages"] or not (pressed or now >= self._sweep_at):
            return 0
        self._sweep_at = now + SWEEP_EVERY_S
        fates, counts, complete = await self._fates()
        deleted = await self._delete(_of(fates, Fate.LATE))
        deleted += await self._delete_orphans(fates, self._ages.old_seq(now, orphan_age_s(pressed=pressed)), complete)
        if self._unusable:
            # Where the server stores a piece whose token is `*` or `>` alone: its subject transform leaves it out.
            not_transformed = self._js.names.text("*", "*")
            deleted += await self._js.purge(self._js.names.texts_stream, not_transformed)
            deleted += await self._delete_unusable(PRESSED_READ_BYTES if pressed else READ_BYTES)
        if pressed:
            kept = {subject: counts[subject] for subject in _of(fates, Fate.KEEP)}
            deleted += await self._delete_too_large(kept, largest, too_large_bytes(limit))
        if deleted:
            log.info("pieces of text deleted", pieces=deleted, pressed=pressed)
        return deleted

    # ---- judging

    async def _fates(self) -> tuple[dict[str, Fate], Counts, bool]:
        """The fate of each text, the number of its pieces, and whether these are all texts of the stream."""
        counts, complete = await subject_counts(self._js, self._js.names.texts_stream, ">", most=MAX_TEXTS)
        self._unusable = 0
        fates: dict[str, Fate] = {}
        of_session: dict[str, list[str]] = defaultdict(list)
        for subject in counts:
            if _is_usable(subject):
                session, token = _tokens(subject)
                of_session[session].append(token)
            else:
                self._unusable += counts[subject]
        waiting = await self._sessions_with_requests()
        reported: dict[str, set[str]] | None = None
        if len(of_session) > MAX_SINGLE_LISTS:
            reported = _by_session(await self._listed(self._js.names.reports("*")))

        async def judge(session: str) -> None:
            known = (await self._reported(session)) if reported is None else reported.get(session, set())
            final: dict[str, bool] = {}
            for token in of_session[session]:
                # What is stored under a report's subject may be no report: then it says nothing about the request.
                if token in known and (state := await self._reports.read(session, token)) is not None:
                    final[token] = state.report.final
            ask = session in waiting and len(final) < len(of_session[session])
            requested = await self._requested(session) if ask else set()
            for token in of_session[session]:
                of = fate(final=final.get(token), requested=token in requested)
                fates[self._js.names.script(session, token)] = of

        await _each(of_session, judge)
        return fates, counts, complete

    async def _sessions_with_requests(self) -> Collection[str]:
        events = await self._listed(self._js.names.session_events("*"), self._js.names.sessions_stream)
        return _by_session(subject for subject in events if not subjects.is_cancel(subject)).keys()

    async def _reported(self, session: str) -> set[str]:
        return _by_session(await self._listed(self._js.names.reports(session))).get(session, set())

    async def _listed(self, subject: str, stream: str | None = None) -> Counts:
        counts, _ = await subject_counts(self._js, stream or self._js.names.reports_stream, subject)
        return counts

    async def _requested(self, session: str) -> set[str]:
        """The tokens of the session's stored requests, as the stream's leader has them."""
        tokens, after = set(), 0
        while message := await next_request(self._js, session, after):
            after = message.sequence
            stored = read_message(
                message, self._js.names, max_text_chars=0
            )  # only the id counts, not whether the text is valid
            if isinstance(stored, StoredRequest):
                tokens.add(stored.token)
        return tokens

    # ---- deleting

    async def _delete(self, texts: Iterable[str], below: int | None = None) -> int:
        """Delete the pieces of these texts, or those with a sequence under `below`. Return how many."""
        deleted = 0

        async def delete(subject: str) -> None:
            nonlocal deleted
            removed = await self._js.purge(self._js.names.texts_stream, subject, below=below)
            deleted += removed

        await _each(texts, delete)
        return deleted

    async def _delete_orphans(self, fates: dict[str, Fate], old_seq: int, complete: bool) -> int:
        """Delete the pieces up to `old_seq` of texts without a request."""
        orphans, kept = _of(fates, Fate.ORPHAN), _of(fates, Fate.KEEP)
        if not orphans or not old_seq:
            return 0
        deleted = 0
        if complete and len(orphans) >= BULK and len(kept) <= BULK:
            firsts = [await self._js.after(self._js.names.texts_stream, subject, 0) for subject in kept]
            below = min([old_seq + 1, *(first.sequence for first in firsts if first is not None)])
            deleted = await self._js.purge(self._js.names.texts_stream, below=below)
            if below > old_seq:
                return deleted
        return deleted + await self._delete(orphans, old_seq + 1)

    async def _delete_too_large(self, counts: Counts, largest: int, most: int) -> int:
        """Delete the texts that hold more than `most` bytes, and end them as stalled."""
        deleted = 0
        for subject, pieces in counts.items():
            may_be = largest <= 0 or pieces * largest > most
            if may_be and await self._holds_more(subject, most):
                session, token = _tokens(subject)
                deleted += await self._delete([subject])
                await self._js.store(self._js.names.text(session, token), STALLED)
                log.warning("a text that filled the stream of texts was deleted", session=session, request=token)
        return deleted

    async def _delete_unusable(self, most: int) -> int:
        """Delete the pieces under unusable subjects one by one. Reads the next `most` bytes of the stream for it."""
        sequences: list[str] = []
        read = 0
        while read < most:
            page = await self._js.read(
                self._js.names.texts_stream, self._js.names.script("*", "*"), self._read_to, batch=256
            )
            sequences += [str(one.sequence) for one in page if not _is_usable(one.subject)]
            read += sum(message.size for message in page)
            self._read_to = page[-1].sequence if page else 0
            if not page:
                break

        async def delete(sequence: str) -> None:
            await self._js.delete(self._js.names.texts_stream, int(sequence))

        await _each(sequences, delete)
        return len(sequences)

    async def _holds_more(self, subject: str, most: int) -> bool:
        held, after = 0, 0
        while held <= most and (page := await self._js.read(self._js.names.texts_stream, subject, after, batch=256)):
            after = page[-1].sequence
            held += sum(message.size for message in page)
        return held > most


def _tokens(subject: str) -> tuple[str, str]:
    """The tokens of session and request in a stored subject: its last two."""
    _, session, token = subject.rsplit(".", 2)
    return session, token


def _is_usable(subject: str) -> bool:
    return all(map(subjects.usable, _tokens(subject)))


def _of(fates: dict[str, Fate], wanted: Fate) -> list[str]:
    return [subject for subject, of in fates.items() if of is wanted]


def _by_session(counts: Iterable[str]) -> dict[str, set[str]]:
    """The last tokens of subjects `<…>.<session>.<token>`, by session."""
    tokens: dict[str, set[str]] = defaultdict(set)
    for subject in counts:
        session, token = _tokens(subject)
        tokens[session].add(token)
    return tokens


async def _each(items: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do `work` for each item, for CALLS of them at the same time. Raises the first error; others are cancelled."""
    left = iter(items)

    async def some() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLS):
                group.create_task(some())
    except* OrastreamError as errors:
        raise errors.exceptions[0] from None
