"""The mapping of a front door: each subject that callers publish on for a session leads to one node."""

from __future__ import annotations

import json
import re

import pytest

from orastream.contract.front_door import mapping, mapping_conf
from orastream.contract.names import Names
from tests.support.names import NAMES

pytestmark = pytest.mark.unit


def mapped(subject: str, to: str, published: str, node: int) -> str:
    """The subject to which the server maps `published`, if its session belongs to `node`."""
    wild = [got for want, got in zip(subject.split("."), published.split("."), strict=True) if want == "*"]
    placed = re.sub(r"\{\{wildcard\((\d)\)\}\}", lambda match: wild[int(match[1]) - 1], to)
    return re.sub(r"\{\{partition\(\d+,1\)\}\}", str(node), placed)


@pytest.mark.parametrize("front", ["tts", "staging"])
def test_each_subject_of_a_session_leads_to_that_of_its_node(front: str) -> None:
    door, node = Names(front), Names(f"{front}.1")
    found = mapping(door, 2)
    for one, other in (
        (door.request("*"), (door.request("s"), node.request("s"))),
        (door.cancel("*"), (door.cancel("s"), node.cancel("s"))),
        (door.text("*", "*"), (door.text("s", "r"), node.text("s", "r"))),
        (door.report_get("*", "*"), (door.report_get("s", "r"), node.report_get("s", "r"))),
        (door.report_read("*", "*"), (door.report_read("s", "r"), node.report_read("s", "r"))),
        (door.reports_read("*"), (door.reports_read("s"), node.reports_read("s"))),
        (door.audio_read("*", "*"), (door.audio_read("s", "r"), node.audio_read("s", "r"))),
        (door.heard_read("*", "*"), (door.heard_read("s", "r"), node.heard_read("s", "r"))),
        (door.heards_read("*"), (door.heards_read("s"), node.heards_read("s"))),
    ):
        assert mapped(one, found.pop(one), other[0], 1) == other[1]
    assert found == {}


def test_the_function_is_a_whole_token_and_counts_the_nodes() -> None:
    for to in mapping(NAMES, 12).values():
        assert to.split(".")[1] == "{{partition(12,1)}}"


def test_the_block_has_a_line_for_each_subject() -> None:
    first, *lines, last = mapping_conf(NAMES, 2).splitlines()
    assert (first, last) == ("mappings {", "}")
    read = dict(map(json.loads, re.split(r"\s*: (?=\")", line.strip())) for line in lines)
    assert read == mapping(NAMES, 2)


@pytest.mark.parametrize(("prefix", "nodes"), [("tts.0", 2), ("tts", 1), ("tts", 0), ("tts", 10_001)])
def test_what_is_no_front_door_is_refused(prefix: str, nodes: int) -> None:
    with pytest.raises(ValueError, match=r"node behind a front|no number of nodes"):
        mapping(Names(prefix), nodes)
