"""BlockingClient: reports, failed attempts to connect, an end while calls go on, a fork."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orastream import BlockingClient, NodeUnavailable, Report, SettingsError
from orastream.client.blocking import MARGIN_S
from orastream.jetstream.api import JetStream
from tests.support.ending import end, ending_all, stored_request
from tests.support.nats_server import NatsServer
from tests.support.processes import free_port

pytestmark = pytest.mark.integration

IDS = {"session_id": "s1", "phone_id": "p1"}


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes that raises NodeUnavailable."""
    began = time.monotonic()
    with pytest.raises(NodeUnavailable, match="connection refused"):
        call()
    return time.monotonic() - began


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_reports_yields_what_the_async_client_yields(nats_server: NatsServer, js: JetStream) -> None:
    with BlockingClient(nats_server.url) as client:

        def follow(count: int, history: bool = False) -> list[Report]:
            reports = client.reports("s1", history=history)
            try:
                return [next(reports) for _ in range(count)]
            finally:
                reports.close()

        async with ending_all(js, "delivered"):
            final = await asyncio.to_thread(
                lambda: client.say("hello", **IDS, request_id="r1", fire_and_forget=False, wait_s=10)
            )
        assert await asyncio.to_thread(follow, 1, True) == [final]
        following = asyncio.create_task(asyncio.to_thread(follow, 1))
        await asyncio.sleep(0.3)  # it gets the reports from now on
        accepted = await asyncio.to_thread(lambda: client.say("hello", **IDS, fire_and_forget=True))
        await end(js, await stored_request(js, "s1", accepted.request_id), "cancelled")
        (report,) = await asyncio.wait_for(following, 10)
        assert (report.request_id, report.status) == (accepted.request_id, "cancelled")
        await asyncio.to_thread(client.close)


async def test_close_ends_the_calls_of_other_threads(nats_server: NatsServer, js: JetStream) -> None:
    client = BlockingClient(nats_server.url)

    def say_and_follow() -> None:
        client.say("hello", **IDS, request_id="r1")
        with pytest.raises(NodeUnavailable, match="closed during the call"):
            next(client.reports("s1"))

    def wait() -> None:
        with pytest.raises(NodeUnavailable, match="closed during the call"):
            client.wait("s1", "none", 60)

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(say_and_follow), pool.submit(wait)]
        await asyncio.sleep(1)
        began = time.monotonic()
        await asyncio.to_thread(client.close)
        for call in calls:
            await asyncio.wait_for(asyncio.wrap_future(call), 5)
        assert time.monotonic() - began < 5
    assert "orastream" not in {thread.name for thread in threading.enumerate()}


async def test_reports_of_before_a_close_or_a_fork_end_with_an_error(nats_server: NatsServer, js: JetStream) -> None:
    def blocking() -> int:
        with BlockingClient(nats_server.url) as client:
            reports = client.reports("s1", history=True)
            client.say("hello", **IDS)
            client.close()
            client.say("hello", **IDS)  # on a connection of its own
            with pytest.raises(NodeUnavailable, match="closed"):
                list(reports)
            following = client.reports("s1", history=True)
            client.cancel("s1")
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    list(following)
                except NodeUnavailable:
                    code = 0
                finally:
                    os._exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert await asyncio.wait_for(asyncio.to_thread(blocking), 20) == 0


async def test_reports_that_the_loop_collects_do_not_stop_it(nats_server: NatsServer, js: JetStream) -> None:
    """Python may end a generator in any thread. In that of the loop nothing may wait for the loop."""

    def blocking() -> float:
        with BlockingClient(nats_server.url) as client:
            client.say("hello", **IDS, fire_and_forget=False, wait_s=10)
            held = [client.reports("s1", history=True)]
            assert next(held[0]).status == "delivered"

            async def collect() -> None:
                held.clear()

            running, _ = client._connected()
            began = time.monotonic()
            running.thread.run(collect, 20)
            client.report("s1", "none")
            return time.monotonic() - began

    async with ending_all(js, "delivered"):
        assert await asyncio.to_thread(blocking) < 3


async def test_after_a_failed_attempt_calls_fail_at_once_and_a_server_that_comes_back_is_found(
    nats_server: NatsServer, js: JetStream
) -> None:
    nats_server.kill()

    def blocking() -> list[float]:
        def say() -> object:
            return client.say("hello", **IDS)

        first = seconds(say)
        return [first, *(seconds(say) for _ in range(5))]

    with BlockingClient(nats_server.url, connect_timeout_s=1) as client:
        first, *later = await asyncio.to_thread(blocking)
        assert 0.5 < first < 3 and max(later) < 0.3, (first, later)
        await nats_server.start()

        def until_spoken() -> None:
            deadline = time.monotonic() + 10
            while True:
                try:
                    client.say("hello", **IDS)
                    return
                except NodeUnavailable:
                    assert time.monotonic() < deadline, "the client does not find the server again"
                    time.sleep(0.1)

        await asyncio.to_thread(until_spoken)
        await asyncio.to_thread(client.close)


async def test_a_connection_that_has_ended_for_good_is_replaced(nats_server: NatsServer, js: JetStream) -> None:
    def blocking() -> tuple[int, int]:
        with BlockingClient(nats_server.url) as client:
            first = client.say("hello", **IDS)
            running, opened = client._connected()
            running.thread.run(lambda: opened.broker.__aexit__(None, None, None), 5)
            return first.request_seq, client.say("hello", **IDS).request_seq

    first, second = await asyncio.to_thread(blocking)
    assert second > first


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio leaves its half-made loop
def test_a_loop_that_cannot_be_made_is_an_error_at_once() -> None:
    """Not a wait for a thread that has ended."""
    with BlockingClient("nats://127.0.0.1:1") as client, no_more_files():
        began = time.monotonic()
        with pytest.raises(OSError, match="Too many open files"):
            client.report("s", "r")
        assert time.monotonic() - began < 2
    gc.collect()


@pytest.mark.parametrize("limit_s", [-1, float("nan"), float("inf")])
def test_a_connect_timeout_that_is_none_is_refused(limit_s: float) -> None:
    with pytest.raises(ValueError, match="^connect_timeout_s is .*: it must be a number of seconds, 0 or more"):
        BlockingClient("nats://127.0.0.1:1", connect_timeout_s=limit_s)


def test_no_connect_timeout_is_one_of_30_seconds() -> None:
    """So that a call says why, and the calls after it fail at once."""
    with BlockingClient("nats://127.0.0.1:1", connect_timeout_s=None) as client:
        assert client._options["connect_timeout_s"] == MARGIN_S == 30


def test_connect_timeout_limits_the_first_call() -> None:
    with BlockingClient(f"nats://127.0.0.1:{free_port()}", connect_timeout_s=0.5) as client:
        assert 0.1 < seconds(lambda: client.report("s", "r")) < 2


def test_a_credentials_file_as_str_is_read_by_the_first_call() -> None:
    with BlockingClient("nats://127.0.0.1:1", creds="gone.creds") as client:
        for _ in range(2):
            with pytest.raises(SettingsError, match="^creds: cannot read gone.creds"):
                client.report("s", "r")
