"""The parameters of `Client` about its connection to NATS: from them comes a Broker, unless the caller has one."""

from __future__ import annotations

from pathlib import Path

from orastream.broker import ARGUMENTS, Access, Broker
from orastream.contract import subjects

NAME = "orastream-client"
CONNECT_TIMEOUT_S = 5.0


def access_of(  # noqa: PLR0913 - the parameters of Client
    creds: str | Path | None,
    nkey_seed: str | Path | None,
    ca: str | Path | None,
    cert: str | Path | None,
    key: str | Path | None,
    tls_handshake_first: bool,
) -> Access:
    """Return the credentials and files for TLS of these parameters; a path may be a str, and an empty one is absent."""
    return Access(
        creds=_path(creds),
        nkey_seed=nkey_seed or None,
        ca=_path(ca),
        cert=_path(cert),
        key=_path(key),
        tls_handshake_first=tls_handshake_first,
    )


def check_url(url: object, *, or_broker: bool = False) -> None:
    """Raise TypeError for what is no address at all, as `os.environ.get` returns for a variable that is not set."""
    if not isinstance(url, (str, Broker) if or_broker else str):
        also = " or a Broker" if or_broker else ""
        raise TypeError(f"url: must be an address{also}, as in 'nats://127.0.0.1:4222', not {type(url).__name__}")


def broker_of(
    url: str | Broker, access: Access, prefix: str, inbox_prefix: str, name: str, connect_timeout_s: float | None
) -> Broker:
    """Return a Broker for an address, which is not open yet, or the given one.

    Raises ValueError for a Broker together with a parameter of a connection, which would have no effect, and TypeError
    for what is neither.
    """
    check_url(url, or_broker=True)
    if isinstance(url, str):
        return Broker(
            url,
            name=name,
            prefix=prefix,
            access=access,
            inbox_prefix=inbox_prefix,
            connect_timeout_s=connect_timeout_s,
            origin=ARGUMENTS,
        )
    given = {
        "creds": access.creds is not None,
        "nkey_seed": access.nkey_seed is not None,
        "ca": access.ca is not None,
        "cert": access.cert is not None,
        "key": access.key is not None,
        "tls_handshake_first": access.tls_handshake_first,
        "inbox_prefix": inbox_prefix != subjects.INBOX,
        "name": name != NAME,
        "connect_timeout_s": connect_timeout_s != CONNECT_TIMEOUT_S,
    }
    if ignored := [parameter for parameter, is_given in given.items() if is_given]:
        names = ", ".join(ignored)
        raise ValueError(f"{names}: no effect with a Broker, which has its own; pass it to the Broker instead")
    return url


def _path(value: str | Path | None) -> Path | None:
    return Path(value) if value else None
