"""What proves to NATS which user this is: a credentials file (`.creds`: a JWT and a seed), or the bare seed of an nkey.

nats-py does not read the files: its reader never ends on a file without a JWT, and misreads Windows' line ends.
A file is read at each connection, so a renewed file is used from the next reconnect on.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

import nats.errors

from orastream.contract.errors import SettingsError

_MAX_BYTES = 64 << 10
_JWT = re.compile(r"-+ *BEGIN NATS USER JWT *-+\s+([\w-]+\.[\w-]+\.[\w-]+)\s+-+ *END NATS USER JWT *-+")
_SEED = re.compile(r"-+ *BEGIN USER NKEY SEED *-+\s+(SU[A-Z2-7]+)\s+-+ *END USER NKEY SEED *-+")
_BARE_SEED = re.compile(r"(?<![A-Z2-7])SU[A-Z2-7]{56}(?![A-Z2-7])")
_SECRET = re.compile(r"[A-Za-z2-7]{40}")
"""What may be a seed, or a part of one. A value that has it is never shown."""
_TODO_SEED = "set it to the seed of a user's nkey (SU and 56 more characters), or to a file that holds it"
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
        return _signed(self._now()[1], nonce)

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


@dataclass(frozen=True, slots=True)
class NkeySeed:
    """The seed of a user's nkey, or the path of a file that holds it. Call `check` before the first connection.

    Errors never show a seed.
    """

    value: str = field(repr=False)
    name: str = "NATS_NKEY_SEED"
    """What the user set to the value; errors begin with it."""

    def check(self) -> None:
        """Raise SettingsError if there is no valid seed."""
        self._read()

    def public_key(self) -> str:
        """Return the user's public key (`U…`). Raises nats.errors.Error if the file is no longer valid."""
        import nkeys

        key = nkeys.from_seed(bytearray(self._now().encode()))
        try:
            return bytes(key.public_key).decode()
        finally:
            key.wipe()

    def sign(self, nonce: str) -> bytes:
        """Return the signed nonce, in base64. Raises nats.errors.Error if the file is no longer valid."""
        return _signed(self._now(), nonce)

    def _now(self) -> str:
        try:
            return self._read()
        except SettingsError as exc:
            # After an error of another type nats-py would stop its tries to reconnect.
            raise nats.errors.InvalidUserCredentialsError from exc

    def _read(self) -> str:
        value = self.value.strip()
        if _BARE_SEED.fullmatch(value):
            return self._checked(value, "the value")
        path = Path(value).expanduser()
        shown = "the file" if _SECRET.search(value) else str(path)
        try:
            if path.exists() and not path.is_file() and not path.is_dir():  # opening a pipe would wait for its writer
                raise SettingsError(f"{self.name}: {shown} is no file; {_TODO_SEED}")
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES).decode("ascii", "replace")
        except (OSError, ValueError) as exc:
            if _SECRET.search(value):
                raise SettingsError(f"{self.name}: the value (not shown) is no seed of a user; {_TODO_SEED}") from None
            reason = getattr(exc, "strerror", None) or "no path"
            raise SettingsError(f"{self.name}: cannot read {shown} ({reason}); {_TODO_SEED}") from None
        if _JWT.search(text):
            raise SettingsError(f"{self.name}: {shown} is a credentials file; set NATS_CREDS (creds) to it instead")
        found = _BARE_SEED.search(text)
        if found is None:
            raise SettingsError(f"{self.name}: {shown} holds no seed of a user; {_TODO_SEED}")
        return self._checked(found[0], f"the seed in {shown}")

    def _checked(self, seed: str, what: str) -> str:
        if not _intact(seed):
            raise SettingsError(f"{self.name}: {what} is a damaged seed; {_TODO_SEED}")
        return seed


def _signed(seed: str, nonce: str) -> bytes:
    import nkeys  # here, because it loads a C library that a process without credentials does not need

    key = nkeys.from_seed(bytearray(seed.encode()))
    try:
        return base64.b64encode(key.sign(nonce.encode()))
    finally:
        key.wipe()


def _intact(seed: str) -> bool:
    """Whether it is a complete seed of a key. nkeys itself does not verify the checksum."""
    import nkeys

    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.encode()))
        return bytes(nkeys.encode_seed(raw, prefix)) == seed.encode()
    except (nkeys.NkeysError, ValueError):
        return False
