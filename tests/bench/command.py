"""The benchmark command: runs the measurements in order, within a time limit."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from tests.bench import (
    barge_in,
    cluster_recovery,
    conversation,
    false_takeovers,
    forwarding,
    hostile,
    levels,
    node,
    nodes,
    overload,
    publish_window,
    sessions,
    streams,
    sync_cost,
    voices,
    whole_node,
)
from tests.bench.measure import Sample

PARTS = ("window", "forwarding", "conversation", "latency", "first-audio", "recovery")
ALONE = (
    *("idle", "many-idle", "past", "node-cost", "hops", "sync", "overload", "fairness", "hostile", "voices"),
    *("false-takeovers", "cluster-recovery", "nodes", "nodes-cluster", "v2", "barge-in", "levels"),
)
"""Parts that run only with `--only`: they take minutes, and `voices` needs `make torch`."""
BUDGET_S = 230.0
"""No forwarder measurement begins later than this many seconds, so that this part takes about four minutes."""


async def run(options: argparse.Namespace) -> int:
    """Run the measurements and print their tables. Returns 1 if the real bridge misses a goal, else 0."""
    began = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    # SIGTERM cancels, as Ctrl-C does, so that the started processes are ended.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rounds = 1 if options.quick else options.rounds
    seconds = 1.0 if options.quick else 2.0
    print(
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {rounds} round(s); "
        "rates depend on the machine, ratios less"
    )
    wanted = [options.only] if options.only else PARTS
    missed = False
    if "window" in wanted:
        print("\n" + await publish_window.measure(rounds), flush=True)
    samples: list[Sample] = []
    if "forwarding" in wanted:
        samples = await forwarding.measure(
            rounds,
            seconds,
            BUDGET_S - (time.monotonic() - began),
            _progress,
        )
        print("\n" + forwarding.report(samples), flush=True)
        missed |= forwarding.goals_missed(samples)
    if "conversation" in wanted:
        talks = await conversation.measure(1 if options.quick else 3, _progress, many=not options.quick)
        print("\n" + conversation.report(talks), flush=True)
        missed |= conversation.goals_missed(talks)
    for name, sessions_part in (("idle", sessions.idle), ("many-idle", sessions.many_idle), ("past", sessions.past)):
        if name in wanted:
            text, too_bad = await sessions_part()
            print("\n" + text, flush=True)
            missed |= too_bad
    if "v2" in wanted:
        text, too_bad = await streams.measure(options.quick, _progress)
        print("\n" + text, flush=True)
        missed |= too_bad
    if "latency" in wanted:
        print("\n" + await asyncio.to_thread(node.latency, 10 if options.quick else 50), flush=True)
    if "sync" in wanted:
        utterances, of_requests = (10, 1) if options.quick else (100, 5)
        print("\n" + await asyncio.to_thread(sync_cost.measure, utterances, of_requests), flush=True)
    tries = 2 if options.quick else 20
    with_goals: dict[str, Callable[[], tuple[str, bool]]] = {
        "first-audio": lambda: node.first_audio(rounds),
        "recovery": lambda: node.recovery(tries),
        "cluster-recovery": lambda: cluster_recovery.recovery(tries),
        "overload": lambda: overload.overload(10.0 if options.quick else 60.0),
        "fairness": lambda: (overload.fairness(), False),
        "hostile": lambda: hostile.hostile(6.0 if options.quick else 20.0),
        "false-takeovers": lambda: false_takeovers.measure(30.0 if options.quick else 600.0),
        "voices": lambda: voices.measure(options.quick, _progress),
        "node-cost": lambda: whole_node.cost(20 if options.quick else 100),
        "nodes": lambda: nodes.measure(sessions=10 if options.quick else 100),
        "nodes-cluster": lambda: nodes.measure(3, 10 if options.quick else 100),
        "levels": lambda: (levels.measure(), False),
        "barge-in": lambda: barge_in.measure(rounds, options.quick, _progress),
        "hops": lambda: whole_node.hops(10 if options.quick else 50),
    }
    for name, measure in with_goals.items():
        if name in wanted:
            text, too_bad = await asyncio.to_thread(measure)
            print("\n" + text, flush=True)
            missed |= too_bad
    print(f"\n{time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(sample) for sample in samples], indent=1))
    return int(missed)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", choices=PARTS + ALONE, help="one part alone")
    parser.add_argument("--json", type=Path, help="also write every sample there")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        return uvloop.run(run(parser.parse_args()))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
