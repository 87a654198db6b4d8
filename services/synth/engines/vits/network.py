"""The model of one voice. The only file that imports torch and transformers, but for `sample`.

VitsModel speaks a sentence in one go. Here its forward pass ends before the decoder, which takes nine tenths of the
time, and the decoder is run in pieces. All of it for one thread: the noise comes from torch's default generator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from services.synth.engines.base import EngineError, Misconfigured
from services.synth.engines.vits.folders import Folder
from services.synth.engines.vits.pieces import DecoderPiece, context_of, pieces_of

# Both are read when the libraries are imported: nothing is ever downloaded; and threads that wait for each other sleep,
# where by default they spin, which on cores that are shared with anybody else slows a model down tenfold.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from transformers import VitsModel, VitsTokenizer  # noqa: E402

VERSIONS = f"torch {torch.__version__}, transformers {transformers.__version__}"
_FULL_SCALE = 32_767


class Latents:
    """A sentence before the decoder: its frames, and the pieces in which they are to be decoded."""

    def __init__(self, frames: torch.Tensor, context: int) -> None:
        self.frames = frames
        self.pieces = pieces_of(frames.shape[-1], context)


class Network:
    """A loaded model. Raises Misconfigured when its files do not make one."""

    def __init__(self, folder: Folder, device: str) -> None:
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        try:
            self._tokenizer = VitsTokenizer.from_pretrained(folder.path, local_files_only=True)
            model, loading = VitsModel.from_pretrained(
                folder.path, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as exc:
            raise Misconfigured(f"{folder.path}: it cannot be loaded ({_line(exc)}); copy the model anew") from exc
        if missing := sorted(loading["missing_keys"]):
            raise Misconfigured(
                f"{folder.path}: model.safetensors lacks {len(missing)} weights, {missing[0]} among them; copy it anew"
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
        model.posterior_encoder = None  # for training
        self._model = model

    def prepared(self, spelled: str, *, speed: float, seed: int) -> Latents:
        """A sentence, spelled in the model's letters, up to the decoder. The same arguments give the same latents."""
        tokens = self._tokenizer(spelled, return_tensors="pt").to(self._device)
        torch.manual_seed(seed)
        with _computing():
            said = self._model(**tokens, speaker_id=self._speaker, speaking_rate=self._pace * speed)
            _check(said.spectrogram)
        return Latents(said.spectrogram, self._context)

    def decoded(self, work: Sequence[tuple[Latents, DecoderPiece]]) -> list[bytes]:
        """PCM16 of some pieces, decoded together: all of the same number of frames."""
        with _computing():
            windows = [latents.frames[:, :, piece.begin : piece.end] for latents, piece in work]
            condition = self._condition.expand(len(windows), -1, -1) if self._condition is not None else None
            waves = self._decoder(torch.cat(windows), condition).squeeze(1)
            _check(waves)
            samples = (waves * _FULL_SCALE).round().to(torch.int16).cpu()
        return [self._kept(row, piece) for row, (_, piece) in zip(samples.numpy(), work, strict=True)]

    def _kept(self, samples: Any, piece: DecoderPiece) -> bytes:
        first, last = (self._frame_samples * (frame - piece.begin) for frame in (piece.first, piece.last))
        pcm: bytes = samples[first:last].astype("<i2").tobytes()
        return pcm


def _no_sound(spectrogram: torch.Tensor, _condition: torch.Tensor | None) -> torch.Tensor:
    """In the decoder's place."""
    return spectrogram[:, :1, :0]


@contextmanager
def _computing() -> Iterator[None]:
    try:
        with torch.inference_mode():
            yield
    except RuntimeError as exc:  # torch's own are that, want of memory too
        raise EngineError(f"torch could not compute a sentence: {_line(exc)}") from exc


def _check(values: torch.Tensor) -> None:
    if not torch.isfinite(values).all():
        raise EngineError("the model gives no finite numbers for a sentence; its weights are damaged: copy it anew")


def device_of(wanted: str) -> str:
    """The device for TTS_DEVICE. Raises Misconfigured when it is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[wanted]:
        raise Misconfigured(f"TTS_DEVICE: torch {torch.__version__} finds no {wanted} here; set auto or cpu")
    return wanted


def use_threads(count: int) -> str:
    """Compute on so many threads; gives what else the last bits of the results depend on."""
    torch.set_num_threads(count)
    return f"{torch.backends.cpu.get_cpu_capability()}, {count} threads"


def _line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
