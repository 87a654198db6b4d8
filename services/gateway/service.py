"""Wires the gateway: the HTTP application and `tts.speak` over one client."""

from __future__ import annotations

import structlog

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.service import lifecycle
from orastream.service.metrics import Metrics
from orastream.service.settings import accounts_of
from services.gateway import tts_speak
from services.gateway.access.admission import CallerAdmission
from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.caller_limits import CallerLimits
from services.gateway.access.cross_origin import CrossOrigin
from services.gateway.access.key_names import MIN_KEY_CHARS, read_entries
from services.gateway.access.policy import AccessPolicy, origin_check
from services.gateway.app import application
from services.gateway.guards import CrossOriginAnswers, Guard, probes_only
from services.gateway.http.connection_table import ConnectionTable
from services.gateway.http.protocol import SPARE_CONNECTIONS, BoundedProtocol, Bounds, max_connections
from services.gateway.http.refusals import RefusalCounter
from services.gateway.http.server import ServerConfig, serving
from services.gateway.reads import service as reads
from services.gateway.relay import service as relay
from services.gateway.relay.gate import CallerGate
from services.gateway.relay.pending import PendingRequests
from services.gateway.request_service import RequestService
from services.gateway.routes.events import Events
from services.gateway.routes.node import NodeView
from services.gateway.settings import GatewaySettings

log = structlog.get_logger()

ANSWERED_S = 1.0
"""At a drain: time for the answers to callers that got no report within `Drain.work_s`."""


def serve(settings: GatewaySettings) -> lifecycle.Serve:
    """The function that runs the gateway with these settings."""
    answer_s = settings.drain.work_s
    grace_s = answer_s + ANSWERED_S

    async def run(process: lifecycle.Process) -> None:
        broker = process.js.broker
        client = Client(
            broker,
            prefix=broker.names.front,  # a session may belong to another node behind the front
            fire_and_forget=settings.default_fire_and_forget,
            max_text_chars=settings.tts_max_text_chars,
            max_backlog_s=settings.tts_max_backlog_seconds,
        )
        request_service = RequestService(client, settings.gateway_wait_seconds, process.metrics)
        _warn_of_doubtful_keys(settings)
        refusals = RefusalCounter(process.metrics)
        limits = _limits(settings, refusals)
        pending = PendingRequests(process.js, settings.tts_max_pending_per_caller)
        gate = CallerGate(accounts_of(settings.tts_callers), limits, pending)
        request_service.check_reply = gate.check_reply
        app = application(
            request_service,
            CallerAdmission(_policy(settings), limits),
            NodeView(process.js, max_text_chars=settings.tts_max_text_chars),
            Events(process.js, request_service, max_text_chars=settings.tts_max_text_chars),
            metrics=process.metrics,
            lacking=process.lacking,
            legacy=settings.gateway_legacy,
        )
        pages = CrossOrigin(settings.hosts, keys=bool(settings.api_keys))
        guarded = Guard(CrossOriginAnswers(app, pages), refusals.count)
        served = ServerConfig(guarded, probes_only(guarded), _bounds(settings, process.metrics, refusals))
        async with (
            client,
            serving(served, settings.tts_host, settings.gateway_port, grace_s=grace_s, stop=process.stop) as (
                server,
                port,
            ),
            tts_speak.serving(broker, request_service, gate, grace_s=grace_s),
            reads.serving(process.js, request_service, max_text_chars=settings.tts_max_text_chars),
            relay.serving(_relays_broker(settings), gate, request_service.voices, request_service.count),
        ):
            process.ports["gateway_port"] = port
            process.ready()
            await process.stop.wait()
            server.stop_taking()
            request_service.close(answer_s)

    return run


def _warn_of_doubtful_keys(settings: GatewaySettings) -> None:
    for entry in read_entries(settings.api_keys):
        if entry.doubtful:  # without its text, which may be a part of a key
            fix = f"name=key needs a key of at least {MIN_KEY_CHARS} characters, and a name that is not reserved"
            log.warning("an entry of GATEWAY_API_KEYS is taken as a key without a name", entry=entry.name, fix=fix)


def _relays_broker(settings: GatewaySettings) -> Broker:
    return Broker(
        settings.nats_url,
        name="gateway-relay",
        prefix=settings.tts_prefix,
        access=settings.nats_access,
        inbox_prefix=settings.nats_inbox_prefix,
    )


def _policy(settings: GatewaySettings) -> AccessPolicy:
    return AccessPolicy(ApiKeys(settings.api_keys), origin_check(settings.hosts, settings.tts_host))


def _limits(settings: GatewaySettings, refusals: RefusalCounter) -> CallerLimits:
    return CallerLimits(
        settings.gateway_requests_per_minute,
        settings.gateway_characters_per_minute,
        settings.gateway_concurrent,
        refused=refusals.count,
    )


def _bounds(settings: GatewaySettings, metrics: Metrics, refusals: RefusalCounter) -> Bounds:
    table: ConnectionTable[BoundedProtocol] = ConnectionTable(
        max_connections(), settings.gateway_connections_per_address, SPARE_CONNECTIONS
    )
    metrics.gauge("orastream_gateway_connections", "Open connections of HTTP callers", lambda: len(table))
    return Bounds(table, refusals.count)
