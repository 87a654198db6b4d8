"""A small Pocket TTS model with random weights, for tests.

    python -m tests.support.pocket_model [--endless] FOLDER

Its speech is noise. The rest is real: the library writes the YAML, the weights and the voices, and loads them as it
loads a trained model.
"""

from __future__ import annotations

import math
import struct
import sys
import wave
from pathlib import Path
from typing import Any

RATE = 24_000
FRAME_BYTES = 1_920 * 2
FRAMES = 11
"""Frames of a sentence of up to four words: six, then five more after its end signal."""


def configuration(**changes: Any) -> dict[str, Any]:
    """The content of the YAML file; the files that it names are in the same folder."""
    return {
        "weights_path": "model.safetensors",
        "flow_lm": {
            "dtype": "float32",
            "insert_bos_before_voice": True,
            "flow": {"dim": 16, "depth": 1},
            "transformer": {"d_model": 32, "hidden_scale": 2, "max_period": 10_000, "num_heads": 2, "num_layers": 1},
            "lookup_table": {"dim": 32, "n_bins": 256, "tokenizer": "tokenizers", "tokenizer_path": "tokenizer.json"},
        },
        "mimi": {
            "dtype": "float32",
            "sample_rate": RATE,
            "channels": 1,
            "frame_rate": 12.5,
            "inner_dim": 8,
            "outer_dim": 32,
            "seanet": {
                "dimension": 32,
                "channels": 1,
                "n_filters": 4,
                "n_residual_layers": 1,
                "ratios": [6, 5, 4],
                "kernel_size": 7,
                "residual_kernel_size": 3,
                "last_kernel_size": 3,
                "dilation_base": 2,
                "pad_mode": "constant",
                "compress": 2,
            },
            "transformer": {
                "d_model": 32,
                "num_heads": 2,
                "num_layers": 1,
                "layer_scale": 0.01,
                "context": 250,
                "dim_feedforward": 64,
                "input_dimension": 32,
                "output_dimensions": [32],
            },
            "quantizer": {"dimension": 8, "output_dimension": 32},
        },
        **changes,
    }


def build(folder: Path, *, endless: bool = False, heads: int = 2) -> Path:
    """Write a model and its voices `jun` (a state) and `mina` (a recording) into the folder; returns the YAML's path.

    An `endless` model never signals the end of a sentence: it speaks up to the library's limit. Voices of models with
    different `heads` are not compatible.
    """
    import safetensors.torch
    import torch
    import yaml
    from pocket_tts import TTSModel
    from pocket_tts.models.mimi import build_mimi
    from pocket_tts.models.model_state import export_model_state
    from pocket_tts.utils.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(folder / "tokenizer.json")
    document = configuration()
    document["flow_lm"]["transformer"]["num_heads"] = heads
    source = folder / "model.yaml"
    source.write_text(yaml.safe_dump(document))

    document["flow_lm"]["lookup_table"]["tokenizer_path"] = str(folder / "tokenizer.json")
    config = Config(**document)
    torch.manual_seed(7)
    model = TTSModel._from_pydantic_config(config, 0.3, 1, None, -4.0, None)
    model.flow_lm.speaker_proj_weight = torch.nn.Parameter(torch.randn(32, 8))
    model.mimi = build_mimi(config.mimi)
    with torch.no_grad():
        model.flow_lm.out_eos.weight.zero_()
        model.flow_lm.out_eos.bias.fill_(-100.0 if endless else 100.0)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")

    voices = folder / "voices"
    voices.mkdir(exist_ok=True)
    recording(voices / "mina.wav", 220.0)
    recording(folder / "jun.wav", 110.0)
    document["weights_path"] = str(folder / "model.safetensors")
    absolute = folder / "absolute.yaml"
    absolute.write_text(yaml.safe_dump(document))
    loaded = TTSModel.load_model(config=absolute)
    export_model_state(loaded.get_state_for_audio_prompt(folder / "jun.wav"), voices / "jun.safetensors")
    return source


def recording(path: Path, hz: float, *, seconds: float = 1.0, rate_hz: int = RATE) -> None:
    """Write a tone of `hz` as a WAV file."""
    samples = [round(8_000 * math.sin(2 * math.pi * hz * n / rate_hz)) for n in range(int(seconds * rate_hz))]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def _tokenizer(path: Path) -> None:
    """Write a tokenizer with one token for each byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))


if __name__ == "__main__":
    build(Path(sys.argv[-1]), endless="--endless" in sys.argv)
