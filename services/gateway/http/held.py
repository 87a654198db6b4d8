"""What a request holds until its answer has ended, streamed answers included."""

from __future__ import annotations

import contextlib

from fastapi import Request

HELD = "orastream.held"
"""Key in the ASGI scope. `Guard` puts an ExitStack there and closes it when the answer has ended in any way."""


def hold(request: Request, context: contextlib.AbstractContextManager[object]) -> None:
    """Enter `context` until the answer to this request has ended, or its caller has left a streamed answer.

    A `finally` in the iterator of a streamed answer would not run for a caller that leaves before the first piece.
    """
    held: contextlib.ExitStack = request.scope[HELD]
    held.enter_context(context)
