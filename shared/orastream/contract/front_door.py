"""The subject mapping of nats-server that makes N nodes one front door. Pure.

Callers publish on the front's subjects. The server maps each session to one node, by a hash of its token.
Source: docs/decisions/022-names-have-a-prefix.md, docs/guide/scale.md.
"""

from __future__ import annotations

import json

from orastream.contract.names import MAX_NODES, Names


def mapping(front: Names, nodes: int) -> dict[str, str]:
    """Return the destination of each subject that callers publish on, by subject.

    Not that of `speak`, `voices` and `load`, on which each node listens, and not that of the reports of all sessions,
    which no node has. Raises ValueError for a front that is itself a node, and unless `nodes` is 2 to MAX_NODES.
    """
    if front.behind_front:
        raise ValueError(f"{front.prefix} is a node behind a front; give the name of the front, {front.front}")
    if not 2 <= nodes <= MAX_NODES:
        raise ValueError(f"{nodes} is no number of nodes: 2 to {MAX_NODES}")
    of_session = (front.request("*"), front.cancel("*"), front.reports_read("*"), front.heards_read("*"))
    of_request = (
        front.text("*", "*"),
        front.report_get("*", "*"),
        front.report_read("*", "*"),
        front.audio_read("*", "*"),
        front.heard_read("*", "*"),
    )
    node = f"{front.prefix}.{{{{partition({nodes},1)}}}}"
    return {subject: _mapped(front.prefix, node, subject) for subject in (*of_session, *of_request)}


def _mapped(front: str, node: str, subject: str) -> str:
    rest = subject.removeprefix(f"{front}.")
    for number in range(1, rest.count("*") + 1):
        rest = rest.replace("*", f"{{{{wildcard({number})}}}}", 1)
    return f"{node}.{rest}"


def mapping_conf(front: Names, nodes: int) -> str:
    """Return the `mappings` block of nats-server's configuration. Raises ValueError as `mapping` does."""
    found = mapping(front, nodes)
    width = max(map(len, found)) + 2
    lines = [f"  {json.dumps(subject).ljust(width)}: {json.dumps(to)}" for subject, to in found.items()]
    return "\n".join(["mappings {", *lines, "}"]) + "\n"
