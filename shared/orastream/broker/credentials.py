"""A credentials file of NATS (`.creds`): the JWT of a user, and the seed of that user's signing key.

nats-py does not read the file: its reader never ends on a file without a JWT, and misreads Windows' line ends.
The file is read at each connection, so a renewed file is used from the next reconnect on.
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
_TODO = "set it to the file that `nsc generate creds` or the account's owner made for this user"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The path of a credentials file. Call `check` before the first connection. Errors never show its content."""

    path: Path
    name: str = "NATS_CREDS"
    """What the user set to the path; errors begin with it."""

    def check(self) -> None:
        """Raise SettingsError if the file cannot be read or holds no valid credentials."""
        self._read()

    def jwt(self) -> bytes:
        """Return the user's JWT. Raises nats.errors.Error if the file is no longer valid."""
        return self._now()[0].encode()

    def sign(self, nonce: str) -> bytes:
        """Return the signed nonce, in base64. Raises nats.errors.Error if the file is no longer valid."""
        import nkeys  # here, because it loads a C library that a process without credentials does not need

        key = nkeys.from_seed(bytearray(self._now()[1].encode()))
        try:
            return base64.b64encode(key.sign(nonce.encode()))
        finally:
            key.wipe()

    def _now(self) -> tuple[str, str]:
        try:
            return self._read()
        except SettingsError as exc:
            # After an error of another type nats-py would stop its tries to reconnect.
            raise nats.errors.InvalidUserCredentialsError from exc

    def _read(self) -> tuple[str, str]:
        path = self.path.expanduser()
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES).decode()
        except OSError as exc:
            raise SettingsError(f"{self.name}: cannot read {path} ({exc.strerror}); {_TODO}") from exc
        except UnicodeDecodeError:
            raise SettingsError(f"{self.name}: {path} is no credentials file; {_TODO}") from None
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            lacks = "the JWT of a user" if jwt is None else "the seed of a user's key"
            raise SettingsError(f"{self.name}: {path} is no credentials file: it lacks {lacks}; {_TODO}")
        if not _intact(seed[1]):
            raise SettingsError(f"{self.name}: {path}: the seed in it is damaged; {_TODO}")
        return jwt[1], seed[1]


def _intact(seed: str) -> bool:
    """Whether it is a complete seed of a key. nkeys itself does not verify the checksum."""
    import nkeys

    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.encode()))
        return bytes(nkeys.encode_seed(raw, prefix)) == seed.encode()
    except (nkeys.NkeysError, ValueError):
        return False
