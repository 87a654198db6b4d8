"""The configuration of a nats-server in operator mode: users log in with a JWT and a key from a `.creds` file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys

_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


@dataclass(frozen=True, slots=True)
class Key:
    """An ed25519 key in NATS format."""

    pair: Any
    public: str
    seed: str

    @classmethod
    def new(cls, prefix: int) -> Key:
        seed = bytes(nkeys.encode_seed(os.urandom(32), prefix))
        pair = nkeys.from_seed(bytearray(seed))
        return cls(pair, pair.public_key.decode(), seed.decode())

    def certify(self, subject: Key, kind: str, **claims: Any) -> str:
        """A JWT about `subject`, signed by this key."""
        payload = {
            "iat": int(time.time()),
            "iss": self.public,
            "sub": subject.public,
            "name": kind,
            "nats": {"type": kind, "version": 2, **claims},
        }
        payload["jti"] = base64.b32encode(hashlib.sha256(json.dumps(payload).encode()).digest()).rstrip(b"=").decode()
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(payload)}"
        return f"{signed}.{_url64(self.pair.sign(signed.encode()))}"


class Operator:
    """An operator with one account that may use JetStream. `config()` is for a server, `creds()` for a new user."""

    def __init__(self) -> None:
        self._operator = Key.new(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key.new(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = Key.new(nkeys.PREFIX_BYTE_ACCOUNT)

    def config(self) -> str:
        """The configuration of a nats-server, with the accounts in memory."""
        limits = {**_UNLIMITED, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "wildcards": True}
        accounts = {
            self._account.public: self._operator.certify(self._account, "account", limits={**limits, **_JETSTREAM}),
            self._system.public: self._operator.certify(self._system, "account", limits=limits),
        }
        operator = self._operator.certify(self._operator, "operator", system_account=self._system.public)
        preload = "\n".join(f"  {public}: {jwt}" for public, jwt in accounts.items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload {{\n{preload}\n}}\n"
        )

    def creds(self, path: Path) -> Path:
        """Write the `.creds` file of a new user of the account; returns its path."""
        user = Key.new(nkeys.PREFIX_BYTE_USER)
        jwt = self._account.certify(user, "user", **_UNLIMITED)
        path.write_text(creds_text(jwt, user.seed))
        return path


def creds_text(jwt: str, seed: str) -> str:
    """The text of a `.creds` file, as `nsc` writes it."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        "NKEY Seed printed below can be used to sign and prove identity.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n"
        "*************************************************************\n"
    )


def _part(value: object) -> str:
    return _url64(json.dumps(value).encode())


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
