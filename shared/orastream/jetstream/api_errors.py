"""What each JetStream `err_code` means for the node (nats-server, `server/errors.json`). Pure.

Any other code counts as temporary: servers send such errors while they start, elect a leader or lack resources. A
service then waits and tries again. Only SETTINGS ends a service at its start, with exit code 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from orastream.base.foreign_text import cleaned


class Meaning(Enum):
    """What a server error means for the caller."""

    BUSY = "an election, a start or too much work: the same call is repeated"
    FULL = "no room in the stream, the account or the server: it may have room later"
    CONFLICT = "another message of the subject came first"
    NO_MESSAGE = "the message is not stored"
    NO_STREAM = "the stream does not exist"
    NO_CONSUMER = "the consumer does not exist"
    EXISTS = "another process has created it"
    MESSAGE = "the server never stores such a message"
    SETTINGS = "the node's settings do not fit the server's: one of them must be changed"
    PASSING = "anything else: temporary"


_MEANINGS: dict[int, Meaning] = {
    10004: Meaning.BUSY,  # incomplete results
    10006: Meaning.BUSY,  # JetStream not in clustered mode: a member that is starting
    10007: Meaning.BUSY,  # JetStream cluster not assigned to this server
    10008: Meaning.BUSY,  # JetStream system temporarily unavailable
    10009: Meaning.BUSY,  # JetStream cluster can not handle request: not the leader
    10041: Meaning.BUSY,  # a Raft error
    10158: Meaning.BUSY,  # duplicate message id is in process
    10163: Meaning.BUSY,  # expected last sequence per subject temporarily unavailable
    10167: Meaning.BUSY,  # too many requests
    10202: Meaning.BUSY,  # cluster member change is in progress
    10023: Meaning.FULL,  # insufficient resources
    10047: Meaning.FULL,  # insufficient storage resources available
    10077: Meaning.FULL,  # not stored: a limit of the stream or the subject
    10071: Meaning.CONFLICT,  # wrong last sequence
    10164: Meaning.CONFLICT,  # wrong last sequence, without the number
    10037: Meaning.NO_MESSAGE,
    10043: Meaning.NO_MESSAGE,  # sequence not found
    10059: Meaning.NO_STREAM,
    10014: Meaning.NO_CONSUMER,
    10149: Meaning.NO_CONSUMER,
    10013: Meaning.EXISTS,  # consumer name already in use
    10058: Meaning.EXISTS,  # stream name already in use with a different configuration
    10148: Meaning.EXISTS,  # consumer already exists
    10054: Meaning.MESSAGE,  # message size exceeds maximum allowed
    10060: Meaning.MESSAGE,  # expected stream does not match
    10097: Meaning.MESSAGE,  # header size exceeds maximum allowed
    10109: Meaning.MESSAGE,  # invalid operation on sealed stream
    10111: Meaning.MESSAGE,  # rollup failed: not permitted
    10052: Meaning.SETTINGS,  # invalid configuration of a stream, or a change that is not possible
    10074: Meaning.SETTINGS,  # replicas > 1 not supported in non-clustered mode: the server's config has no cluster
    10122: Meaning.SETTINGS,  # stream max bytes exceeds account limit max stream bytes
}

_HINTS: dict[int, str] = {
    10005: "the cluster needs at least TTS_STREAM_REPLICAS servers; are all of them up?",
    10008: "a majority of the cluster's servers must be up; then try again with the same request id",
    10023: "free the server's disk, or raise its JetStream limits",
    10028: "raise the server's JetStream limits",
    10039: "enable JetStream for this account (jetstream: enabled), or use an account that has it",
    10047: "lower TTS_AUDIO_MAX_BYTES or another TTS_…_MAX_BYTES, or raise max_file_store of nats-server",
    10065: "delete the other stream that stores these subjects",
    10074: "set TTS_STREAM_REPLICAS to 1, or connect to a NATS cluster",
    10076: "start nats-server with JetStream (-js)",
    10158: "a majority of the cluster's servers must be up; then try again with the same request id",
    10122: "lower TTS_AUDIO_MAX_BYTES, or raise the account's max stream bytes",
}
_HINTS_OF_SIZE: dict[int, str] = {
    10047: "lower {}, or raise max_file_store of nats-server",
    10122: "lower {}, or raise the account's max stream bytes",
}


def meaning(error: Mapping[str, Any]) -> Meaning:
    """The meaning of an answer's `error`."""
    return _MEANINGS.get(code_of(error), Meaning.PASSING)


def code_of(error: Mapping[str, Any]) -> int:
    """The `err_code` of an error; 0 when there is none."""
    code = error.get("err_code")
    return code if isinstance(code, int) else 0


def described(error: Mapping[str, Any], size_setting: str | None = None) -> str:
    """The server's description, the code, and a hint for the operator where there is one.

    `size_setting` is the setting for the size of the stream that the error is about; None if that is not known.
    """
    code = code_of(error)
    hint = f"; {_HINTS[code]}" if code in _HINTS else ""
    if size_setting is not None and code in _HINTS_OF_SIZE:
        hint = f"; {_HINTS_OF_SIZE[code].format(size_setting)}"
    return f"{description_of(error) or 'refused'} ({code}){hint}"


def description_of(error: Mapping[str, Any]) -> str:
    """The server's own description, cleaned; empty when there is none."""
    return cleaned(str(error.get("description") or ""))
