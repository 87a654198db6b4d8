"""Text normalization: numbers, units, dates, addresses and signs become the words that a speaker says. Pure.

The result of `read_out` depends only on the sentence and its language, so every attempt at a request gives the engine
the same words. Korean and English; text in other languages goes to the engine as it is.
"""

from services.synth.reading.reader import counts, read_out, say_as

__all__ = ["counts", "read_out", "say_as"]
