"""eSpeak NG from the wheel `espeakng-loader`: Korean, English and about 130 other languages, without a model.

The only file that imports espeakng_loader or calls its C API (espeak-ng/speak_lib.h, 1.52). 22 050 Hz, first audio
after about 1 ms, a real-time factor of 0.003.

The library keeps state, such as the phase of its pitch flutter, in static variables. Neither a new voice nor
`espeak_Terminate` resets them, so the same text would sound a little different each time. Therefore each sentence uses
a newly loaded image of the library (1 ms, after the sentence before) with a fixed random seed. Then the same text gives
the same bytes in every call and process. If the loader cannot unload an image (musl), `deterministic` is False.

A sentence in which the language changes (Korean with a Latin word) leaks about 0.2 MiB: `espeak_Terminate` does not
free the dictionary of the second language, and no exported function does. `max_growth_mb` bounds this.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib.metadata
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import espeakng_loader

from services.synth.engines.base import EngineError, SpokenWord, UnknownVoice, Voice
from services.synth.engines.composed import Composed
from services.synth.engines.espeak_events import Events, EventStruct, about_text
from services.synth.engines.espeak_words import EspeakEvent, WordedAudio
from services.synth.engines.gather import Gathering
from services.synth.engines.phonemes import has_phonemes, in_brackets

NORMAL_WPM = 175
"""espeak's rate at speed 1.0, in words a minute."""

_AUDIO_OUTPUT_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_BUFFER_MS = 20
_CHARS_UTF8, _END_PAUSE = 1, 0x1000  # END_PAUSE: without it there is no pause between two sentences
_PHONEMES = 0x100  # what stands in [[ ]] is phonemes; without it, eSpeak reads such text like any other
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1
_LONGEST_DATA_PATH = 120  # bytes; espeak_Initialize fails for a length somewhere above 150
_ALIASES = {"zh": "cmn", "no": "nb", "iw": "he", "in": "id"}

_ON_AUDIO = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(EventStruct))


class _VoiceStruct(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Image:
    """One loaded and initialised image of the library. Use it for one sentence, then `close` it."""

    def __init__(self, library: str, data: Path) -> None:
        try:
            self._lib = ctypes.CDLL(library)
        except OSError as exc:
            raise EngineError(f"espeak: its library cannot be loaded: {exc}") from exc
        self._path = library
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
        # The library reports an unusable data path only by a rate of 0 or -1; it would then speak silence.
        self.rate_hz: int = self._lib.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, os.fsencode(data), _DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise EngineError(f"espeak: its data in {data} cannot be used; reinstall espeakng-loader")
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self.voice: str | None = None
        """The voice that is loaded. An image loads one voice: a second one would leave traces of the first."""

    def identifiers(self) -> list[str]:
        """Returns the voice files below `lang/`, like `gmw/en-US`."""
        voices, found, index = self._lib.espeak_ListVoices(None), [], 0
        while voices[index]:
            found.append(voices[index].contents.identifier.decode())
            index += 1
        return found

    def load_voice(self, voice: str) -> None:
        """Loads the voice. Raises EngineError."""
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EngineError(f"espeak: its voice {voice} cannot be loaded; reinstall espeakng-loader")
        self.voice = voice

    def speak(
        self, wpm: int, text: str, on_audio: Callable[[bytes, list[EspeakEvent]], bool], *, phonemes: bool
    ) -> None:
        """Calls `on_audio` with each piece of PCM, and the events in it, until it returns False. Blocks.

        With `phonemes`, what stands in `[[ ]]` is phonemes. Raises EngineError, and what `on_audio` raises.
        """
        failures: list[Exception] = []

        def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: Events) -> int:
            if not samples or count <= 0:
                return 0
            try:
                return 0 if on_audio(ctypes.string_at(samples, count * 2), about_text(events)) else 1
            except Exception as exc:  # noqa: BLE001 - ctypes would print it and go on
                failures.append(exc)
                return 1

        callback = _ON_AUDIO(receive)  # keep a reference: the library calls it after this line
        self._lib.espeak_SetSynthCallback(callback)
        self._lib.espeak_SetParameter(_PARAMETER_RATE, wpm, 0)
        data = text.encode("utf-8", "replace") + b"\0"
        flags = _CHARS_UTF8 | _END_PAUSE | (_PHONEMES if phonemes else 0)
        failed = self._lib.espeak_Synth(data, len(data), 0, _POSITION_CHARACTER, 0, flags, None, None) != 0
        if failures:
            raise failures[0]
        if failed:
            raise EngineError("espeak: synthesis failed")

    def close(self) -> bool:
        """Unloads the image. Returns whether it is unloaded, so that the next one starts in the initial state."""
        self._lib.espeak_Terminate()
        _ctypes.dlclose(self._lib._handle)
        try:
            left = ctypes.CDLL(self._path, mode=os.RTLD_NOLOAD)
        except OSError:
            return True
        _ctypes.dlclose(left._handle)
        return False


class EspeakEngine:
    """eSpeak NG, one sentence at a time. A voice is a language (`ko`, `en-us`), or one with a variant (`ko+f2`)."""

    name = "espeak"
    version = importlib.metadata.version("espeakng-loader")
    at_once = 1  # the library has global state
    scales = True
    max_growth_mb = 32
    trained = False  # it computes formants by rules

    def __init__(self) -> None:
        self.deterministic = True
        self._voices: dict[str, Voice] = {}
        self._variants: frozenset[str] = frozenset()
        self._image: _Image | None = None
        self._data = Path()

    def load(self) -> None:
        """Loads the library. Raises EngineError if it or its data cannot be used."""
        self._data = self._short(Path(espeakng_loader.get_data_path()))
        self._image = self._open()
        for identifier in self._image.identifiers():
            tag = identifier.rpartition("/")[2]
            also = tuple(alias for alias, language in _ALIASES.items() if language == tag.lower())
            self._voices[tag.lower()] = Voice(tag.lower(), tag, self._image.rate_hz, also)
        self._variants = frozenset(path.name for path in (self._data / "voices" / "!v").iterdir())
        self.deterministic = self._image.close()
        self._image = self._open()

    def voices(self) -> Sequence[Voice]:
        """Returns a voice for each language, American English and Korean first. A name may have `+` and a variant."""
        return sorted(self._voices.values(), key=lambda voice: (voice.name not in ("ko", "en-us"), voice.name))

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns 22 050 for all voices. Raises UnknownVoice."""
        return self._voices[self._resolve(voice, "ko").partition("+")[0]].sample_rate_hz

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM, with the pause after the sentence, when all of it is made. See `Engine.synthesize`."""
        pieces: list[bytes] = []

        def give(pcm: bytes) -> bool:
            pieces.append(pcm)
            return not stop()

        self.speak_to(give, sentence, voice=voice, language=language, speed=speed)
        yield from filter(None, pieces)

    def speak_to(
        self, give: Callable[[bytes], bool], sentence: str, *, voice: str | None, language: str, speed: float
    ) -> None:
        """Calls `give` with pieces of 120 to 740 ms, with the pause after the sentence. See `PushingEngine`."""
        self.speak_words_to(give, lambda _: None, sentence, voice=voice, language=language, speed=speed)

    def speak_words_to(
        self,
        give: Callable[[bytes], bool],
        word: Callable[[SpokenWord], None],
        sentence: str,
        *,
        voice: str | None,
        language: str,
        speed: float,
    ) -> None:
        """As `speak_to`, with the words. See `WordEngine`."""
        name = self._resolve(voice, language)
        image = self._image_with(name)
        composed, gathering = Composed(sentence), Gathering()

        def report(found: SpokenWord) -> None:
            first, end = composed.place(found.first, found.end)
            word(found._replace(first=first, end=end))

        phonemes = has_phonemes(composed.text)
        text = in_brackets(composed.text) if phonemes else composed.text
        audio = WordedAudio(text, lambda pcm: give(gathering.push(pcm)), report)
        try:
            image.speak(round(NORMAL_WPM * speed), _plain(text), audio.receive, phonemes=phonemes)
            if audio.finish() and (rest := gathering.rest()):
                give(rest)
        finally:
            image.close()
            self._open_ahead(name)

    def _image_with(self, voice: str) -> _Image:
        """Takes the image that is open if it has that voice or none, else opens another one. Raises EngineError."""
        if self._image is not None and self._image.voice not in (None, voice):
            self._image.close()
            self._image = None
        image = self._image = self._image or self._open()
        if image.voice is None:
            image.load_voice(voice)
        self._image = None
        return image

    def _open_ahead(self, voice: str) -> None:
        """Opens an image for the next sentence, which mostly has the same voice, so that it begins sooner."""
        try:
            self._image = self._open()
            self._image.load_voice(voice)
        except EngineError:
            self._image = None  # the next sentence opens one, and says what is wrong

    def _open(self) -> _Image:
        return _Image(espeakng_loader.get_library_path(), self._data)

    def _short(self, data: Path) -> Path:
        """Returns a path to the data that is short enough for espeak: a link in a temporary directory if needed."""
        if len(os.fsencode(data)) <= _LONGEST_DATA_PATH:
            return data
        directory = tempfile.mkdtemp(prefix="espeak-")
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        link = Path(directory, "data")
        try:
            link.symlink_to(data, target_is_directory=True)
        except OSError:  # a file system without links
            shutil.copytree(data, link)
        return link

    def _resolve(self, voice: str | None, language: str) -> str:
        """Returns the name for espeak_SetVoiceByName. Raises UnknownVoice: espeak itself ignores an unknown variant."""
        if voice is None:
            return self._of_language(language)
        base, plus, variant = voice.partition("+")
        if base.lower() not in self._voices or (plus and variant not in self._variants):
            raise UnknownVoice(
                f"voice: espeak has no {voice!r}; name a language such as ko or en-us, with a variant: ko+f2, ko+m3"
            )
        return base.lower() + plus + variant

    def _of_language(self, language: str) -> str:
        """Returns the voice of a BCP 47 tag, or of the tag with fewer parts: ko for ko-KR, en-us for en-US."""
        parts = language.replace("_", "-").lower().split("-")
        parts[0] = _ALIASES.get(parts[0], parts[0])
        while parts:
            if (tag := "-".join(parts)) in self._voices:
                return tag
            parts.pop()
        raise UnknownVoice(
            f"language: espeak has no voice for {language!r}; use a BCP 47 tag such as ko-KR (see `orastream voices`)"
        )


def _plain(text: str) -> str:
    """Returns the text without NUL, which would end it. It must be in NFC: espeak spells decomposed Hangul."""
    return text.replace("\0", " ")
