"""The entries of `GET /received` for the utterances of protocol v2. Pure."""

from __future__ import annotations

from collections.abc import Callable

from services.oraserver.frames import EndedStatus
from services.oraserver.listing import Listing, ReceivedSentence, ReceivedStream, violation_counts
from services.oraserver.v2.store import Store
from services.oraserver.v2.utterance import StreamedUtterance


def selected_streams(store: Store, session_id: str | None) -> list[StreamedUtterance]:
    """The utterances of the session; all when it is None."""
    return [u for u in store.utterances.values() if session_id is None or u.begun.session == session_id]


def with_streams(
    listing: Listing, store: Store, session_id: str | None, file_name: Callable[[int], str], digests: dict[int, str]
) -> Listing:
    """The listing with the utterances of v2, in the order of the first audio or `open`."""
    chosen = selected_streams(store, session_id)
    loose = [v for name, v in store.connection_violations.items() if session_id is None or name == session_id]
    if not chosen and not loose:
        return listing
    streams = [received_stream(u, file_name(u.number), digests.get(u.number, "")) for u in chosen]
    counts = sum(u.violations.total for u in chosen) + sum(v.total for v in loose)
    return listing.model_copy(
        update={
            "utterances": sorted([*listing.utterances, *streams], key=lambda one: one.first_chunk_at),
            "violations": listing.violations + counts,
            "connection_violations": [
                *listing.connection_violations,
                *(count for v in loose for count in violation_counts(v)),
            ],
        }
    )


def received_stream(utterance: StreamedUtterance, file: str, sha256: str) -> ReceivedStream:
    """The entry of an utterance."""
    begun, end, final = utterance.begun, utterance.end, utterance.final
    sentences = [utterance.sentences[n] for n in sorted(utterance.sentences)]
    complete = end is not None and end.status == "complete" and utterance.upto == end.size
    ended: EndedStatus | None = None
    if utterance.cancelled:
        ended = "cancelled"
    elif end is not None and end.status == "failed":
        ended = "failed"
    return ReceivedStream(
        session_id=begun.session,
        phone_id=begun.phone,
        request_id=begun.request,
        transport="websocket",
        chunks=utterance.frames,
        repeats=utterance.repeats,
        bytes=utterance.stored.total - utterance.holes.total,
        complete=complete,
        file=file,
        sha256=sha256,
        text=" ".join(one.text for one in sentences),
        texts=[one.text for one in sentences],
        engine=begun.engine,
        language=begun.language,
        first_chunk_at=begun.at,
        completed_at=final.at if final is not None and complete else None,
        ended=ended,
        sample_rate=begun.rate,
        connections=len(utterance.connections),
        violations=violation_counts(utterance.violations),
        protocol="v2",
        node=begun.node,
        seq=begun.seq,
        format=begun.format,
        channels=begun.channels,
        state="unfinished" if final is None else final.state,
        upto=utterance.upto,
        size=utterance.size,
        given=utterance.given,
        skipped=utterance.holes.total,
        retransmitted_bytes=utterance.again_bytes,
        duplicate_bytes=utterance.duplicate_bytes,
        opens=utterance.opens,
        breaks=max(utterance.opens - 1, 0),
        connection_numbers=utterance.connections,
        code=None if end is None else end.code,
        played_ms=utterance.played_ms,
        play_ended=utterance.play_ended,
        sentences=[
            ReceivedSentence(
                n=one.n,
                ms=one.ms,
                text=one.text,
                from_=one.first,
                to=one.past,
                words=None if one.words is None else list(one.words),
            )
            for one in sentences
        ],
    )
