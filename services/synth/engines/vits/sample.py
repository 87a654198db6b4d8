"""Writes voices with random weights, for tests: `python -m services.synth.engines.vits.sample DIRECTORY`.

They speak noise in the rhythm of the text. Otherwise they are like real models, one Korean and one English, saved in a
directory for TTS_MODEL_DIR. Each has 0.4 M parameters; with `--full` 36 M, and the same computing time as MMS models.
"""

from __future__ import annotations

import argparse
import json
import math
import string
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import VitsConfig, VitsModel, VitsTokenizer

VOICES = {"sample-kor": ("kor", True), "sample-eng": ("eng", False)}
"""Name of the directory → the tokenizer's language, and whether it is romanised."""

FRAMES_PER_TOKEN = 1.6
"""A letter is two tokens. Each lasts two or three frames of 16 ms after rounding up, which is slow speech."""

_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "ffn_dim": 64,
    "flow_size": 32,
    "spectrogram_bins": 33,
    "upsample_initial_channel": 64,
    "duration_predictor_filter_channels": 32,
    "prior_encoder_num_flows": 2,
    "prior_encoder_num_wavenet_layers": 2,
    "posterior_encoder_num_wavenet_layers": 2,
}
_LETTERS = " '-" + string.ascii_lowercase
_LOUDNESS = 0.15


def write_sample(directory: Path, *, full: bool = False, seed: int = 0) -> None:
    """Writes each of VOICES to its own directory below `directory`. The same seed gives the same weights."""
    for name, (language, romanised) in VOICES.items():
        write_voice(directory / name, language=language, romanised=romanised, full=full, seed=seed)


def write_voice(
    folder: Path, *, language: str, romanised: bool, full: bool = False, seed: int = 0, **config: Any
) -> None:
    """Writes one voice to `folder`; `config` is passed to VitsConfig."""
    transformers.utils.logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<blank>": 0, **{letter: number for number, letter in enumerate(_LETTERS, 1)}}
    vocabulary["<unk>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    VitsTokenizer(
        str(folder / "vocab.json"),
        pad_token="<blank>",  # noqa: S106 - no password
        language=language,
        phonemize=False,
        is_uroman=romanised,
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    options = ({} if full else _SMALL) | {"vocab_size": len(vocabulary), **config}
    model = VitsModel(VitsConfig(**options)).eval()
    with torch.no_grad():
        _cap_durations(model)
        _make_audible(model)
    model.save_pretrained(folder)


def _cap_durations(model: Any) -> None:
    """Limit the influence of the duration predictor: with random weights one token may last seconds."""
    if not model.config.use_stochastic_duration_prediction:
        model.duration_predictor.proj.weight.zero_()
        model.duration_predictor.proj.bias.fill_(math.log(FRAMES_PER_TOKEN))
        return
    # In this direction, its last step is (x - translate) / e**log_scale, the logarithm of the number of frames.
    last = model.duration_predictor.flows[0]
    last.log_scale.fill_(3.0)
    last.translate.fill_(-math.log(FRAMES_PER_TOKEN) * math.exp(3.0))


def _make_audible(model: Any) -> None:
    """Scale the last convolution to a usual loudness, without saturated samples."""
    tokens = torch.arange(model.config.vocab_size).unsqueeze(0)
    speaker = 0 if model.config.num_speakers > 1 else None
    last = model.decoder.conv_post.weight
    while (loudness := float(model(tokens, speaker_id=speaker).waveform.std())) > 2 * _LOUDNESS:
        last *= _LOUDNESS / loudness  # one step is not enough for saturated samples
    last *= _LOUDNESS / loudness


def main() -> None:
    """Parses the command line and writes the voices."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--full", action="store_true", help="36 M parameters for each voice, as in MMS models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more threads would slow each other down on shared cores
    write_sample(arguments.directory, full=arguments.full)


if __name__ == "__main__":
    main()
