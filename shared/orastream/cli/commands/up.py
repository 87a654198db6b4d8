"""`orastream up`: runs a whole node on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from orastream.cli import terminal
from orastream.cli.checks import diagnosis
from orastream.cli.node import stack, upfile
from orastream.cli.node.nats_config import Sync
from orastream.cli.node.ports import Ports
from orastream.cli.node.settings import DATA_DIR, environment
from orastream.cli.node.stack import Options, Stack
from orastream.cli.node.supervisor import PartKeeper, State, Supervisor
from orastream.cli.node.upfile import Service, UpFile
from orastream.service.unknown_settings import unknown_names

LOG_EVERY_S = 0.2
SHOWN_LINES = 6
"""How many lines of its log are shown when a process has died."""
STYLES = {State.READY: "green", State.STARTING: "cyan", State.WAITING: "red", State.HELD: "red", State.STOPPED: "dim"}


def up(
    nats_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of NATS; 0: any free one, also for health.")
    ] = 4222,
    gateway_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the HTTP gateway; 0: any free one.")
    ] = 8000,
    oraserver_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the reference OraServer; 0: any free one.")
    ] = 8080,
    data_dir: Annotated[
        Path, typer.Option(help="Directory for the files of NATS and OraServer, logs and up.json.")
    ] = DATA_DIR,
    no_oraserver: Annotated[
        bool, typer.Option("--no-oraserver", help="Start no OraServer; deliver to the one in ORASERVER_*.")
    ] = False,
    sync: Annotated[
        Sync, typer.Option(help="When NATS syncs to the disk: every two minutes, or always before it acks.")
    ] = Sync.PERIODIC,
    replicas: Annotated[str, typer.Option(help="Processes per service, as in synth=2,ws_bridge=2.")] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show the logs, each line with its process' name.")
    ] = False,
) -> None:
    """Run a whole node on this machine: NATS, synth, both bridges, the gateway and a reference OraServer.

    Every service runs in its own process and is restarted when it dies; so is NATS, with its port and data. `ready` is
    printed when all of them accept work. Ctrl-C drains: services first, NATS last. A second Ctrl-C kills them.
    """

    async def command() -> int:
        stack.check_installed()
        warn_of_unknown()
        options = Options(
            data_dir=data_dir,
            nats_port=nats_port,
            gateway_port=gateway_port,
            oraserver_port=None if no_oraserver else oraserver_port,
            replicas=stack.parse_replicas(replicas),
            sync=sync,
            env=environment(),
        )
        with upfile.locked(data_dir):
            ports = Ports(host=stack.listens_on(options.env))
            node = stack.plan(options, ports, disk_bytes=stack.room(data_dir))
            for warning in node.warnings:
                terminal.warn(warning)
            await _run(node, data_dir, verbose)
        return 0

    terminal.run(command())


async def _run(node: Stack, data_dir: Path, verbose: bool) -> None:
    """Start the node, print when it is ready, and run it until a signal."""
    out = terminal.console()
    board = Board(out, node, data_dir, verbose)
    supervisor = Supervisor(node.parts, node.logs, board.show_change)
    with _stop_signals(supervisor) as stop:
        try:
            async with supervisor, _logs_shown(supervisor, verbose):
                with board.starting(supervisor):
                    up_now = await _unless(stop, supervisor.ready())
                if up_now:
                    board.ready(supervisor)
                    await stop.wait()
                out.print("draining …")
        finally:
            upfile.remove(data_dir)
    out.print("stopped")


def warn_of_unknown() -> None:
    """Print a warning for each variable that looks like a setting of the node but is not one."""
    for name in unknown_names():
        finding = diagnosis.judge_unknown(name)
        terminal.warn(f"{finding.says}; {finding.fix}")


class Board:
    """Prints the state of the processes, and writes it to up.json."""

    def __init__(self, out: Console, node: Stack, data_dir: Path, verbose: bool) -> None:
        self._out = out
        self._node = node
        self._data_dir = data_dir
        self._verbose = verbose
        self._live: Live | None = None
        self._supervisor: Supervisor | None = None

    @contextlib.contextmanager
    def starting(self, supervisor: Supervisor) -> Iterator[None]:
        """Show the progress of the start: a live table on a terminal, else a line per process."""
        if not self._out.is_terminal or self._verbose:
            yield
            return
        with Live(console=self._out, transient=True, get_renderable=lambda: status_table(supervisor)) as self._live:
            yield
        self._live = None

    def ready(self, supervisor: Supervisor) -> None:
        """Print that all processes accept work, and write up.json."""
        self._supervisor = supervisor
        self._write(supervisor)
        node = self._node
        self._out.print(status_table(supervisor))
        self._out.print(terminal.words(f"logs: {node.logs}"), soft_wrap=True)
        urls = [f"NATS {node.nats_url}", f"gateway {node.gateway_url}", f"console {node.gateway_url}/console"]
        if node.oraserver_url is not None:
            urls.append(f"OraServer {node.oraserver_url}/received")
        where = f" · {' · '.join(urls)} · Ctrl-C drains"
        self._out.print(terminal.words(("ready", "bold green"), where), soft_wrap=True)

    def show_change(self, keeper: PartKeeper, sentence: str) -> None:
        """Print the new state of a process, and update up.json."""
        if self._supervisor is not None:
            self._write(self._supervisor)
        elif self._live is None and keeper.state is State.READY:
            self._out.print(f"{keeper.part.name} is ready (pid {keeper.pid})", soft_wrap=True)
        if sentence:
            self._out.print(terminal.words((sentence, STYLES[keeper.state])), soft_wrap=True)
        if keeper.state is State.WAITING and not self._verbose:
            for line in keeper.log.last_lines(SHOWN_LINES):
                self._out.print(terminal.words((f"  {line}", "dim")), soft_wrap=True)

    def _write(self, supervisor: Supervisor) -> None:
        services = tuple(Service(name=k.part.name, pid=k.pid, health_url=k.part.health_url) for k in supervisor.keepers)
        UpFile(
            pid=os.getpid(),
            nats_url=self._node.nats_url,
            nats_monitoring_url=self._node.nats_monitoring_url,
            gateway_url=self._node.gateway_url,
            oraserver_url=self._node.oraserver_url,
            websocket_url=self._node.websocket_url,
            http_url=self._node.http_url,
            services=services,
        ).write(self._data_dir)


def status_table(supervisor: Supervisor) -> Table:
    """A table with a line per process."""
    made = terminal.table("process", "state", ">pid", "at")
    for keeper in supervisor.keepers:
        state = keeper.state.value
        if keeper.state is State.STARTING and keeper.lacks not in ("", "starting"):
            state += f" ({keeper.lacks})"
        pid = "-" if keeper.pid is None else str(keeper.pid)
        made.add_row(keeper.part.name, terminal.words((state, STYLES[keeper.state])), pid, keeper.part.url)
    return made


@contextlib.contextmanager
def _stop_signals(supervisor: Supervisor) -> Iterator[asyncio.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets. A second one kills the remaining processes.

    SIGHUP does the same in a terminal, which sends it when it is closed. Without a terminal, as under systemd, it is
    passed on to the synths, which then read their lexicon anew.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            supervisor.kill()
        stop.set()

    def on_hang_up() -> None:
        for keeper in supervisor.keepers:
            if keeper.part.name.partition("-")[0] == "synth":
                keeper.signal(signal.SIGHUP)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    if not has_terminal():
        loop.add_signal_handler(signal.SIGHUP, on_hang_up)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Whether `work` ended before `stop` was set; otherwise `work` is cancelled. Raises what `work` raises."""
    working = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
        return True
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)


@contextlib.asynccontextmanager
async def _logs_shown(supervisor: Supervisor, verbose: bool) -> AsyncIterator[None]:
    """With `verbose`, print new lines of the logs to stderr while the context is open, each with its process' name."""
    if not verbose:
        yield
        return
    err = terminal.console(stderr=True)

    def show() -> None:
        for keeper in supervisor.keepers:
            for line in keeper.log.new_lines():
                err.print(terminal.words((f"{keeper.part.name:>12} |", "dim"), f" {line}"), soft_wrap=True)

    async def follow() -> None:
        while True:
            show()
            await asyncio.sleep(LOG_EVERY_S)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        show()
