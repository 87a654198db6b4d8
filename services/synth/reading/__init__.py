"""Text normalization: numbers, units, dates, addresses and signs become the words that a speaker says. Pure.

`read_with_places` also keeps from where in the sentence each word comes. The result depends only on the sentence and
its language, so every attempt at a request gives the engine the same words. Korean and English; text in other languages
goes to the engine as it is.
"""

from services.synth.reading.edited_text import Edit, EditedText
from services.synth.reading.reader import counts, read_out, read_with_places, say_as
from services.synth.reading.tags import is_silent

__all__ = ["Edit", "EditedText", "counts", "is_silent", "read_out", "read_with_places", "say_as"]
