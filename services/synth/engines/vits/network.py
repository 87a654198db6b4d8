"""The model of one voice. The only file besides `sample` that imports torch and transformers.

VitsModel itself speaks a sentence in one step. Here its forward pass ends before the decoder, which takes nine tenths
of the time, and the decoder runs in pieces. For one thread: the noise comes from torch's default generator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from services.synth.engines.base import EngineError, Misconfigured
from services.synth.engines.vits.folders import Folder
from services.synth.engines.vits.pieces import DecoderPiece, context_of, pieces_of

# Both are read when the libraries are imported. The first prevents downloads. The second makes waiting OpenMP threads
# sleep: by default they spin, which slows a model down tenfold on cores shared with other processes.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from transformers import VitsModel, VitsTokenizer  # noqa: E402

VERSIONS = f"torch {torch.__version__}, transformers {transformers.__version__}"
_FULL_SCALE = 32_767


class Latents:
    """A sentence before the decoder: its frames, and the pieces in which to decode them."""

    def __init__(self, frames: torch.Tensor, context: int, letters: Sequence[tuple[int, int]]) -> None:
        self.frames = frames
        self.pieces = pieces_of(frames.shape[-1], context)
        self.letters = letters
        """The samples of each letter of the spelled sentence, from the first to behind the last one. Empty if the model
        does not say how long its letters last."""


class Network:
    """A loaded model. For one thread. Raises Misconfigured if its files cannot be loaded."""

    def __init__(self, folder: Folder, device: str) -> None:
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        try:
            self._tokenizer = VitsTokenizer.from_pretrained(folder.path, local_files_only=True)
            model, loading = VitsModel.from_pretrained(
                folder.path, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as exc:
            raise Misconfigured(f"{folder.path}: it cannot be loaded ({_line(exc)}); copy the model again") from exc
        if missing := sorted(loading["missing_keys"]):
            raise Misconfigured(
                f"{folder.path}: model.safetensors lacks {len(missing)} weights, such as {missing[0]}; copy it again"
            )
        model = model.to(device).eval()
        config = model.config
        self.sample_rate_hz = int(config.sampling_rate)
        self._frame_samples = 1
        for rate in config.upsample_rates:
            self._frame_samples *= rate
        self._context = context_of(
            config.upsample_rates,
            config.upsample_kernel_sizes,
            config.resblock_kernel_sizes,
            config.resblock_dilation_sizes,
        )
        self._device = device
        self._pace = float(config.speaking_rate)
        self._speaker = folder.speaker
        self._decoder = model.decoder
        with torch.inference_mode():
            self._condition = (
                model.embed_speaker(torch.tensor([folder.speaker], device=device)).unsqueeze(-1)
                if folder.speaker is not None
                else None
            )
        del model.decoder
        model.decoder = _no_sound
        model.posterior_encoder = None  # used in training only
        self._log_durations: torch.Tensor | None = None  # of the tokens of the last sentence
        model.duration_predictor.register_forward_hook(self._note_durations)
        self._model = model

    def prepared(self, spelled: str, *, speed: float, seed: int) -> Latents:
        """Computes a sentence, spelled in the model's letters, up to the decoder. Same arguments, same result."""
        tokens = self._tokenizer(spelled, return_tensors="pt").to(self._device)
        torch.manual_seed(seed)
        rate = self._pace * speed
        with _computing():
            said = self._model(**tokens, speaker_id=self._speaker, speaking_rate=rate)
            _check(said.spectrogram)
            letters = self._letters(len(spelled), tokens["input_ids"].shape[-1], rate, said.spectrogram.shape[-1])
        return Latents(said.spectrogram, self._context, letters)

    def decoded(self, work: Sequence[tuple[Latents, DecoderPiece]]) -> list[bytes]:
        """Returns the PCM16 of several pieces, decoded in a batch; all must have the same number of frames."""
        with _computing():
            windows = [latents.frames[:, :, piece.begin : piece.end] for latents, piece in work]
            condition = self._condition.expand(len(windows), -1, -1) if self._condition is not None else None
            waves = self._decoder(torch.cat(windows), condition).squeeze(1)
            _check(waves)
            samples = (waves * _FULL_SCALE).round().to(torch.int16).cpu()
        return [self._kept(row, piece) for row, (_, piece) in zip(samples.numpy(), work, strict=True)]

    def _note_durations(self, _module: torch.nn.Module, _given: Any, log_durations: torch.Tensor) -> None:
        self._log_durations = log_durations

    def _letters(self, letters: int, tokens: int, rate: float, frames: int) -> list[tuple[int, int]]:
        """Returns the samples of each letter; empty if the tokens are not the letters, or do not have all frames.

        A token lasts as many frames as in `VitsModel.forward`. Between letters there may be one token more, a blank.
        """
        step = {letters: 1, 2 * letters + 1: 2}.get(tokens)
        if step is None or self._log_durations is None:
            return []
        lasts = torch.ceil(torch.exp(self._log_durations) * (1.0 / rate)).flatten().long()
        ends = torch.cumsum(lasts, 0).tolist()
        if len(ends) != tokens or ends[-1] != frames:
            return []
        begins = [0, *ends]
        own = range(step - 1, tokens, step)
        return [(begins[token] * self._frame_samples, ends[token] * self._frame_samples) for token in own]

    def _kept(self, samples: Any, piece: DecoderPiece) -> bytes:
        first, last = (self._frame_samples * (frame - piece.begin) for frame in (piece.first, piece.last))
        pcm: bytes = samples[first:last].astype("<i2").tobytes()
        return pcm


def _no_sound(spectrogram: torch.Tensor, _condition: torch.Tensor | None) -> torch.Tensor:
    """Replaces the decoder in the forward pass."""
    return spectrogram[:, :1, :0]


@contextmanager
def _computing() -> Iterator[None]:
    try:
        with torch.inference_mode():
            yield
    except RuntimeError as exc:  # torch raises this for its own errors, and for a lack of memory
        raise EngineError(f"torch could not compute a sentence: {_line(exc)}") from exc


def _check(values: torch.Tensor) -> None:
    if not torch.isfinite(values).all():
        raise EngineError("the model's output for a sentence is not finite; its weights are damaged: copy it again")


def device_of(wanted: str) -> str:
    """Returns the device for TTS_DEVICE. Raises Misconfigured if torch does not find it."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[wanted]:
        raise Misconfigured(f"TTS_DEVICE: torch {torch.__version__} finds no {wanted} here; set auto or cpu")
    return wanted


def use_threads(count: int) -> str:
    """Sets the number of threads; returns a text with what the last bits of results depend on."""
    torch.set_num_threads(count)
    return f"{torch.backends.cpu.get_cpu_capability()}, {count} threads"


def _line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
