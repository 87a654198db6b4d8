"""A Django project in one module, as the page about Django shows it: a client for sync views and one for async views.

With CALL_BEFORE_FORK the module has spoken before the server forks its workers.
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from orastream import BlockingClient, Client, Report

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    ORASTREAM={"NATS_URL": os.environ["TEST_NATS_URL"]},
)

tts = BlockingClient.from_django()
tts_async = Client.from_django()

first = tts.say("미리.", session_id="master", phone_id="p") if "CALL_BEFORE_FORK" in os.environ else None
master = os.getpid()


def answer(report: Report) -> JsonResponse:
    """What the test looks at."""
    made: dict[str, Any] = {"pid": os.getpid(), "imported_by": master, "status": report.status}
    return JsonResponse(made | {"called_before": first is not None, "audio_s": report.audio_seconds})


def sync_view(request: HttpRequest) -> JsonResponse:
    """Speak with the client for sync code."""
    return answer(
        tts.say("안녕하세요.", session_id=request.GET["session"], phone_id="p", fire_and_forget=False, wait_s=20)
    )


async def async_view(request: HttpRequest) -> JsonResponse:
    """Speak with the client for async code."""
    async with tts_async.utterance(session_id=request.GET["session"], phone_id="p", fire_and_forget=False) as u:
        await u.write("안녕하세요.")
    return answer(await u.wait(20))


urlpatterns = [path("sync", sync_view), path("async", async_view)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
