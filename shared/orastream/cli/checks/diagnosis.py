"""Turns observations of a node into findings, with a fix for each problem. Pure: `doctor.py` makes the observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orastream.broker import shown
from orastream.cli.checks.trial_writes import Trial
from orastream.contract.names import Names
from orastream.contract.sentence_start import chunk_message_bytes
from orastream.jetstream import topology
from orastream.jetstream.api_errors import Meaning, meaning
from orastream.jetstream.server_clock import MAX_SKEW_S
from orastream.jetstream.stream_limits import room_setting
from orastream.service.unknown_settings import correction

Level = Literal["ok", "warning", "problem"]

STARTED = "start the node: orastream up, or its services one by one; each creates what is missing, also while it runs"
RESTART = "see the log of nats-server; if this goes on, restart nats-server"
STUCK = (
    "is the disk of nats-server full? Free it, then restart nats-server: after a write that failed a stream stores "
    "nothing until a restart, and the server's log says no space left on device"
)
PONGS = (
    "answer each ping once everything before it is stored (docs/reference/oraserver-v1.md); "
    "chunks that no pong confirms are repeated until the utterance fails as oraserver_unreachable"
)
HELLO = (
    "select orastream.v2 only if the server speaks it, and send hello first (docs/reference/oraserver-v2.md); "
    "orastream check-oraserver --protocol v2 says more"
)
SERVICE_MISSING = "no process asks for work"
HANGS = "it may hang: look at its /readyz"
SEE_CERTIFICATE = "give ORASERVER_CERT and ORASERVER_KEY of an authority that OraServer trusts"
PATH_EXISTS = frozenset((400, 405, 406, 411, 415, 422, 426, 501))
"""Statuses of a path that refuses the method or the request (RFC 9110, 15.5 and 15.6.2): it exists."""
WORKED = Trial()
FULL_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `fix` says how to fix it; empty when it is ok."""

    subject: str
    level: Level
    says: str
    fix: str = ""
    cause: str = ""
    """What `says` has in common with findings of the same cause; empty: all of it."""


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """OraServer's answer: an HTTP status (101: the WebSocket opened), or in `trouble` why there was none."""

    status: int | None
    trouble: str = ""
    tls: bool = False
    """Whether `trouble` is about TLS: what is wrong and, after the last `; `, what to do."""
    instead_of_pong: str = ""
    """Why a ping was not answered; empty if it was."""
    instead_of_hello: str = ""
    """Why a connection of protocol v2 cannot be used; empty if it can, or is one of v1."""
    version: Literal[1, 2] = 1
    """The protocol of the connection that was opened."""


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """A NATS server whose clock was read. The clock of this host is `ahead_s` (± `bound_s`) seconds ahead of it."""

    server: str
    ahead_s: float
    bound_s: float


def summary(findings: Sequence[Finding]) -> tuple[int, str]:
    """The number of problems, and the last line: how many problems and warnings there are."""
    problems, warnings = (sum(finding.level == level for finding in findings) for level in ("problem", "warning"))
    some = f"{problems} problem{'s' * (problems > 1)}" if problems else "no problem"
    if warnings:
        return problems, f"{some}, {warnings} warning{'s' * (warnings > 1)}"
    return problems, some if problems else "no problem found"


def judge_unknown(name: str) -> Finding:
    """The finding for a variable that has a prefix of the node's settings and is none."""
    says = f"{name} is not a setting of the node: no service reads it"
    return Finding("settings", "warning", says, correction(name))


def judge_nats(url: str) -> Finding:
    """The finding when NATS accepted the connection."""
    return Finding("NATS", "ok", f"{shown(url)} answers")


def judge_no_nats(url: str, trouble: str) -> Finding:
    """The finding when there was no connection to NATS. `trouble` is the message of the exception."""
    url = shown(url)
    if "authorization" in trouble.lower() or "credentials" in trouble.lower():
        fix = "set NATS_CREDS (or NATS_NKEY_SEED) to a user that it knows"
        return Finding("NATS", "problem", f"{url} refuses this client", fix)
    says, _, fix = trouble.rpartition("; ")
    if says and "no NATS server answers" not in says:
        return Finding("NATS", "problem", says, fix.removeprefix("nothing was sent. To connect, "))
    fix = (
        "start it (orastream up, or nats-server -js), run this command in the directory of orastream up, or set "
        "NATS_URL or --nats to where it is"
    )
    return Finding("NATS", "problem", f"no NATS server answers at {url}", fix)


def judge_jetstream(answer: Mapping[str, Any] | None, refused: str | None = None) -> Finding:
    """The finding for the answer of `$JS.API.INFO`; None: no answer.

    `refused` is the server's permission error for this call (as in `publish to "…"`), if there was one.
    """
    if answer is None and refused is not None:
        return _judge_refused(refused)
    if answer is None:
        return Finding("JetStream", "problem", "is off", "start nats-server with -js, or with jetstream {} in its file")
    error = answer.get("error")
    if error:
        fix = (
            "use the credentials of an account that has it: the node's, in operator.env of `orastream init-auth`; "
            "or give this account JetStream (jetstream: enabled)"
        )
        if meaning(error) is Meaning.BUSY:
            fix = "try again in a few seconds; in a cluster a majority of the servers must run"
        return Finding("JetStream", "problem", str(error.get("description", "refused")), fix)
    return Finding("JetStream", "ok", f"{answer.get('streams', 0)} streams, {answer.get('consumers', 0)} consumers")


def _judge_refused(refused: str) -> Finding:
    says = f"this user has no permission: {refused}"
    if refused.startswith("subscription"):
        fix = "set NATS_INBOX_PREFIX to inboxes that this user may subscribe to (docs/guide/security.md)"
    else:
        fix = "connect as the node's user, with its NATS_INBOX_PREFIX: operator.env of `orastream init-auth`"
    return Finding("JetStream", "problem", says, fix)


def judge_front(front: Names) -> Finding:
    """The finding for a prefix that has no node, but nodes behind a front door of that name."""
    says = f"{front.prefix} is a front door: its streams and services are those of its nodes"
    return Finding("node", "problem", says, f"examine each node: orastream doctor --prefix {front.prefix}.0, and so on")


def judge_stream(name: str, answer: Mapping[str, Any], trial: Trial = WORKED) -> Finding:
    """The finding for a stream, from its `STREAM.INFO` and from a trial write into it."""
    subject = f"stream {name}"
    if answer.get("error"):
        return Finding(subject, "problem", str(answer["error"].get("description", "missing")), STARTED)
    config, state = answer["config"], answer["state"]
    held, most = int(state.get("bytes", 0)), int(config.get("max_bytes", -1))
    says = f"{state.get('messages', 0)} messages, {held:,} bytes"
    if trial.silent:
        cause = "it exists, but stores nothing"
        return Finding(subject, "problem", f"{says}; {cause}: {trial.refused}", STUCK, cause)
    if most > 0 and held > FULL_SHARE * most and config.get("discard") != "old":  # else the oldest make room
        return Finding(subject, "warning", f"{says} of {most:,}: nearly full", _fix_of_full(name))
    if trial.refused:
        fix = "free the server's disk, or raise its JetStream limits"
        cause = "it stores nothing"
        return Finding(subject, "problem", f"{says}; {cause}: {trial.refused}", fix, cause)
    if most <= 0 and (setting := room_setting(name)) is not None:
        fix = f"raise max_file_store of nats-server, or lower {setting}; then restart synth"
        return Finding(subject, "warning", f"{says}, without a limit: callers can fill the server", fix)
    return Finding(subject, "ok", says)


def _fix_of_full(name: str) -> str:
    if (setting := room_setting(name)) is not None:
        return f"see who sends so much (docs/guide/overload.md), or raise {setting}; when full, it refuses"
    return "raise TTS_AUDIO_MAX_BYTES, or lower TTS_AUDIO_RETENTION_SECONDS; until then synth waits for room"


def judge_pull(trial: Trial) -> Finding:
    """The finding for a trial pull by a consumer that doctor created."""
    if trial.refused:
        return Finding("pull", "problem", f"a message that was stored cannot be pulled: {trial.refused}", RESTART)
    return Finding("pull", "ok", "a message that was stored was pulled")


def judge_clocks(seen: Sequence[ClockSeen]) -> list[Finding]:
    """The findings for the clocks of this host and of the servers that lead a stream; none if no server was seen."""
    best: dict[str, ClockSeen] = {}
    for clock in sorted(seen, key=lambda clock: clock.bound_s):
        best.setdefault(clock.server, clock)
    if not best:
        return []
    early, late = max(best.values(), key=_ahead), min(best.values(), key=_ahead)
    findings = []
    if early.ahead_s - late.ahead_s - early.bound_s - late.bound_s > MAX_SKEW_S:
        differ_s = early.ahead_s - late.ahead_s
        says = f"the clock of NATS server {late.server} is {differ_s:.1f} s ahead of that of {early.server}"
        fix = "synchronise the servers' clocks (NTP): when another server leads a stream, ages change by the difference"
        findings.append(Finding("clocks", "problem", says, fix))
    worst = max(best.values(), key=lambda clock: abs(clock.ahead_s))
    if abs(worst.ahead_s) - worst.bound_s > MAX_SKEW_S:
        ahead = "ahead of" if worst.ahead_s > 0 else "behind"
        says = f"the clock of this host is {abs(worst.ahead_s):.1f} s {ahead} that of NATS server {worst.server}"
        fix = "synchronise it (NTP). Requests are judged by the server's clock; logs and traces of this host are not"
        findings.append(Finding("clocks", "warning", says, fix))
    return findings or [Finding("clocks", "ok", f"this host and NATS agree within {MAX_SKEW_S:g} s")]


def _ahead(clock: ClockSeen) -> float:
    return clock.ahead_s


def judge_consumer(name: str, answer: Mapping[str, Any]) -> Finding:
    """The finding for a durable consumer, from its `CONSUMER.INFO`: whether a service of that name takes work."""
    if answer.get("error"):
        return Finding(f"consumer {name}", "problem", str(answer["error"].get("description", "missing")), STARTED)
    waiting, working = int(answer.get("num_waiting", 0)), int(answer.get("num_ack_pending", 0))
    pending = int(answer.get("num_pending", 0))
    says = f"{working} messages in work, {pending} not taken yet"
    if waiting > 0:
        return Finding(name, "ok", f"asks for work; {says}")
    if working > 0:
        fix = f"if this goes on, start more of them: python -m services.{name}; or {HANGS}"
        return Finding(name, "warning", f"asks for no more work now; {says}", fix)
    fix = f"start it: python -m services.{name}; if it runs, {HANGS}"
    return Finding(name, "problem", f"{SERVICE_MISSING}; {says}", fix)


def judge_chunk_size(chunk_bytes: int, max_text_chars: int, max_payload: int) -> Finding:
    """The finding for WEBSOCKET_CHUNK_SIZE: whether such a chunk, with the text in it, fits into a NATS message."""
    says = f"WEBSOCKET_CHUNK_SIZE is {chunk_bytes:,} bytes, NATS takes messages of {max_payload:,}"
    excess = chunk_message_bytes(chunk_bytes, max_text_chars) - max_payload
    if excess <= 0:
        return Finding("chunk size", "ok", says)
    lower = f"lower it to at most {chunk_bytes - excess}" if excess < chunk_bytes else "lower TTS_MAX_TEXT_CHARS"
    return Finding("chunk size", "problem", says, f"{lower}, or raise max_payload of nats-server")


def judge_websocket(url: str, answer: ServiceAnswer, source: str = "") -> Finding:
    """The finding for OraServer's WebSocket, after a handshake, `init` and a ping. `source`: where the URL is from."""
    url = shown(url) + (f" ({source})" if source else "")
    if answer.status == 101 and answer.instead_of_pong:
        return Finding("OraServer, WebSocket", "problem", f"{url} opens, but then: {answer.instead_of_pong}", PONGS)
    if answer.status == 101 and answer.instead_of_hello:
        return Finding("OraServer, WebSocket", "problem", f"{url} opens, but then: {answer.instead_of_hello}", HELLO)
    if answer.status == 101:
        said = "speaks protocol v2" if answer.version == 2 else "answers a ping"
        return Finding("OraServer, WebSocket", "ok", f"{url} opens and {said}")
    return _judge_oraserver("WebSocket", "ORASERVER_WEBSOCKET_URL", url, answer)


def judge_http(url: str, answer: ServiceAnswer, source: str = "") -> Finding:
    """The finding for OraServer's HTTP path, after GET or OPTIONS: a POST would be played to a phone.

    Any status that shows that the path exists is ok, also one that refuses only these methods. After 404 the path may
    exist all the same: some servers answer so to every method but POST. `source` says where the URL comes from.
    """
    url = shown(url) + (f" ({source})" if source else "")
    if answer.status == 404:
        says = f"{url} answers GET and OPTIONS with HTTP 404: it takes only POST, or nothing is at that path"
        fix = "check the path in ORASERVER_HTTP_URL; orastream check-oraserver sends a POST"
        return Finding("OraServer, HTTP", "warning", says, fix)
    if answer.status is not None and (200 <= answer.status < 300 or answer.status in PATH_EXISTS):
        return Finding("OraServer, HTTP", "ok", f"{url} is there (HTTP {answer.status})")
    return _judge_oraserver("HTTP", "ORASERVER_HTTP_URL", url, answer)


def _judge_oraserver(kind: str, variable: str, url: str, answer: ServiceAnswer) -> Finding:
    subject, status = f"OraServer, {kind}", answer.status
    if status is None:
        if answer.tls:
            says, _, fix = answer.trouble.rpartition("; ")
            return Finding(subject, "problem", says, fix) if says else Finding(subject, "problem", fix, SEE_CERTIFICATE)
        fix = f"start OraServer, or set {variable} to where it is"
        return Finding(subject, "problem", f"{url} cannot be reached: {answer.trouble}", fix)
    says = f"{url} answers HTTP {status}"
    if status in (401, 403):
        return Finding(subject, "problem", says, "set ORASERVER_TOKEN to a token that it accepts")
    if status == 404:
        return Finding(subject, "problem", says, f"nothing is at that path: correct the path in {variable}")
    if 300 <= status < 400:
        return Finding(subject, "problem", says, f"it redirects, which is not followed: set {variable} to the target")
    if status >= 500:
        return Finding(subject, "problem", says, "OraServer has an internal error: see its logs, and try again")
    if kind == "WebSocket" and 200 <= status < 300:
        fix = f"that path speaks HTTP, not WebSocket: correct it in {variable}, or fix the proxy that drops Upgrade"
        return Finding(subject, "problem", says, fix)
    return Finding(subject, "problem", says, f"see OraServer's logs for why it refuses; is {variable} right?")


def consumer_names() -> list[str]:
    """The names of a node's durable consumers. Each is the name of the service that pulls from it."""
    return sorted(topology.consumer_names())
