"""nats-server accepts what `init-auth` writes, for every name and session that the options accept."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.auth import names
from orastream.cli.auth.accounts import CallerAccount
from orastream.cli.auth.env_files import all_roles
from orastream.cli.auth.keys import new_seed, public_key
from orastream.cli.auth.plan import ACCOUNTS, TLS, Wishes, carry_out
from orastream.cli.auth.server_config import accounts_conf
from orastream.contract.errors import SettingsError
from tests.support.nats_server import nats_server_binary

pytestmark = pytest.mark.integration

CALLER_NAMES = st.one_of(
    st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,31}\Z"),
    st.sampled_from(
        ["true", "yes", "on", "include", "k", "mb", "accounts", "users", "e1", "inf"]
    ),  # words of the syntax
    st.text(max_size=8),
)
SESSION_IDS = st.text(max_size=12)


def problem(folder: Path, text: str) -> str | None:
    """What `nats-server -t` says against a configuration, or None."""
    config = folder / "nats.conf"
    config.write_text(f"listen: 127.0.0.1:-1\njetstream {{ store_dir: {str(folder)!r} }}\n{text}")
    done = subprocess.run([nats_server_binary(), "-t", "-c", config], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr


def checked(name: str, session_ids: list[str] | None) -> CallerAccount | None:
    try:
        return CallerAccount(names.account_name(name), session_ids and names.session_tokens(session_ids) or None)
    except SettingsError:
        return None


@hypothesis.settings(max_examples=40)
@given(st.lists(st.tuples(CALLER_NAMES, st.none() | st.lists(SESSION_IDS, min_size=1, max_size=3)), max_size=4))
def test_no_name_and_no_session_changes_the_structure(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[str, list[str] | None]]
) -> None:
    by_account = {c.account: c for name, ids in wanted if (c := checked(name, ids)) is not None}
    callers = tuple(by_account.values())
    keys = {role: public_key(new_seed()) or "" for role in all_roles(callers)}
    text = accounts_conf(callers, keys)
    assert problem(tmp_path_factory.mktemp("config"), text) is None
    # Each account is where it should be, and only these.
    found = re.findall(r'^  "(\w+)" \{$', text, re.MULTILINE)
    assert found == ["NODE", "CALLERS", "OBSERVERS", *by_account]
    assert text.count("nkey: ") == len(keys)
    assert text.isascii() and all(line.count('"') % 2 == 0 for line in text.splitlines())


def test_the_files_of_a_run_are_accepted_with_tls(tmp_path: Path) -> None:
    carry_out(
        tmp_path / "auth", Wishes(callers=("hall",), sessions="lobby,방 1", tls=True, hosts=("nats.example.com",))
    )
    tls = (tmp_path / "auth" / TLS).read_text().replace("/etc/nats/auth", str(tmp_path / "auth" / "server"))
    text = (tmp_path / "auth" / ACCOUNTS).read_text()
    assert problem(tmp_path, text + tls) is None


def test_a_damaged_configuration_is_noticed_by_this_test(tmp_path: Path) -> None:
    text = accounts_conf((), {role: public_key(new_seed()) or "" for role in all_roles(())})
    assert problem(tmp_path, text.replace('account: "NODE"', 'account: "NODES"', 1)) is not None
