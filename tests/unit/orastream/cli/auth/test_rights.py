"""What the services of the node may do: what they need, and what they must never have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orastream.cli.auth.names import SERVICES
from orastream.cli.auth.rights import inbox_prefix, rights_of
from orastream.contract.names import Names
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[5]
CODE = {
    "services/synth": ("synth",),
    "services/gateway": ("gateway",),
    "shared/orastream/delivery": ("ws_bridge", "http_bridge"),
    "shared/orastream/jetstream/report_store.py": ("synth", "ws_bridge", "http_bridge"),
    "shared/orastream/jetstream/pull_consumer.py": ("synth", "ws_bridge", "http_bridge"),
}
"""Whose code is where. The user of each role needs the rights for all calls in it."""
READS = ("STREAM.MSG.GET", "DIRECT.GET")
CALLS = {
    "delete": ("STREAM.MSG.DELETE", "STREAM.MSG.GET"),
    "purge": ("STREAM.PURGE",),
    "read": ("DIRECT.GET",),
    "Feed": READS,
    "PageCursor": READS,
    **dict.fromkeys(("get", "after", "last"), ("STREAM.MSG.GET",)),
}
"""Methods of JetStream and readers of streams, with the calls of the API that they make."""
USE = re.compile(
    rf"(?:\b|\.)({'|'.join(CALLS)})\(\s*(?:(?:self\._)?(?:js|context\.js|session\.bridge\.js|self\._js),\s*)?"
    r"[\w.]*\bnames\.(sessions|audio|reports|texts|owners|heartbeats)_stream\b"
)


@pytest.mark.parametrize("role", SERVICES)
def test_each_service_has_inboxes_of_its_own(role: str) -> None:
    rights = rights_of(role)
    own = f"{inbox_prefix(role)}.>"
    inboxes = {one for one in rights.subscribe if one.startswith("_INBOX")}
    assert inboxes == {own} == {one for one in rights.publish or () if one.startswith("_INBOX")}


@pytest.mark.parametrize("role", SERVICES)
def test_no_service_has_a_right_that_covers_more_than_its_work(role: str) -> None:
    rights = rights_of(role)
    assert rights.publish is not None and len(set(rights.publish)) == len(rights.publish)
    for one in (*rights.publish, *rights.subscribe):
        first = one.split(".")[0]
        assert one not in (">", f"{first}.>") or first in ("_R_", inbox_prefix(role)), one
    deletes = {one for one in rights.publish if ".STREAM.DELETE." in one or ".CONSUMER.DELETE." in one}
    assert deletes == ({f"$JS.API.STREAM.DELETE.OBJ_{NAMES.phrases_bucket}"} if role == "synth" else set())


def test_only_synth_writes_audio_and_changes_streams() -> None:
    for role in SERVICES:
        publish = rights_of(role).publish or ()
        assert ("tts.put.audio.*.*" in publish) == (role == "synth")
        assert any(".STREAM.UPDATE." in one for one in publish) == (role == "synth")
        assert any(one.startswith("tts.put.report") for one in publish) == (role != "gateway")
        assert ("tts.put.heard.*.*" in publish) == (role != "gateway")
        assert ("tts.progress.*.*" in publish) == (role == "ws_bridge")


def test_only_who_speaks_reads_texts() -> None:
    assert [role for role in SERVICES if "tts.script.*.*" in rights_of(role).subscribe] == ["synth"]


def test_each_service_may_make_the_calls_that_its_code_makes() -> None:
    """Also those of rare cases, which no other test reaches under these users."""
    found = 0
    for place, roles in CODE.items():
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for method, constant in USE.findall(file.read_text()):
                found += 1
                for role in roles:
                    for call in CALLS[method]:
                        needed = f"$JS.API.{call}.{getattr(NAMES, f'{constant}_stream')}"
                        assert needed in (rights_of(role).publish or ()), f"{file}: {role} needs {needed}"
    assert found > 35, "the pattern does not find the calls any more"


@pytest.mark.parametrize("role", SERVICES)
def test_the_rights_are_those_of_the_prefix(role: str) -> None:
    def renamed(patterns: tuple[str, ...]) -> list[str]:
        changed = [re.sub(r"\btts\b(?=\.)", "staging", one) for one in patterns]
        return [
            re.sub(r"\btts_", "staging_", re.sub(r"_tts_", "_staging_", one)).replace("TTS_", "STAGING_")
            for one in changed
        ]

    usual, staging = rights_of(role), rights_of(role, (), Names("staging"))
    assert list(staging.publish or ()) == renamed(usual.publish or ())
    assert list(staging.subscribe) == renamed(usual.subscribe)


def test_a_node_behind_a_front_listens_on_the_subjects_of_the_front_that_are_not_mapped() -> None:
    node = Names("tts.0")
    assert {"tts.speak", "tts.0.speak"} <= set(rights_of("gateway", (), node).subscribe)
    assert {"tts.voices", "tts.0.voices"} <= set(rights_of("synth", (), node).subscribe)
    assert {"tts.load", "tts.0.load"} <= set(rights_of("synth", (), node).publish or ())
    assert {"tts.request.*", "tts.report.get.*.*"} <= set(rights_of("gateway", (), node).publish or ())
