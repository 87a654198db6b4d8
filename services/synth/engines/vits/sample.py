"""Random voices for trying the way without a real model: `python -m services.synth.engines.vits.sample DIRECTORY`.

What they say is noise in the rhythm of the text, not words: their weights are drawn, not learnt. They are models like
any other all the same, a Korean one and an English one, saved as real ones are, in a directory for TTS_MODEL_DIR.
Each has 0.4 M parameters; with `--full` 36 M, as many as the MMS models have, and just as much to compute.
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
"""A letter is two tokens, of two or three frames of 16 ms each after rounding up: slow speech, but speech."""

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
    """The voices in VOICES below `directory`, each in a directory of its own. The same seed gives the same weights."""
    for name, (language, romanised) in VOICES.items():
        write_voice(directory / name, language=language, romanised=romanised, full=full, seed=seed)


def write_voice(
    folder: Path, *, language: str, romanised: bool, full: bool = False, seed: int = 0, **config: Any
) -> None:
    """One voice in `folder`; `config` is for VitsConfig."""
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
    """Drawn at random, one token may last seconds. Whatever the predictor says counts for little here."""
    if not model.config.use_stochastic_duration_prediction:
        model.duration_predictor.proj.weight.zero_()
        model.duration_predictor.proj.bias.fill_(math.log(FRAMES_PER_TOKEN))
        return
    # Its last step, in this direction, is (x - translate) / e**log_scale, and gives the logarithm of the frames.
    last = model.duration_predictor.flows[0]
    last.log_scale.fill_(3.0)
    last.translate.fill_(-math.log(FRAMES_PER_TOKEN) * math.exp(3.0))


def _make_audible(model: Any) -> None:
    """Scales the last convolution, to neither a whisper nor the roar of saturated samples."""
    tokens = torch.arange(model.config.vocab_size).unsqueeze(0)
    speaker = 0 if model.config.num_speakers > 1 else None
    last = model.decoder.conv_post.weight
    while (loudness := float(model(tokens, speaker_id=speaker).waveform.std())) > 2 * _LOUDNESS:
        last *= _LOUDNESS / loudness  # not enough where the samples are saturated
    last *= _LOUDNESS / loudness


def main() -> None:
    """Parse and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--full", action="store_true", help="36 M parameters each, as in MMS models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more only wait for each other where others want the cores, too
    write_sample(arguments.directory, full=arguments.full)


if __name__ == "__main__":
    main()
