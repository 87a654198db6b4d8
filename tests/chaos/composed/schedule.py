"""Which faults happen when: a pure function of the seed. Times are seconds from the beginning of the run."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orastream.contract.names import BRIDGES, SYNTH
from tests.support.names import NAMES

STREAMS = (
    NAMES.sessions_stream,
    NAMES.audio_stream,
    NAMES.reports_stream,
    NAMES.texts_stream,
    NAMES.owners_stream,
    NAMES.heartbeats_stream,
)
CONSUMERS = (SYNTH, *BRIDGES)
MEAN_GAP_S = 1.4
QUIET_END_S = 1.0
"""No fault lasts longer than until this many seconds before the end."""

LOST_DATA_ALONE_S = 6.0
"""Before and after a server loses its data, no other server and no route has a fault for so long.

Raft keeps what a majority has stored only if a server does not forget: the others must be up to date at that moment.
"""


DRAIN_S = 13.0
"""For a service process to end after SIGTERM, and to be launched again."""
SERVER_START_S = 4.0
"""For a nats-server to end, and to be ready again."""
RECEIVER_KILL_S = 5.0
"""For OraServer to stand still before it is killed, at most 2 s, and to start again."""
SLOW_AFTER_CUT_S = 2.0
"""For a link that is slow after it was cut."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the faults can hit: the names of the processes, the number of nats-servers."""

    services: tuple[str, ...]
    """`synth-1`, `ws_bridge-2`, …"""
    servers: int = 1
    tmpfs: bool = False
    """Whether the stores are on file systems that a fault may fill."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault, which lasts from `at` until `at + seconds`."""

    at: float
    seconds: float
    kind: str
    target: str
    value: float = 0.0

    def __str__(self) -> str:
        size = f" {self.value:g}" if self.value else ""
        return f"{self.at:7.2f} s  {self.seconds:5.2f} s  {self.kind:<18} {self.target}{size}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: how often it is drawn, how long it lasts, and what it occupies meanwhile.

    Two faults that occupy the same thing do not overlap.
    """

    weight: float
    min_s: float
    max_s: float
    occupies: str
    """`{target}` is the target: `process:{target}` and so on."""


KINDS: dict[str, Kind] = {
    "kill": Kind(6, 0.1, 4.0, "process:{target}"),
    "stop": Kind(6, 0.5, 13.0, "process:{target}"),
    "restart": Kind(2, 0.1, 0.5, "process:{target}"),
    "rolling": Kind(0.7, 0.1, 0.3, "rolling"),
    "nats_cut": Kind(5, 0.05, 2.5, "nats:{target}"),
    "nats_delay": Kind(2, 1.0, 6.0, "nats:{target}"),
    "nats_hold": Kind(3, 0.5, 10.0, "nats:{target}"),
    "nats_hole": Kind(3, 0.5, 7.0, "nats:{target}"),
    "ora_cut": Kind(3, 0.05, 3.0, "ora:{target}"),
    "ora_delay": Kind(2, 1.0, 6.0, "ora:{target}"),
    "ora_hold": Kind(2, 0.5, 6.0, "ora:{target}"),
    "ora_hole": Kind(5, 0.3, 4.0, "ora:{target}"),
    "ora_stall": Kind(2, 0.5, 4.0, "ora:{target}"),
    "handover": Kind(2.5, 11.0, 15.0, "handover"),
    "relay": Kind(2.5, 9.0, 12.0, "relay"),
    "receiver_slow": Kind(2, 1.0, 5.0, "receiver:slow"),
    "receiver_silent": Kind(1.5, 1.0, 12.0, "receiver:silent"),
    "receiver_503": Kind(1.5, 0.5, 4.0, "receiver:refuse"),
    "receiver_403": Kind(0.6, 0.3, 1.5, "receiver:refuse"),
    "receiver_drop": Kind(2, 0.5, 3.0, "receiver:drop"),
    "receiver_lie": Kind(1.0, 0.5, 3.0, "receiver:lie"),
    "receiver_kill": Kind(1.5, 0.1, 3.0, "receiver:process"),
    "receiver_stop": Kind(1.5, 0.5, 6.0, "receiver:process"),
    "server_kill": Kind(1.5, 0.1, 3.0, "server"),
    "server_stop": Kind(1.0, 0.5, 5.0, "server"),
    "server_restart": Kind(0.7, 0.1, 0.5, "server"),
    "server_rolling": Kind(0.4, 2.0, 3.0, "server"),
    "leader_kill": Kind(1.0, 0.1, 3.0, "server"),
    "lost_data": Kind(0.15, 0.2, 1.5, "server"),
    "disk_full": Kind(0.7, 1.0, 5.0, "server"),
    "stepdown": Kind(3, 0.0, 0.0, "stepdown"),
    "route_cut": Kind(2, 0.5, 8.0, "route:{target}"),
    "route_delay": Kind(1.5, 1.0, 8.0, "route:{target}"),
    "route_hole": Kind(1.5, 0.5, 8.0, "route:{target}"),
    "delete_consumer": Kind(0.8, 0.0, 0.0, "delete"),
    "delete_stream": Kind(0.35, 0.0, 0.0, "delete"),
}


def schedule(seed: int, seconds: float, setting: Setting, only: Iterable[str] = ()) -> list[Fault]:
    """The faults of a run of `seconds` seconds, in order. The same arguments give the same schedule.

    `only` names the kinds to draw from; empty: all that are possible with so many servers and processes. Without
    `tmpfs` the schedule is the same, except that the faults `disk_full` are left out.
    """
    with_tmpfs = replace(setting, tmpfs=True)
    kinds = {name: kind for name, kind in KINDS.items() if targets(name, with_tmpfs) and (not only or name in only)}
    names, weights = list(kinds), [kind.weight for kind in kinds.values()]
    rng = random.Random(f"schedule {seed}")
    busy_until: dict[str, float] = {}
    faults: list[Fault] = []
    at = 1.0
    while names and at < seconds - QUIET_END_S:
        name = rng.choices(names, weights)[0]
        kind = kinds[name]
        target = rng.choice(targets(name, with_tmpfs))
        length = rng.uniform(kind.min_s, kind.max_s)
        value = _value(name, rng)
        occupied = _occupied(name, kind, target)
        end = at + longest_s(name, length)
        before_s, after_s = (LOST_DATA_ALONE_S, LOST_DATA_ALONE_S) if name == "lost_data" else (0.0, 0.3)
        if end <= seconds - QUIET_END_S and all(at >= busy_until.get(what, 0.0) + before_s for what in occupied):
            if target in targets(name, setting):
                faults.append(Fault(round(at, 3), round(length, 3), name, target, value))
            for what in occupied:
                busy_until[what] = end + after_s
        at += rng.expovariate(1 / MEAN_GAP_S)
    return faults


def longest_s(name: str, length: float) -> float:
    """How long a fault may really take: `length` is only the part of it that is drawn.

    A process needs up to 12 s to drain, a nats-server some seconds to start. The bounds are above what was measured.
    """
    if name == "server_rolling":
        return 3 * (length + SERVER_START_S)
    if name in ("rolling", "handover", "relay"):
        return {"rolling": 30.0, "handover": 20.0, "relay": 14.0}[name]
    if name == "restart":
        return length + DRAIN_S
    if name in ("server_kill", "server_restart", "leader_kill", "lost_data", "disk_full"):
        return length + SERVER_START_S
    if name == "receiver_kill":
        return length + RECEIVER_KILL_S
    return length + (SLOW_AFTER_CUT_S if name == "nats_cut" else 0.0)


def targets(kind: str, setting: Setting) -> list[str]:
    """What a kind of fault can hit in this setting; empty: it cannot happen."""
    bridges = [name for name in setting.services if "bridge" in name]
    servers = [str(number) for number in range(setting.servers)]
    if kind in ("kill", "stop", "restart") or kind.startswith("nats_"):
        return list(setting.services)
    if kind == "rolling":
        return sorted({name.rpartition("-")[0] for name in setting.services})
    if kind.startswith("ora_"):
        return bridges
    if kind == "handover":
        websocket = [name for name in bridges if _service(name) == "ws_bridge"]
        return websocket if len(websocket) > 1 else []
    if kind == "relay":
        synths = [name for name in setting.services if name.startswith("synth")]
        return synths if len(synths) > 1 else []
    if kind.startswith("receiver_"):
        return ["oraserver"]
    if kind == "disk_full":
        return servers if setting.tmpfs else []
    if kind == "server_rolling":
        return ["all"] if setting.servers > 1 else []
    if kind == "leader_kill":
        return list(STREAMS[:4]) if setting.servers > 1 else []
    if kind.startswith("server_") or kind == "lost_data":
        return servers
    if kind == "stepdown":
        return [*STREAMS, *(f"consumer {name}" for name in CONSUMERS)] if setting.servers > 1 else []
    if kind.startswith("route_"):
        return [f"{low}-{high}" for low in servers for high in servers if low < high]
    return list(CONSUMERS) if kind == "delete_consumer" else list(STREAMS)


def _service(name: str) -> str:
    return name.rpartition("-")[0]


def _occupied(name: str, kind: Kind, target: str) -> list[str]:
    """What the fault occupies, so that no other fault that occupies one of these overlaps it."""
    if name == "handover":
        names = [f"{_service(target)}-{n}" for n in range(1, 10)]  # it delays the links of all bridges of this kind
        return ["handover", *(f"{what}:{name}" for what in ("process", "nats", "ora") for name in names)]
    if name == "relay":
        return ["relay", *(f"process:synth-{n}" for n in range(1, 10))]
    if name == "rolling":
        return ["rolling", *(f"process:{target}-{n}" for n in range(1, 10))]
    if name == "receiver_403":  # a receiver that stands still cannot end it
        return ["receiver:refuse", "receiver:process"]
    if name == "lost_data":
        return ["server", *(f"route:{low}-{high}" for low in range(5) for high in range(low + 1, 5))]
    return [kind.occupies.format(target=target)]


def _value(name: str, rng: random.Random) -> float:
    """How strong the fault is: seconds of delay, chunks before a break, and so on; 0 if it has no strength."""
    drawn = rng.random()
    if name in ("nats_delay", "ora_delay"):
        return round(0.02 + 0.6 * drawn, 3)
    if name == "nats_cut":
        return round(0.3 * drawn, 3) if drawn > 0.4 else 0.0  # how slow the link is when it comes back
    if name == "route_delay":
        return round(0.02 + 0.2 * drawn, 3)
    if name == "receiver_slow":
        return float(round(20 + 180 * drawn))
    if name == "receiver_kill":
        return round(2 * drawn, 3)
    if name == "receiver_drop":
        return float(1 + int(5 * drawn))
    return 0.0
