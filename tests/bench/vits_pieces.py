"""Decodes a sentence in pieces and as a whole, alternately, and prints a line of JSON. Run it in `.venv-torch`.

python -m tests.bench.vits_pieces MODEL ROUNDS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from services.synth.engines.vits import network
from services.synth.engines.vits.folders import find
from services.synth.engines.vits.pieces import DecoderPiece
from services.synth.engines.vits.settings import VitsSettings
from tests.bench.measure import median, ratio

WORDS = "i have found your booking for two nights in busan from friday the ninth of this month"
"""Six seconds of speech with the sample model."""


def main(model: Path, rounds: int) -> None:
    """Measure and print the medians."""
    network.use_threads(VitsSettings(synth_slots=1).threads)
    (folder,) = find(model)
    net = network.Network(folder, "cpu")
    spelled = folder.alphabet.spelled(WORDS)
    firsts, pieces, wholes, samples = [], [], [], 0
    for number in range(rounds + 1):
        began = time.perf_counter()
        latents = net.prepared(spelled, speed=1.0, seed=1)
        first = 0.0
        samples = 0
        for piece in latents.pieces:
            samples += len(net.decoded([(latents, piece)])[0]) // 2
            first = first or time.perf_counter() - began
        in_pieces = time.perf_counter() - began
        began = time.perf_counter()
        latents = net.prepared(spelled, speed=1.0, seed=1)
        frames = latents.frames.shape[-1]
        net.decoded([(latents, DecoderPiece(0, frames, 0, frames))])
        in_one_go = time.perf_counter() - began
        if number:  # the first round warms up
            firsts.append(first)
            pieces.append(in_pieces)
            wholes.append(in_one_go)
    result = {
        "seconds": samples / net.sample_rate_hz,
        "first_s": median(firsts),
        "pieces_s": median(pieces),
        "whole_s": median(wholes),
        "ratio": ratio(firsts, wholes),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
