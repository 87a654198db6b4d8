"""`python -m tests.chaos.composed`: faults that overlap, on a whole node under load; see `--help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from tests.chaos.composed.node import replicas_of
from tests.chaos.composed.run import Outcome, Plan, judge_again, run, table
from tests.chaos.composed.schedule import KINDS, Setting, schedule
from tests.chaos.planted.planted_faults import PLANTS
from tests.support.tmpfs import why_no_tmpfs

DESCRIPTION = """\
Starts a node of its own (nats-server, or three as a cluster; synths and bridges; an OraServer that logs each frame),
lets sessions talk to it, and disturbs it with faults that overlap. Then it judges, from outside, what callers and
OraServer got: each accepted request has one final report, which never changes; what was delivered is what is stored,
and what the engine makes undisturbed, byte for byte; the order of a session; nothing after a final report.

The seed and the options decide the schedule. Without the right to mount a tmpfs it is the same, without its faults
`disk_full`. Exit code 0: no violation. 1: at least one; then the folder with all logs is kept and named. Everything
listens on loopback.
"""

EPILOG = """\
examples:
  make chaos SECONDS=60 SEED=1
  make chaos SECONDS=600 SEED=3 NATS=3 SESSIONS=100
  python -m tests.chaos.composed --seconds 60 --seed 1 --only kill --only ora_cut     only these faults
  python -m tests.chaos.composed --seed 1 --show                                      only print the schedule

The file run.txt in the folder has the schedule, the faults as they happened, and all violations; history.json has all
that was recorded; the other files are the logs of the processes.
"""


def main() -> int:
    """Run once; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.composed",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="how long the faults last (60)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of faults and workload (drawn)")
    parser.add_argument("--nats", type=int, choices=(1, 3), default=1, help="number of nats-servers (1)")
    parser.add_argument("--sessions", type=int, default=20, metavar="N", help="sessions that talk at once (20)")
    parser.add_argument("--replicas", type=int, default=2, metavar="N", help="processes of each service (2)")
    parser.add_argument("--only", action="append", default=[], choices=sorted(KINDS), metavar="KIND", help="only these")
    plants = ", ".join(sorted(PLANTS))
    parser.add_argument("--plant", default="", choices=sorted(PLANTS), metavar="NAME", help=f"plant a fault: {plants}")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="judge a run that was kept, by the present rules")
    parser.add_argument("--show", action="store_true", help="print the schedule and end")
    parser.add_argument("--keep", action="store_true", help="keep the folder also without a violation")
    options = parser.parse_args()
    if options.judge is not None:
        violations = uvloop.run(judge_again(options.judge))
        print("\n".join(f"{v.rule}: {v.session} {v.request}: {v.detail}" for v in violations) or "no violation")
        return 1 if violations else 0
    seed = options.seed if options.seed is not None else int(time.time()) % 1_000_000
    no_tmpfs = why_no_tmpfs()
    plan = Plan(
        seed,
        options.seconds,
        options.nats,
        options.sessions,
        options.replicas,
        tuple(options.only),
        options.plant,
        not no_tmpfs,
    )
    print(f"seed {seed}: {plan}")
    if no_tmpfs:
        print(f"no fault `disk_full`: {no_tmpfs}")
    return _show(plan) if options.show else _run(plan, keep=options.keep)


def _show(plan: Plan) -> int:
    services = tuple(
        f"{service}-{n}" for service, count in replicas_of(plan.replicas).items() for n in range(1, count + 1)
    )
    for fault in schedule(plan.seed, plan.seconds, Setting(services, plan.servers, plan.tmpfs), plan.only):
        print(fault)
    return 0


def _run(plan: Plan, *, keep: bool) -> int:
    logging.disable(logging.WARNING)
    _show(plan)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.seed}-"))
    try:
        outcome = uvloop.run(_until_signal(run(plan, folder)))
    except asyncio.CancelledError:
        print(f"ended by a signal; logs: {folder}")
        return 2
    except BaseException:
        print(f"logs: {folder}")
        raise
    print()
    print(table(outcome))
    if outcome.violations or keep:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if outcome.violations else 0


async def _until_signal(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run it. A signal cancels it, so that no process and no mount is left. Raises CancelledError then."""
    task = asyncio.ensure_future(running)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
