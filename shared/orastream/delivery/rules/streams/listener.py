"""How much audio a listener has. Pure; monotonic seconds.

The owner of a session keeps it as long as it owns the session, so that a broken connection does not change what the
bridge believes. A later owner begins with a new one: it does not know what was played meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Share:
    """What of one utterance was sent, from the byte `first` to `past`. It is played between two times."""

    seq: int
    first: int
    past: int
    begins_at: float
    ends_at: float
    sent_until: float
    """`ends_at`, if OraServer has everything that was sent."""

    def end_with(self, upto: int) -> float:
        """When it would end with the bytes before `upto` alone, of those that were sent."""
        if self.past <= self.first:
            return self.sent_until
        part = min(max(upto - self.first, 0) / (self.past - self.first), 1.0)
        return self.begins_at + (self.sent_until - self.begins_at) * part


class Listener:
    """The listener of one session: one utterance after the other, without a gap if audio is there."""

    __slots__ = ("_dry_at", "_shares")

    def __init__(self) -> None:
        self._dry_at = 0.0
        self._shares: list[_Share] = []
        """By sequence. Each one begins when the one before it ends."""

    def lead_s(self, now: float) -> float:
        """Seconds of audio that were sent and that the listener has not played, as far as the bridge knows."""
        return max(self._dry_at - now, 0.0)

    def comes_down_to(self, lead_s: float) -> float:
        """The time at which the lead is `lead_s`, if nothing more is sent."""
        return self._dry_at - lead_s

    def rest_s(self, seq: int, now: float) -> float:
        """Seconds of what was sent of this utterance that are not played, as far as the bridge knows."""
        share = self._find(seq)[1]
        return 0.0 if share is None else min(max(share.ends_at - now, 0.0), share.ends_at - share.begins_at)

    def ends_at(self, seq: int) -> float:
        """When what was sent of this utterance is played; minus infinity if it is played, as far as is known."""
        share = self._find(seq)[1]
        return float("-inf") if share is None else share.ends_at

    def sent(self, seq: int, first: int, past: int, audio_s: float, now: float) -> None:
        """New audio of an utterance was sent: the bytes from `first` to `past`, which play for `audio_s` seconds.

        It is assumed that they are played as soon as the listener has them.
        """
        if self._dry_at <= now:
            self._shares.clear()
        at, share = self._find(seq)
        if share is None:
            while at > 1 and self._shares[0].ends_at <= now:  # played; a session may speak for days without a pause
                del self._shares[0]
                at -= 1
            begins_at = self._shares[at - 1].ends_at if at else max(self._dry_at, now)
            share = _Share(seq, first, first, begins_at, begins_at, begins_at)
            self._shares.insert(at, share)
        self._set_end(at, share.ends_at + audio_s)
        share.past, share.sent_until = past, share.ends_at

    def sent_earlier(self, seq: int, past: int, audio_s: float, began_at: float) -> None:
        """An earlier owner had sent the utterance up to the byte `past`: `audio_s` seconds, which began at `began_at`.

        Nothing changes if something of it is known here.
        """
        if audio_s > 0 and self._find(seq)[1] is None:
            self.sent(seq, 0, past, audio_s, began_at)

    def hold(self, seq: int, until: float) -> None:
        """An utterance and later ones begin at `until` or later: earlier owners have sent what plays until then."""
        at = self._find(seq)[0]
        if at == len(self._shares):
            self._dry_at = max(self._dry_at, until)
        elif (late_s := until - self._shares[at].begins_at) > 0:
            self._shares[at].begins_at += late_s
            self._shares[at].sent_until += late_s
            self._set_end(at, self._shares[at].ends_at + late_s)

    def stored(self, seq: int, upto: int) -> None:
        """OraServer has the utterance up to this byte. What was sent above it is sent again, and then counts again.

        A later call may give a higher byte: then audio had arrived whose ack was lost.
        """
        at, share = self._find(seq)
        if share is not None:
            self._set_end(at, share.end_with(upto))

    def sent_before(self, seq: int, upto: int) -> None:
        """An earlier owner had sent the bytes before `upto`: nobody knows how much of them was played."""
        at, share = self._find(seq)
        if share is not None:
            self._set_end(at, share.ends_at - (share.end_with(upto) - share.begins_at))
            share.first, share.sent_until = min(max(share.first, upto), share.past), share.ends_at

    def played(self, seq: int, past: int, rest_s: float, now: float, *, begun: bool = True) -> None:
        """OraServer has reported: of an utterance, sent up to the byte `past`, `rest_s` seconds are not played.

        `begun`: it has played some of it, and so has played all lower utterances.
        """
        if begun:
            self._shares = [share for share in self._shares if share.seq >= seq]
        at, share = self._find(seq)
        rest_begins_at = max(self._shares[at - 1].ends_at, now) if at else now
        if share is None:
            share = _Share(seq, past, past, rest_begins_at, rest_begins_at, rest_begins_at)
            self._shares.insert(at, share)
        length_s, rest_s = share.ends_at - share.begins_at, max(rest_s, 0.0)
        share.past = past
        if rest_s > length_s > 0:  # it has begun later than was believed, or an earlier owner has sent more
            share.first = max(share.past - round((share.past - share.first) * rest_s / length_s), 0)
        self._set_end(at, rest_begins_at + rest_s)
        share.begins_at = share.ends_at - max(length_s, rest_s)
        share.sent_until = share.ends_at

    def cancelled(self, now: float, *, before: int | None = None, seq: int | None = None) -> None:
        """What it had of the utterances below `before`, or of `seq`, was dropped. What it has of others stays."""
        for at in range(len(self._shares) - 1, -1, -1):
            share = self._shares[at]
            if share.seq == seq or (before is not None and share.seq < before):
                self._set_end(at, min(share.ends_at, max(share.begins_at, now)))
                del self._shares[at]
        if not self._shares:
            self._dry_at = min(self._dry_at, now)

    def _find(self, seq: int) -> tuple[int, _Share | None]:
        """The place of an utterance in the order, and its share if it has one."""
        at = len(self._shares)
        while at and self._shares[at - 1].seq >= seq:  # nearly always the last one
            at -= 1
        share = self._shares[at] if at < len(self._shares) else None
        return at, share if share is not None and share.seq == seq else None

    def _set_end(self, at: int, ends_at: float) -> None:
        """The share at this place ends then, and all that follow it are played that much earlier or later."""
        later = ends_at - self._shares[at].ends_at
        self._shares[at].ends_at = ends_at
        for share in self._shares[at + 1 :]:
            share.begins_at += later
            share.ends_at += later
            share.sent_until += later
        self._dry_at = self._shares[-1].ends_at
