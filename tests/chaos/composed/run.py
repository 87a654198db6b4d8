"""One run: node, workload, faults, settling, aftermath. Returns its history and violations."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from pydantic import TypeAdapter

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract.errors import OrastreamError
from orastream.jetstream.api import JetStream
from tests.chaos.composed import oracle
from tests.chaos.composed.aftermath import aftermath, latency
from tests.chaos.composed.callers import Gateway
from tests.chaos.composed.faults import Faults
from tests.chaos.composed.history import History, Violation
from tests.chaos.composed.node import AudioLimits, Node, replicas_of
from tests.chaos.composed.oracle.afterwards import LEFT_S
from tests.chaos.composed.recorder import Recorder, read_frames, record_end
from tests.chaos.composed.schedule import Fault, schedule
from tests.chaos.composed.texts import References
from tests.chaos.composed.workload import Conversation

HISTORY = "history.json"
SETTLE_S = 90.0
"""More than the ttl of a request: one whose claim was lost with TTS_REPORTS expires then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    seed: int
    seconds: float
    servers: int = 1
    sessions: int = 20
    replicas: int = 2
    only: tuple[str, ...] = ()
    """Kinds of faults to draw from; empty: all."""
    plant: str = ""
    """A planted fault, by name."""
    tmpfs: bool = False
    """Put the stores on file systems that a fault may fill."""
    left_s: float = LEFT_S
    """How long to wait until nothing is left. With less, what only a sweep deletes is not judged."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    plan: Plan
    faults: list[Fault]
    history: History
    violations: list[Violation]


async def run(plan: Plan, folder: Path, faults: list[Fault] | None = None) -> Outcome:
    """Run the plan in `folder`, which keeps the logs. `faults` replaces the schedule of its seed."""
    references = References()
    await references.make()
    replicas = replicas_of(plan.replicas)
    audio = AudioLimits.of(plan.seconds, plan.sessions, plan.replicas)
    node = Node(folder, servers=plan.servers, replicas=replicas, tmpfs=plan.tmpfs, audio=audio, plant=plan.plant)
    history = History(time.time())
    planned = schedule(plan.seed, plan.seconds, node.setting, plan.only) if faults is None else faults
    violations: list[Violation] = []
    try:
        async with node.running(), Broker(node.cluster.url, name="chaos", connect_timeout_s=10) as broker:
            await _recorded(plan, node, broker, history, planned, violations)
            history.frames = read_frames(node.frames, node.ora)
        history.disturbances += node.exits
        violations += oracle.judge(history, references)
    finally:
        save(folder, plan, planned, history, violations)
    return Outcome(plan, planned, history, violations)


async def _recorded(
    plan: Plan, node: Node, broker: Broker, history: History, planned: list[Fault], violations: list[Violation]
) -> None:
    """All that needs the node. If it does not answer after the faults, that is a violation, not the end of the run."""
    js = JetStream(broker)
    client = Client(broker)
    recorder = Recorder(js, history)
    history.aftermath.latency_before_s = await latency(client, history, "before")
    history.aftermath.before = node.usage()
    history.began = time.time()
    async with recorder.running():
        await _disturbed(plan, node, client, recorder, history, planned)
        await _settle(recorder, history)
        history.settled_at = time.time()
    for what in (lambda: aftermath(node, js, client, history, plan.left_s), lambda: record_end(js, history)):
        try:
            await what()
        except (OrastreamError, OSError, TimeoutError, aiohttp.ClientError, AssertionError) as exc:
            violations.append(Violation("the node does not answer", "", "", f"{type(exc).__name__}: {exc}"[:300]))


async def _disturbed(
    plan: Plan, node: Node, client: Client, recorder: Recorder, history: History, planned: list[Fault]
) -> None:
    """The workload under the faults. At the end all faults have ended."""
    until = asyncio.get_running_loop().time() + plan.seconds
    faults = Faults(node)
    history.disturbances = faults.done
    gateway = Gateway(node.processes["gateway-1"].url, client.broker)
    conversations = [
        Conversation(client, recorder, history, plan.seed, number, gateway) for number in range(plan.sessions)
    ]
    async with asyncio.TaskGroup() as tasks:
        for conversation in conversations:
            tasks.create_task(conversation.run(until))
        await faults.run(planned)
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
        await node.heal()


async def _settle(recorder: Recorder, history: History) -> None:
    """Wait until each accepted request has a final report, at most SETTLE_S seconds."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    for request in history.requests:
        if request.seq is not None:
            try:
                async with asyncio.timeout_at(deadline):
                    await recorder.final(request.key).wait()
            except TimeoutError:
                return


def save(folder: Path, plan: Plan, planned: list[Fault], history: History, violations: list[Violation]) -> None:
    """Write all that was recorded into files of the folder."""
    lines = [f"plan: {plan}", "", *map(str, planned), "", *map(str, history.disturbances), "", *map(str, violations)]
    (folder / "run.txt").write_text("\n".join(lines) + "\n")
    value = dataclasses.asdict(history)
    value["audio"] = [[*key, audio] for key, audio in value["audio"].items()]
    (folder / HISTORY).write_text(json.dumps(value))


def load(folder: Path) -> History:
    """Read what `save` has written. Raises OSError, ValueError."""
    value = json.loads((folder / HISTORY).read_text())
    value["audio"] = {(session, request): audio for session, request, audio in value["audio"]}
    return TypeAdapter(History).validate_python(value)


async def judge_again(folder: Path) -> list[Violation]:
    """Judge a saved run by the present rules."""
    references = References()
    await references.make()
    return oracle.judge(load(folder), references)


def table(outcome: Outcome) -> str:
    """The faults by kind, the requests by outcome, and the violations, for people."""
    history = outcome.history
    finals: Counter[str] = Counter()
    last = {report.key: report.status for report in [*history.reports, *history.last_reports] if report.final}
    for request in history.requests:
        finals[last.get(request.key, "no final report" if request.seq is not None else "not stored")] += 1
    repeats = Counter((f.key, f.index) for f in history.frames if f.kind == "chunk")
    counts = Counter(disturbance.kind for disturbance in history.disturbances)
    failed = Counter(disturbance.kind for disturbance in history.disturbances if disturbance.failed)
    lines = [f"{'fault':<18} {'times':>5} {'not as planned':>15}"]
    lines += [f"{kind:<18} {counts[kind]:>5} {failed[kind] or '':>15}" for kind in sorted(counts)]
    reactions = [disturbance for disturbance in history.disturbances if disturbance.kind in ("handover", "relay")]
    details = Counter(f"{reaction.kind}: {reaction.detail}" for reaction in reactions)
    lines += [f"  {detail}, {times} times" for detail, times in sorted(details.items())]
    lines += [f"{'all':<18} {sum(counts.values()):>5}", ""]
    statuses = ", ".join(f"{number} {status}" for status, number in sorted(finals.items()))
    lines.append(f"{len(history.requests)} requests: {statuses}; {len(history.cancels)} cancels")
    lines.append(
        f"{sum(f.kind == 'chunk' for f in history.frames)} chunks at OraServer, "
        f"{sum(count - 1 for count in repeats.values())} of them repeats; {len(history.aftermath.owners_dead)} owner "
        "records of dead bridges stay"
    )
    lines.append(
        f"the recorder was late {len(history.lags)} times, at most "
        f"{max((late for _, late in history.lags), default=0):.2f} s"
    )
    rules = Counter(violation.rule for violation in outcome.violations)
    lines += ["", f"{'violation':<44} {'times':>5}"] if rules else ["", "no violation"]
    lines += [f"{rule:<44} {number:>5}" for rule, number in rules.most_common()]
    lines += [f"  {v.rule}: {v.session} {v.request}: {v.detail}" for v in outcome.violations[:20]]
    return "\n".join(lines)
