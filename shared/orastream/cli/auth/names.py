"""Names of roles, accounts and sessions, checked before they are written into a configuration. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from orastream.contract import subjects
from orastream.contract.caller import OBSERVERS, TRUSTED
from orastream.contract.errors import InvalidRequest, SettingsError

NODE, CALLERS = "NODE", TRUSTED
"""The accounts that always exist."""

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")
OPERATOR = "operator"
LLM = "llm"
OBSERVER = "observer"
ROLES = (*SERVICES, OPERATOR, LLM, OBSERVER)
"""The roles that always exist. Each has one key."""

MAX_SESSIONS = 256
"""Maximum number of sessions of one caller: each adds about eight lines to the configuration."""

_RESERVED = frozenset({NODE, CALLERS, OBSERVERS, "SYS", "SERVER", *(role.upper() for role in ROLES)})
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_CALLER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


def account_name(caller: str) -> str:
    """The account of a caller: its name in upper case.

    Raises SettingsError if the name could be no account, or is one of the node's.
    """
    if not _CALLER.fullmatch(caller):
        raise SettingsError(
            f"--caller: {caller!r} is no name of an account; use 1 to 32 characters of A-Z a-z 0-9 _, a letter first"
        )
    name = caller.upper()
    if name in _RESERVED:
        raise SettingsError(f"--caller: {name} is a name of the node's own; choose another")
    return name


def role_of(account: str) -> str:
    """The role of a caller's account, which names its files: the account in lower case."""
    return account.lower()


def session_tokens(session_ids: Iterable[str]) -> tuple[str, ...]:
    """The subject tokens of these session ids, without repeats, in their order. Raises SettingsError.

    A token is literal: it holds no wildcard, dot, quote, space or control character.
    """
    try:
        tokens = tuple(dict.fromkeys(subjects.token(session_id, "--sessions") for session_id in session_ids))
    except InvalidRequest as exc:
        raise SettingsError(str(exc)) from None
    if not 1 <= len(tokens) <= MAX_SESSIONS:
        raise SettingsError(f"--sessions: name 1 to {MAX_SESSIONS} session ids, separated by commas")
    return tokens


def split_sessions(option: str) -> tuple[str, ...]:
    """The tokens of the option `--sessions`: ids separated by commas. Raises SettingsError."""
    return session_tokens(part.strip() for part in option.split(",") if part.strip())


def check_host(host: str) -> str:
    """The host if it is a host name or an IP address. Raises SettingsError."""
    if not (_HOST.fullmatch(host) or _is_ipv6(host)):
        raise SettingsError(f"--host: {host!r} is no host name and no IP address; write it without scheme and port")
    return host


def in_url(host: str) -> str:
    """The host as a URL has it."""
    return f"[{host}]" if ":" in host else host


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in host and ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
