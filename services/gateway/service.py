"""Wires the gateway: the HTTP application and `tts.speak` over one client."""

from __future__ import annotations

from orastream.client.async_client import Client
from orastream.service import lifecycle
from services.gateway import tts_speak
from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.policy import AccessPolicy, origin_check
from services.gateway.app import application
from services.gateway.http.server import serving
from services.gateway.request_service import RequestService
from services.gateway.routes.events import Events
from services.gateway.routes.node import NodeView
from services.gateway.settings import GatewaySettings

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
            fire_and_forget=settings.default_fire_and_forget,
            max_text_chars=settings.tts_max_text_chars,
            max_backlog_s=settings.tts_max_backlog_seconds,
        )
        request_service = RequestService(client, settings.gateway_wait_seconds, process.metrics)
        app = application(
            request_service,
            AccessPolicy(ApiKeys(settings.api_keys), origin_check(settings.hosts, settings.tts_host)),
            NodeView(process.js, max_text_chars=settings.tts_max_text_chars),
            Events(process.js, request_service, max_text_chars=settings.tts_max_text_chars),
            metrics=process.metrics,
            lacking=process.lacking,
        )
        async with (
            client,
            serving(app, settings.tts_host, settings.gateway_port, grace_s=grace_s, stop=process.stop) as (
                server,
                port,
            ),
            tts_speak.serving(broker, request_service, grace_s=grace_s),
        ):
            process.ports["gateway_port"] = port
            process.ready()
            await process.stop.wait()
            server.stop_taking()
            request_service.close(answer_s)

    return run
