"""A credentials file of NATS (`.creds`): the JWT of a user, and the seed of the key that signs for it.

Read here rather than by nats-py, which reads a file without a JWT for ever, and one with Windows' line ends wrongly.
It is read anew at each connection: a file that was renewed counts from the next reconnect on.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import nats.errors

from orastream.contract.errors import SettingsError

_MAX_BYTES = 64 << 10
_JWT = re.compile(r"-+ *BEGIN NATS USER JWT *-+\s+([\w-]+\.[\w-]+\.[\w-]+)\s+-+ *END NATS USER JWT *-+")
_SEED = re.compile(r"-+ *BEGIN USER NKEY SEED *-+\s+(SU[A-Z2-7]+)\s+-+ *END USER NKEY SEED *-+")
_MEND = "name the file that `nsc generate creds` or the account's owner made for this user"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the file is; `check` it before the first connection. No message shows what stands in it."""

    path: Path

    def check(self) -> None:
        """Raises SettingsError when the file cannot be read or holds no credentials."""
        self._read()

    def jwt(self) -> bytes:
        """Who the user is, as the server is told. Raises nats.errors.Error when the file is not usable any more."""
        return self._now()[0].encode()

    def sign(self, nonce: str) -> bytes:
        """The server's nonce signed, in base64. Raises nats.errors.Error when the file is not usable any more."""
        import nkeys  # by whoever has credentials only: it loads a library of C

        key = nkeys.from_seed(bytearray(self._now()[1].encode()))
        try:
            return base64.b64encode(key.sign(nonce.encode()))
        finally:
            key.wipe()

    def _now(self) -> tuple[str, str]:
        try:
            return self._read()
        except SettingsError as exc:
            # Of a kind that nats-py takes for a failed try, so that it goes on trying to reconnect.
            raise nats.errors.InvalidUserCredentialsError from exc

    def _read(self) -> tuple[str, str]:
        path = self.path.expanduser()
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES).decode()
        except OSError as exc:
            raise SettingsError(f"NATS_CREDS: cannot read {path} ({exc.strerror}); {_MEND}") from exc
        except UnicodeDecodeError:
            raise SettingsError(f"NATS_CREDS: {path} is no credentials file; {_MEND}") from None
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            lacks = "the JWT of a user" if jwt is None else "the seed of a user's key"
            raise SettingsError(f"NATS_CREDS: {path} is no credentials file: it lacks {lacks}; {_MEND}")
        if not _intact(seed[1]):
            raise SettingsError(f"NATS_CREDS: {path}: the seed in it is damaged; {_MEND}")
        return jwt[1], seed[1]


def _intact(seed: str) -> bool:
    """Whether it is a key's seed, whole. nkeys itself does not look at its checksum."""
    import nkeys

    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.encode()))
        return bytes(nkeys.encode_seed(raw, prefix)) == seed.encode()
    except (nkeys.NkeysError, ValueError):
        return False
