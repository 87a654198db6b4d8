"""Disturbs deliveries over protocol v2 to the reference OraServer, and compares what the application got.

`damage`: many sessions over four connections, while frames of audio are dropped and damaged. `kills`: two bridges and
one OraServer, which are killed in mid-utterance at random moments and started again. Exit code 0: no byte is missing,
twice, or out of order. 1: the problems are printed, and the folder with the logs is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.streams import damage, kills
from tests.support.scenes import running_node, scene_on
from tests.support.services import Stack


def main() -> int:
    """Run once; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.streams", description=__doc__, allow_abbrev=False)
    parser.add_argument("part", choices=("damage", "kills"))
    parser.add_argument("--sessions", type=int, default=None, metavar="N", help="damage: 1000; kills: 4")
    parser.add_argument("--utterances", type=int, default=3, metavar="N", help="damage: of each session (3)")
    parser.add_argument("--share", type=float, default=0.05, metavar="X", help="damage: of the frames (0.05)")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="kills: how many (100)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of the random moments (by the clock)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time()) % 1_000_000
    print(f"seed {seed}", flush=True)
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{options.part}-{seed}-"))
    settings = damage.SETTINGS if options.part == "damage" else kills.SETTINGS
    replicas = 1 if options.part == "damage" else 2
    with running_node(folder, {}, replicas=replicas, **settings) as stack:
        outcome = asyncio.run(_run(stack, options, seed))
    print(outcome)
    print("\n".join(outcome.problems[:20]) or "no problem")
    if outcome.problems:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if outcome.problems else 0


async def _run(stack: Stack, options: argparse.Namespace, seed: int) -> damage.DamageOutcome | kills.KillsOutcome:
    async with scene_on(stack, "streams") as scene:
        if options.part == "damage":
            plan = damage.DamagePlan(options.sessions or 1_000, options.utterances, options.share, seed)
            return await damage.speak_through_damage(scene, plan)
        return await kills.Kills(scene, kills.KillsPlan(options.kills, seed, options.sessions or 4)).run()


if __name__ == "__main__":
    sys.exit(main())
