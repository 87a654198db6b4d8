"""Writes small GPT-SoVITS models with random weights for tests. The argument is the folder to write to.

Run it in .venv-sovits, in a separate process. It creates each network of the package with fewer and narrower layers and
saves it with the name and format that the package loads. The speech is noise; its length does not depend on the text.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from services.synth.engines.gpt_sovits_local.files import BERT, HUBERT, WEIGHTS

SEED = 3
SPEECH_S = 2.04
"""Seconds of speech for each piece of text: the limit of 51 tokens, because the end token is never chosen."""


def build(folder: Path) -> None:
    """Write models of version v2 into the folder."""
    from gpt_sovits_cpufast.runtime import PACKAGE_ROOT, configure_runtime

    configure_runtime()
    import torch
    import yaml
    from AR.models.t2s_model import Text2SemanticDecoder
    from AR.modules.transformer import TransformerEncoder, TransformerEncoderLayer
    from feature_extractor.cnhubert import HubertInferenceModel
    from module.models import SynthesizerTrn
    from text.chinese_bert import BertForMaskedLM

    torch.manual_seed(SEED)
    package = PACKAGE_ROOT / "GPT_SoVITS"

    def pretrained(name: str, network: Any, **changes: Any) -> None:
        there, here = package / "pretrained_models" / name, folder / name
        shutil.copytree(there, here)
        config = json.loads((there / "config.json").read_text()) | changes
        (here / "config.json").write_text(json.dumps(config))
        torch.save(network(SimpleNamespace(**config)).state_dict(), here / "pytorch_model.bin")

    pretrained(HUBERT, HubertInferenceModel, conv_dim=[16] * 7, num_hidden_layers=1, intermediate_size=64)
    pretrained(
        BERT, BertForMaskedLM, num_hidden_layers=2, intermediate_size=64, vocab_size=64, max_position_embeddings=16
    )

    gpt, sovits = (folder / name for name in WEIGHTS["v2"])
    gpt.parent.mkdir()
    config = yaml.safe_load((package / "configs" / "s1longer-v2.yaml").read_text())
    config["model"] |= {"embedding_dim": 32, "hidden_dim": 32, "head": 2, "linear_units": 128, "n_layer": 1}
    config["data"]["max_sec"] = 1
    decoder = Text2SemanticDecoder(config, build_t2s_transformer=False, build_h_module=False)
    layer = TransformerEncoderLayer(
        d_model=32, nhead=2, dim_feedforward=128, dropout=0.1, batch_first=True, norm_first=False
    )
    decoder.h = TransformerEncoder(layer, num_layers=1)
    with torch.no_grad():
        decoder.ar_predict_layer.weight[-1] = 0  # other tokens are more likely
    weights = {f"model.{name}": value for name, value in decoder.state_dict().items()}
    torch.save({"weight": weights, "config": config, "info": "random"}, gpt)

    config = json.loads((package / "configs" / "s2.json").read_text())
    config["model"] |= {
        "filter_channels": 32,
        "n_layers": 2,
        "upsample_initial_channel": 32,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 3, 5]],
    }
    data, train = config["data"], config["train"]
    synthesizer = SynthesizerTrn(
        data["filter_length"] // 2 + 1,
        train["segment_size"] // data["hop_length"],
        n_speakers=data["n_speakers"],
        **config["model"],
    )
    for name, value in synthesizer.state_dict().items():
        if name.endswith("_codebook.inited"):
            value.fill_(1)
        elif name.endswith("_codebook.embed"):
            value.normal_()
    weights = {name: value for name, value in synthesizer.state_dict().items() if "enc_q" not in name}
    torch.save({"weight": weights, "config": config, "info": "random"}, sovits)


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
