"""`/console`: the page and its files, as they stand in the package. They hold no secret: no key is asked for them."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parents[1] / "console"


def _inline(page: bytes) -> str:
    """The page's own script as CSP names it: it runs before any file has come; no other may stand in the page."""
    (script,) = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' {_inline((FOLDER / 'index.html').read_bytes())}",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing but the package's own files and the page's own script runs, and nothing is sent but to this gateway."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for again each time, and answered 304 while it is the same
}


class ConsoleFiles(StaticFiles):
    """The files beside the page, with its headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One of them, or 404 for anything else."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the console from `app`. Its links are relative, so a proxy may put the gateway below a path."""

    @app.get("/console", include_in_schema=False)
    async def console() -> Response:
        return FileResponse(FOLDER / "index.html", headers=HEADERS)

    @app.get("/console/", include_in_schema=False)
    async def slash() -> Response:
        return RedirectResponse("../console", 308)

    app.mount("/console", ConsoleFiles(directory=FOLDER, check_dir=False))
