"""Hypothesis without time limits for an example, as in `tests/conftest.py`, which needs more than the library."""

from __future__ import annotations

import os

import hypothesis

if "ORASTREAM_RANGES" in os.environ:  # set by `make ranges`; its tests make no sense in another environment
    hypothesis.settings.register_profile("ranges", deadline=None, max_examples=30)
    hypothesis.settings.load_profile("ranges")
else:
    collect_ignore_glob = ["test_*.py"]
