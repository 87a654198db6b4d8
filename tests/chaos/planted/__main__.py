"""`python -m tests.chaos.planted`: does the chaos suite find what is planted? See `--help`."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from tests.chaos.composed.run import Plan, run
from tests.chaos.planted.planted_faults import RUNS
from tests.support.tmpfs import why_no_tmpfs

DESCRIPTION = """\
For each planted fault: runs the node with it, under the seed that is known to find it, and looks for the violation that
it causes. With --without the same seeds run without the planted faults, and must show no violation.

Each run takes one to five minutes; nothing else should load the machine. Exit code 0: all as expected. 1: not; then
the folders with the logs are kept and named.
"""


def main() -> int:
    """Run the planted faults that are named, or all; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.planted",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    known = ", ".join(sorted(RUNS))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these planted faults, of {known}")
    parser.add_argument("--without", action="store_true", help="the same runs without the planted faults")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(RUNS)):
        parser.error(f"no planted fault: {', '.join(unknown)}; there are {known}")
    logging.disable(logging.WARNING)
    names = [name for name in RUNS if not options.names or name in options.names]
    print(f"{'fault':<22} {'run':<68} {'took':>6}  result", flush=True)
    wrong = sum(not _try(name, planted=not options.without) for name in names)
    print(f"{len(names) - wrong} of {len(names)} runs as expected")
    return 1 if wrong else 0


def _try(name: str, *, planted: bool) -> bool:
    """One run, and its line. Whether it showed the violation, or, without the planted fault, none."""
    found = RUNS[name]
    plan = Plan(
        found.seed,
        found.seconds,
        only=found.only,
        plant=name if planted else "",
        tmpfs=not why_no_tmpfs(),
    )
    folder = Path(tempfile.mkdtemp(prefix=f"planted-{name}-"))
    print(f"{name:<22} {found.options:<68} ", end="", flush=True)
    began = time.monotonic()
    violations = Counter(violation.rule for violation in uvloop.run(run(plan, folder)).violations)
    result = ", ".join(f"{rule}: {count}" for rule, count in violations.most_common()) or "no violation"
    good = any(violations[rule] for rule in found.violations) if planted else not violations
    if good:
        shutil.rmtree(folder)
    else:
        result += f"; expected: {' or '.join(found.violations) if planted else 'no violation'}; logs: {folder}"
    print(f"{time.monotonic() - began:>4.0f} s  {result}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
