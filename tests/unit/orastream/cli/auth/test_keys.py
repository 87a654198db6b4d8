"""Keys of users."""

from __future__ import annotations

import nkeys
import pytest

from orastream.cli.auth import keys

pytestmark = pytest.mark.unit


def test_a_new_seed_is_that_of_a_user_and_different_each_time() -> None:
    seed, other = keys.new_seed(), keys.new_seed()
    public = keys.public_key(seed)
    assert seed.startswith("SU") and seed != other
    assert public is not None and public.startswith("U") and len(public) == 56
    assert public != keys.public_key(other)


def test_a_damaged_seed_has_no_public_key() -> None:
    seed = keys.new_seed()
    for wrong in ("", "SU", seed[:-1], seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:], "x" * 58):
        assert keys.public_key(wrong) is None
    account = bytes(nkeys.encode_seed(b"1" * 32, nkeys.PREFIX_BYTE_ACCOUNT)).decode()
    assert keys.public_key(account) is None
