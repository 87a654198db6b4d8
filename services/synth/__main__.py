"""`python -m services.synth`: runs synth, which speaks requests and publishes the audio."""

from __future__ import annotations

import sys

from orastream.service import lifecycle
from services.synth.service import serve
from services.synth.settings import SynthSettings

if __name__ == "__main__":
    sys.exit(lifecycle.run("synth", SynthSettings, serve, about=__doc__, change_streams=True))
