"""Where the audio of an utterance goes on over a resuming link (protocol v2): OraServer says it for each link. Pure.

Offsets are bytes of the utterance's file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart


class OpenState(Enum):
    """Whether the present link knows where the audio goes on."""

    NOT_NEEDED = "the link does not resume: the audio goes on behind the confirmed chunks"
    DUE = "OraServer must be asked before the first write"
    ASKED = "OraServer was asked"
    OPEN = "OraServer has answered"


@dataclass(slots=True)
class Resuming:
    """What OraServer has of one utterance, and which chunks were read up to where."""

    most: int
    """The most bytes that OraServer has said to have."""
    state: OpenState = field(init=False, default=OpenState.NOT_NEEDED)
    passed: int = field(init=False, default=0)
    """The end of the last chunk that was read and is not queued, or not any more."""
    asked_before: bool = field(init=False, default=False)
    """Whether OraServer was asked over this or an earlier link."""
    _upto: int | None = field(init=False, default=None)
    """What OraServer has, as it said over the present link; None if it has said nothing."""
    _sentence: SentenceStart | None = field(init=False, default=None)
    """The last sentence that began in a chunk that was read and is not queued any more."""
    _again: bool = field(init=False, default=False)
    """Whether OraServer may not know that sentence: nothing was written over the present link since it began."""

    @property
    def resumes(self) -> bool:
        """Whether the link resumes, or did, if it is down."""
        return self.state is not OpenState.NOT_NEEDED

    @property
    def opens(self) -> bool:
        """Whether nothing may be written before OraServer's answer."""
        return self.state in (OpenState.DUE, OpenState.ASKED)

    def link_up(self, *, resumes: bool) -> None:
        """A new link is up. `resumes`: OraServer says over it where the audio goes on."""
        self.state, self._again = OpenState.DUE if resumes else OpenState.NOT_NEEDED, True

    def link_lost(self) -> None:
        """The link is down: what OraServer said over it counts no more."""
        self._upto = None

    def asked(self) -> None:
        """OraServer is asked now."""
        self.state, self.asked_before = OpenState.ASKED, True

    def answered(self, upto: int) -> bool:
        """OraServer has the first `upto` bytes. Returns whether that is more than ever before."""
        self.state, self._upto = OpenState.OPEN, upto
        more, self.most = upto > self.most, max(upto, self.most)
        return more

    def has(self, end: int) -> bool | None:
        """Whether OraServer has all bytes before `end`, as it said over the present link; None if it said nothing."""
        return None if self._upto is None else end <= self._upto

    def passes(self, chunk: AudioChunk, end: int) -> None:
        """The chunk was read and is not queued, because OraServer has it. It ends at `end`."""
        self.passed, self._again = end, True
        self._sentence = chunk.sentences[-1] if chunk.sentences else self._sentence

    def writes(self, chunk: AudioChunk) -> SentenceStart | None:
        """The chunk leaves the queue. Returns the sentence that began before it, if it is to be sent with the chunk.

        It is if OraServer may not know it, or if words of it end in the chunk.
        """
        self.passed = (chunk.offset or 0) + len(chunk.audio)
        began, again, self._again = self._sentence, self._again, False
        if chunk.sentences:
            self._sentence = chunk.sentences[-1]
            if began is not None and chunk.sentences[0].number <= began.number:
                return None  # it begins again, by an attempt that cannot continue exactly
        if began is None or again:
            return began
        return began if chunk.words and any(word.sentence == began.number for word in chunk.words) else None

    def start_over(self) -> None:
        """The audio is read again from its beginning."""
        self.passed, self._sentence = 0, None
