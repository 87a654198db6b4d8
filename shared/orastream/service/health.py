"""`/healthz`, `/readyz` and `/metrics` of a service (extra `service`).

A process is healthy while its event loop answers, and ready while `lifecycle.Process.lacking` returns None.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from orastream.service.listening import cannot_listen, listener, takes_both
from orastream.service.metrics import CONTENT_TYPE, Metrics


@contextlib.asynccontextmanager
async def serve(
    host: str, port: int, *, metrics: Metrics, lacking: Callable[[], Awaitable[str | None]]
) -> AsyncIterator[int]:
    """Serve while the context is open; yields the port (0 chooses a free one).

    `lacking` returns why the service is not ready, or None. Raises SettingsError when it cannot listen on the port.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        reason = await lacking()
        if reason is not None:
            return web.json_response({"status": "unready", "reason": reason}, status=503)
        return web.json_response({"status": "ready"})

    async def exposition(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            bound = await start_site(runner, host, port)
        except (OSError, UnicodeError) as exc:
            raise cannot_listen("TTS_HEALTH_PORT", host, port, exc) from exc
        yield bound
    finally:
        await runner.cleanup()


async def start_site(runner: web.AppRunner, host: str, port: int) -> int:
    """Serve `runner` on `host`; returns the port. A host name may have several addresses.

    After a cancel, `runner.cleanup()` closes what was opened. Raises OSError, UnicodeError.
    """
    if takes_both(host):
        await web.SockSite(runner, listener(host, port)).start()
    else:
        await web.TCPSite(runner, host, port).start()
    bound: int = runner.addresses[0][1]
    return bound
