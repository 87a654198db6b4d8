"""Keys of NATS users (nkeys). The only file of the command line that imports `nkeys`."""

from __future__ import annotations

import os

import nkeys


def new_seed() -> str:
    """A new seed: the private key of a user, from the system's random numbers."""
    return bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)).decode()


def public_key(seed: str) -> str | None:
    """The public key of a user's seed, or None if the text is no intact seed of a user."""
    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.encode()))
        if prefix != nkeys.PREFIX_BYTE_USER or bytes(nkeys.encode_seed(raw, prefix)).decode() != seed:
            return None  # nkeys itself does not verify the checksum
        return bytes(nkeys.from_seed(bytearray(seed.encode())).public_key).decode()
    except (nkeys.NkeysError, ValueError):
        return None
