"""`orastream doctor`: finds what is wrong with a node, and says how to fix it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Mapping
from typing import Any

import aiohttp

from orastream.base.version import VERSION as SOFTWARE
from orastream.broker import shown
from orastream.cli import options, terminal
from orastream.cli.checks import causes, diagnosis, trial_writes
from orastream.cli.checks.diagnosis import ClockSeen, Finding, Level, ServiceAnswer
from orastream.cli.checks.power_cut import MonitoringAnswer, judge_power_cut
from orastream.cli.node.settings import NodeAddress, find_node
from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable, SettingsError
from orastream.contract.names import Names
from orastream.contract.oraserver.from_bridge import BridgeHello
from orastream.delivery.rules.negotiation import V2, Negotiation
from orastream.delivery.rules.streams.multiplex import VERSION, Multiplex
from orastream.delivery.rules.streams.stream_terms import SendingLimits
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.delivery.websocket.link import WebSocketLink, session_headers
from orastream.delivery.websocket.stream_connection import StreamConnection
from orastream.jetstream import management
from orastream.jetstream.api import API, JetStream
from orastream.service.unknown_settings import unknown_names
from orastream.tls import ClientTls, closed_early, ended_by_peer, explain

PATIENCE_S = 2.0
ORASERVER_S = 5.0
MONITORING_S = 2.0
LOOKS, LOOK_EVERY_S = 5, 0.3
"""A consumer without a pull request is checked again: its service may be between two pull requests."""
PROBE_ID = "orastream-doctor"

STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(nats: options.Nats = None, prefix: options.Prefix = None) -> None:
    """Check NATS, the node's streams and services, and OraServer; say what is wrong and how to fix it.

    Nothing is spoken. It stores a message of session orastream-doctor in each stream and deletes it again; no service
    acts on it, but live readers of reports see one. OraServer gets one connection, with the offer of
    ORASERVER_PROTOCOL: over v1 `init` of that session and a ping, over v2 a hello; and one GET. Exit code 1: there is
    a problem.
    """
    terminal.run(_doctor(nats, prefix))


async def _doctor(nats: str | None, prefix: str | None) -> int:
    out = terminal.console()
    node = find_node(nats, prefix)
    findings = [*map(diagnosis.judge_unknown, unknown_names())]
    findings += [*await examine_nats(node), *await examine_oraserver(node, sources=nats is not None)]
    made = terminal.table("", "", "")
    made.show_header = False
    for finding in findings:
        fix = (f"\n→ {finding.fix}" if finding.fix else "", "bold")
        level = (finding.level, STYLES[finding.level])
        made.add_row(terminal.words(level), terminal.words(finding.subject), terminal.words(finding.says, fix))
    out.print(made)
    problems, said = diagnosis.summary(findings)
    out.print(f"[{'red' if problems else 'green'}]{said}[/]")
    return 1 if problems else 0


async def examine_nats(node: NodeAddress) -> list[Finding]:
    """Findings about NATS, JetStream, streams, services and sizes; checks that depend on a broken part are left out."""
    try:
        async with terminal.connect(node) as client:
            reachable = diagnosis.judge_nats(node.nats_url)
            chunk, chars = node.settings.websocket_chunk_size, node.settings.tts_max_text_chars
            size = diagnosis.judge_chunk_size(chunk, chars, client.broker.max_payload)
            return [reachable, *await _examine_jetstream(client, node.nats_monitoring_url), size]
    except NodeUnavailable as exc:
        return [diagnosis.judge_no_nats(node.nats_url, str(exc))]
    except SettingsError as exc:
        return [diagnosis.Finding("NATS", "problem", str(exc), "correct it, and run doctor again")]


async def _examine_jetstream(client: Client, monitoring_url: str | None) -> list[Finding]:
    js = JetStream(client.broker)
    answer = await _asked(management.account_info(js, patience_s=PATIENCE_S))
    jetstream = diagnosis.judge_jetstream(answer, client.broker.refused(f"{API}.INFO"))
    findings = [jetstream]
    if jetstream.level != "ok":
        return findings
    if await _is_front(js):
        return [*findings, diagnosis.judge_front(js.names)]
    findings += await asyncio.gather(*(_examine_stream(js, name) for name in js.names.streams))
    if all(finding.level != "problem" for finding in findings):
        findings.append(diagnosis.judge_pull(await trial_writes.pull(js)))
    consumers = await asyncio.gather(*(_examine_consumer(js, name) for name in diagnosis.consumer_names()))
    findings += causes.judge_services([finding for finding in consumers if finding is not None])
    findings += diagnosis.judge_clocks(await _clocks(js))
    return [
        *causes.joined(findings),
        judge_power_cut(client.broker.server, monitoring_url, await _monitoring(monitoring_url)),
    ]


async def _is_front(js: JetStream) -> bool:
    """Whether there is no node of this prefix, but the first one behind a front door of that name."""
    if js.names.behind_front:
        return False
    own, first = js.names.sessions_stream, Names(f"{js.names.prefix}.0").sessions_stream
    own_answer, first_answer = await asyncio.gather(
        *(_asked(management.stream_info(js, name, patience_s=PATIENCE_S)) for name in (own, first))
    )
    return "config" not in (own_answer or {}) and "config" in (first_answer or {})


async def _monitoring(url: str | None) -> MonitoringAnswer:
    """Ask the monitoring port of nats-server for `/varz`."""
    if url is None:
        return MonitoringAnswer(None)
    timeout = aiohttp.ClientTimeout(total=MONITORING_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url.rstrip('/')}/varz") as answer:
            if answer.status != 200:
                return MonitoringAnswer(None, f"answers HTTP {answer.status}")
            varz = await answer.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        return MonitoringAnswer(None, f"cannot be reached: {_trouble(exc, MONITORING_S)}")
    except (ValueError, RecursionError):
        varz = {}
    return MonitoringAnswer(varz if isinstance(varz, dict) else {})


async def _clocks(js: JetStream) -> list[ClockSeen]:
    """Compare this host's clock with those of the servers that lead the node's streams, one after the other."""
    seen = []
    for name in js.names.streams:
        sent_at_s = time.time()  # not monotonic: the time of day of this host is what is compared
        answer = await _asked(management.stream_info(js, name, patience_s=PATIENCE_S)) or {}
        sample = management.time_sample(answer, sent_at_s, time.time())
        if sample is not None:
            seen.append(ClockSeen(sample.server, -sample.offset_s, (sample.received_at - sample.sent_at) / 2))
    return seen


async def _examine_stream(js: JetStream, name: str) -> Finding:
    answer = await _asked(management.stream_info(js, name, patience_s=PATIENCE_S)) or _unanswered()
    trial = await trial_writes.write(js, name) if "config" in answer else diagnosis.WORKED
    return diagnosis.judge_stream(name, answer, trial)


async def _examine_consumer(js: JetStream, name: str) -> Finding | None:
    """The finding about a consumer; None if its stream is missing."""
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(LOOK_EVERY_S)
        info = await _asked(management.consumer_info(js, js.names.sessions_stream, name, patience_s=PATIENCE_S))
        if causes.needs_its_stream(info or {}):
            return None
        finding = diagnosis.judge_consumer(name, info or _unanswered())
        if finding.level == "ok" or finding.fix == diagnosis.STARTED:
            break
    return finding


async def _asked(call: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the answer of an API call; None when none came."""
    try:
        return await call
    except NodeUnavailable:
        return None


def _unanswered() -> dict[str, Any]:
    return {"error": {"description": "JetStream did not answer"}}


async def examine_oraserver(node: NodeAddress, *, sources: bool = False) -> list[Finding]:
    """Findings about OraServer, over WebSocket and HTTP, with the settings that the bridges use.

    With `sources` they say where its addresses come from: the bridges of a node elsewhere may have others.
    """
    token = node.settings.oraserver_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ORASERVER_S)
    tls = node.settings.oraserver_tls
    try:
        context = tls.context()
    except SettingsError as exc:
        return [Finding("OraServer", "problem", str(exc), "correct it, and run doctor again")]
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as http:
        websocket, post = await asyncio.gather(_websocket(node, headers, tls), _http(http, node.http_url, tls))
    findings = [
        diagnosis.judge_websocket(node.websocket_url, websocket, node.websocket_source if sources else ""),
        diagnosis.judge_http(node.http_url, post, node.http_source if sources else ""),
    ]
    return causes.judge_oraserver(findings, (node.websocket_url, node.http_url), (websocket, post))


async def _websocket(node: NodeAddress, headers: Mapping[str, str], tls: ClientTls) -> ServiceAnswer:
    """Do what ws_bridge does, with its own code: the handshake; then `init` and a ping, or over v2 the two hellos."""
    negotiation = Negotiation(node.settings.oraserver_protocol)
    sent = session_headers(PROBE_ID, PROBE_ID) | dict(headers)

    async def connected(offer: tuple[str, ...]) -> WebSocketConnection:
        return await WebSocketConnection.open(node.websocket_url, sent, _nothing, tls, subprotocols=offer)

    try:
        try:
            connection = await connected(negotiation.offer(time.monotonic()))
        except LinkLost as exc:
            if not negotiation.refused(exc.status):
                raise
            connection = await connected(())
    except LinkLost as exc:
        return ServiceAnswer(exc.status, str(exc), tls=exc.about_tls)
    if connection.subprotocol == V2:
        return await _hello(connection, node)
    if node.settings.oraserver_protocol == "v2":
        connection.close()
        return ServiceAnswer(101, instead_of_hello=f"it has not selected {V2}, and ORASERVER_PROTOCOL is v2")
    link = WebSocketLink.begun(connection, PROBE_ID, PROBE_ID, _nothing)
    try:
        await link.confirm(lambda: True)
    except LinkLost as exc:
        return ServiceAnswer(101, instead_of_pong=str(exc))
    finally:
        await link.close()
    return ServiceAnswer(101)


async def _hello(connection: WebSocketConnection, node: NodeAddress) -> ServiceAnswer:
    """Wait for the server's hello on a connection of v2, and answer it."""
    own = BridgeHello(VERSION, node.prefix, PROBE_ID, f"orastream/{SOFTWARE}")
    limits = SendingLimits(node.settings.websocket_chunk_size, 1.0)
    greeted = StreamConnection(connection, Multiplex(own, itertools.count(1), limits), lambda _bytes: None)
    try:
        await greeted.greeted()
    except LinkLost as exc:
        return ServiceAnswer(101, instead_of_hello=str(exc), version=2)
    finally:
        greeted.close()
    return ServiceAnswer(101, version=2)


def _nothing() -> None:
    """The probe does not wait for room."""


async def _http(http: aiohttp.ClientSession, url: str, tls: ClientTls) -> ServiceAnswer:
    """Send GET, and OPTIONS after a 404: some routers answer GET with 404 on a path that takes only POST."""
    answer = ServiceAnswer(404)
    for method in ("GET", "OPTIONS"):
        try:
            async with http.request(method, url, allow_redirects=False) as response:
                answer = ServiceAnswer(response.status)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            return _unreached(exc, url, tls, "ORASERVER_HTTP_URL")
        if answer.status != 404:
            break
    return answer


def _unreached(exc: Exception, url: str, tls: ClientTls, setting: str) -> ServiceAnswer:
    """The answer of an OraServer that could not be reached; about TLS, if that is the reason."""
    if url.startswith(("wss://", "https://")):
        peer = tls.files.peer(f"OraServer at {shown(url)}", setting)
        if (explained := explain(str(_cause(exc)), peer)) is not None:
            return ServiceAnswer(None, explained, tls=True)
        if ended_by_peer(_cause(exc)) or isinstance(exc, aiohttp.ServerDisconnectedError):
            return ServiceAnswer(None, closed_early(peer), tls=True)
    return ServiceAnswer(None, _trouble(exc, ORASERVER_S))


def _cause(exc: Exception) -> Exception:
    return exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc


def _trouble(exc: Exception, timeout_s: float) -> str:
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or "no connection"
    if isinstance(exc, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(exc, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "this is not a URL"
    return type(exc).__name__
