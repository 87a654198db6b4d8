"""One run of `init-auth` after another: what it keeps, what it adds, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.auth import env_files, keys, plan
from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.plan import Wishes
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


def seeds(folder: Path) -> dict[str, str | None]:
    return {path.stem: env_files.seed_in(path.read_text()) for path in folder.glob("*.env")}


def accounts(folder: Path) -> str:
    return (folder / plan.ACCOUNTS).read_text()


def test_first_run_makes_a_key_for_each_role_and_puts_only_public_keys_into_the_configuration(tmp_path: Path) -> None:
    done = plan.carry_out(tmp_path, Wishes(callers=("shop",)))
    found = seeds(tmp_path)
    assert sorted(found) == sorted(
        ["synth", "ws_bridge", "http_bridge", "gateway", "operator", "llm", "observer", "shop"]
    )
    for seed in found.values():
        assert seed is not None and seed not in accounts(tmp_path)
        assert f'nkey: "{keys.public_key(seed)}",' in accounts(tmp_path)
    assert {plan.ACCOUNTS, plan.TLS, "shop.env"} <= set(done.changed)
    assert not any(seed in repr(done) for seed in found.values() if seed)


def test_second_run_keeps_all_keys_and_adds_callers(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes(callers=("shop",)))
    before = seeds(tmp_path)
    done = plan.carry_out(tmp_path, Wishes(callers=("hall",), sessions="lobby"))
    after = seeds(tmp_path)
    assert {role: after[role] for role in before} == before
    assert done.callers == (CallerAccount("SHOP"), CallerAccount("HALL", ("lobby",)))
    # The services must learn of the new account; those who are not concerned keep their files.
    services = {f"{role}.env" for role in ("synth", "ws_bridge", "http_bridge", "gateway")}
    assert set(done.changed) == services | {"hall.env", plan.ACCOUNTS}
    assert "TTS_CALLERS=CALLERS,SHOP,HALL\n" in (tmp_path / "synth.env").read_text()


def test_a_run_without_wishes_changes_nothing(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes(callers=("shop",), tls=True, hosts=("10.0.0.5",)))
    assert plan.carry_out(tmp_path, Wishes()).changed == []


def test_rotate_makes_one_new_key(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes())
    before = seeds(tmp_path)
    done = plan.carry_out(tmp_path, Wishes(rotate=("llm",)))
    after = seeds(tmp_path)
    assert {role for role in after if after[role] != before[role]} == {"llm"}
    assert set(done.changed) == {"llm.env", plan.ACCOUNTS}
    with pytest.raises(SettingsError, match=r"--rotate: there is no role shop; there are: synth,"):
        plan.carry_out(tmp_path, Wishes(rotate=("shop",)))


def test_a_role_whose_file_was_moved_away_keeps_its_key(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes(callers=("shop",)))
    before = accounts(tmp_path)
    (tmp_path / "shop.env").unlink()
    done = plan.carry_out(tmp_path, Wishes())
    assert (done.elsewhere, accounts(tmp_path)) == (["shop"], before)
    assert not (tmp_path / "shop.env").exists()
    assert plan.carry_out(tmp_path, Wishes(rotate=("shop",))).changed[:1] == ["shop.env"]
    assert accounts(tmp_path) != before


def test_a_damaged_key_is_an_error_that_names_the_fix(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes())
    (tmp_path / "llm.env").write_text("NATS_NKEY_SEED=SUAA\n")
    with pytest.raises(SettingsError, match=r"llm\.env holds no intact NATS_NKEY_SEED.*--rotate llm"):
        plan.carry_out(tmp_path, Wishes())


def test_a_run_that_was_killed_between_two_files_is_completed_by_the_next_one(tmp_path: Path) -> None:
    """The state is written last: a key that it does not know is taken from its file."""
    plan.carry_out(tmp_path, Wishes())
    state = (tmp_path / "auth.json").read_bytes()
    plan.carry_out(tmp_path, Wishes(callers=("shop",), rotate=("llm",)))
    complete, found = accounts(tmp_path), seeds(tmp_path)
    (tmp_path / "auth.json").write_bytes(state)
    (tmp_path / plan.ACCOUNTS).unlink()
    plan.carry_out(tmp_path, Wishes(callers=("shop",)))
    assert (accounts(tmp_path), seeds(tmp_path)) == (complete, found)


@pytest.mark.parametrize(
    ("wishes", "problem"),
    [
        (Wishes(sessions="a"), "--sessions: belongs to exactly one --caller"),
        (Wishes(callers=("shop", "hall"), sessions="a"), "--sessions: belongs to exactly one --caller"),
        (Wishes(callers=("shop", "SHOP")), "--caller: a name occurs twice"),
        (Wishes(callers=("node",)), "--caller: NODE"),
        (Wishes(hosts=("a b",)), "--host"),
    ],
)
def test_wrong_options_are_errors(tmp_path: Path, wishes: Wishes, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        plan.carry_out(tmp_path, wishes)


def test_a_caller_named_again_takes_new_sessions_and_never_loses_them_by_mistake() -> None:
    hall, narrow = CallerAccount("HALL", ("lobby",)), CallerAccount("HALL", ("stage",))
    assert plan.merged([hall], [narrow]) == (narrow,)
    assert plan.merged([hall], [CallerAccount("HALL")]) == (hall,)
    assert plan.merged([CallerAccount("HALL")], [narrow]) == (narrow,)
    assert plan.merged([CallerAccount("SHOP")], [hall]) == (CallerAccount("SHOP"), hall)


def test_tls_makes_certificates_and_keeps_the_authority(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes())
    assert "cert_file" not in (tmp_path / plan.TLS).read_text()
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == [
        "gateway", "http_bridge", "synth", "ws_bridge",
    ]  # fmt: skip
    plan.carry_out(tmp_path, Wishes(tls=True))
    assert "cert_file: /etc/nats/auth/server.crt" in (tmp_path / plan.TLS).read_text()
    authority, server = (tmp_path / "ca.crt").read_bytes(), (tmp_path / "server/server.crt").read_bytes()
    done = plan.carry_out(tmp_path, Wishes(hosts=("10.0.0.5",)))
    assert done.tls and (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "server/server.crt").read_bytes() != server
    assert "tls/llm/client.crt" not in done.changed
    assert "NATS_URL=tls://10.0.0.5:4222\n" in (tmp_path / "llm.env").read_text()
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("ca.key", "tls/llm/client.key", "llm.env")}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "tls/synth/client.key").stat().st_mode & 0o777 == 0o644  # a container reads it as another user


def test_a_new_authority_renews_every_certificate(tmp_path: Path) -> None:
    plan.carry_out(tmp_path, Wishes(tls=True))
    (tmp_path / "ca.crt").unlink()
    done = plan.carry_out(tmp_path, Wishes())
    assert {"ca.key", "server/server.crt", "tls/synth/client.crt", "tls/llm/client.crt"} <= set(done.changed)
    own = (tmp_path / "ca.crt").read_bytes()
    assert all(path.read_bytes() == own for path in (tmp_path / "tls").glob("*/ca.crt"))


NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,5}\Z").map(lambda name: f"c{name}")


@given(runs=st.lists(st.lists(NAMES, max_size=2, unique=True), min_size=1, max_size=3))
def test_any_order_of_runs_has_one_account_for_each_caller(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    for callers in runs:
        plan.carry_out(folder, Wishes(callers=tuple(callers)))
    expected = list(dict.fromkeys(caller.upper() for callers in runs for caller in callers))
    saved = json.loads((folder / "auth.json").read_text())
    assert [caller["name"] for caller in saved["callers"]] == expected
    for account in expected:
        assert accounts(folder).count(f'\n  "{account}" {{\n') == 1
    shutil.rmtree(folder)
