"""The clients in the hosts that LLM servers run in, each with its real package: a request is spoken in each of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.hosts.conftest import BIN, Serve
from tests.support.processes import Logs, Process
from tests.support.services import Stack

pytestmark = pytest.mark.hosts


async def answers(url: str, view: str, session: str, count: int = 4) -> list[dict[str, Any]]:
    """What the view answers to so many requests at once."""

    async def answer(http: aiohttp.ClientSession, number: int) -> dict[str, Any]:
        async with http.get(f"{url}/{view}", params={"session": f"{session}-{number}"}) as response:
            assert response.status == 200, await response.text()
            found: dict[str, Any] = await response.json()
            return found

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(40)) as http:
        return list(await asyncio.gather(*(answer(http, number) for number in range(count))))


def check_spoken(found: list[dict[str, Any]]) -> None:
    assert [(one["status"], one["audio_s"] > 0.5) for one in found] == [("delivered", True)] * len(found)


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
async def test_gunicorn_speaks_in_each_kind_of_worker(serve: Serve, kind: str) -> None:
    url = await serve("gunicorn", "--worker-class", kind, "--workers", "2", "--threads", "2", "project:wsgi")
    found = await answers(url, "sync", f"gunicorn-{kind}")
    check_spoken(found)
    assert all(one["pid"] == one["imported_by"] for one in found)


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
async def test_a_client_that_was_connected_before_the_fork_works_in_the_workers(serve: Serve, kind: str) -> None:
    options = ("--preload", "--worker-class", kind, "--workers", "2", "--threads", "2", "project:wsgi")
    url = await serve("gunicorn", *options, CALL_BEFORE_FORK="1")
    found = await answers(url, "sync", f"preload-{kind}")
    check_spoken(found)
    assert all(one["called_before"] and one["pid"] != one["imported_by"] for one in found)


async def test_async_views_under_asgi_share_one_connection(serve: Serve, node: Stack) -> None:
    url = await serve("uvicorn", "project:asgi")
    before = await connections(node)
    check_spoken(await answers(url, "async", "asgi-1"))
    check_spoken(await answers(url, "async", "asgi-2"))
    assert await connections(node) == before + 1
    check_spoken(await answers(url, "sync", "asgi-3"))  # Django runs it in a thread


async def test_async_views_under_wsgi_leave_no_connection(serve: Serve, node: Stack) -> None:
    url = await serve("gunicorn", "--worker-class", "gthread", "--threads", "4", "project:wsgi")
    before = await connections(node)
    check_spoken(await answers(url, "async", "wsgi"))
    await asyncio.sleep(0.5)
    assert await connections(node) == before


async def connections(node: Stack) -> int:
    """How many connections nats-server has."""
    async with aiohttp.ClientSession() as http, http.get(f"{node.nats_server.monitoring_url}/connz") as response:
        return int((await response.json())["num_connections"])


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_green_threads_go_on_while_others_speak(run_app: Callable[..., str], library: str) -> None:
    seen = json.loads(run_app("green.py", library))
    assert seen["statuses"] == ["delivered"] * 12
    assert seen["longest_pause_s"] < 0.5, "a call has blocked the other green threads"
    assert (seen["leaked"], seen["left"]) == (0, 0)
    assert seen["ended"] == ["the client was closed during the call"]


async def test_celery_speaks_in_its_forked_workers(
    run_app: Callable[..., str], host_env: dict[str, str], logs: Logs, tmp_path: Path
) -> None:
    log = logs["celery"] = tmp_path / "celery.log"
    options = [
        "-A",
        "jobs",
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        "2",
        "--without-gossip",
        "--without-mingle",
    ]
    worker = Process(
        "celery", [BIN / "celery", *options], env=host_env | {"CALL_BEFORE_FORK": "1"}, cwd=tmp_path, log=log
    )
    worker.launch()
    try:
        printed = await asyncio.to_thread(run_app, "jobs.py")
        assert printed.strip() == str([["delivered", True]] * 3)
    finally:
        assert await worker.stop() == 0
