"""Text as it is written, in the words that a speaker says: numbers, units, dates, addresses, signs. Pure.

`read_out` is a function of one sentence and its language alone, so every attempt at a request gives the engine the
same words. Korean and English; any other language is left to its engine.
"""

from services.synth.reading.reader import counts, read_out, say_as

__all__ = ["counts", "read_out", "say_as"]
