"""`/console`: serves the page and its files from the package. They need no key, as they hold no secret."""

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
    """The CSP hash of the page's inline script, which runs before other files are loaded. There must be only one."""
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
"""Allows only the package's files and the page's inline script, and connections only to this gateway."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # browsers ask each time, and get 304 while the file is unchanged
}


class ConsoleFiles(StaticFiles):
    """Serves the page's files with HEADERS."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or 404 when there is none of that name."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the console from `app`. Its links are relative, so that it works behind a proxy that adds a path prefix."""

    @app.get("/console", include_in_schema=False)
    async def console() -> Response:
        return FileResponse(FOLDER / "index.html", headers=HEADERS)

    @app.get("/console/", include_in_schema=False)
    async def slash() -> Response:
        return RedirectResponse("../console", 308)

    app.mount("/console", ConsoleFiles(directory=FOLDER, check_dir=False))
