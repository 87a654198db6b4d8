"""A credentials file, or the seed of an nkey: errors name what is wrong and never show the content."""

from __future__ import annotations

import base64
from pathlib import Path

import nats.errors
import nkeys
import pytest

from orastream.broker.credentials import Credentials, NkeySeed
from orastream.contract.errors import SettingsError
from tests.support.nats_operator import Key, creds_text

pytestmark = pytest.mark.unit

JWT = "eyJ0eXAiOiJKV1Qi.eyJqdGkiOiJB-_.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def user() -> Key:
    """Return a user's key."""
    return Key.new(nkeys.PREFIX_BYTE_USER)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_credentials_return_the_jwt_and_sign_a_nonce(tmp_path: Path, user: Key, line_end: str) -> None:
    """Also with Windows' line ends."""
    path = tmp_path / "user.creds"
    path.write_bytes(creds_text(JWT, user.seed).replace("\n", line_end).encode())
    credentials = Credentials(path)
    credentials.check()
    assert credentials.jwt() == JWT.encode()
    assert user.pair.verify(b"nonce", base64.b64decode(credentials.sign("nonce")))


def test_error_names_the_problem_and_does_not_show_the_content(tmp_path: Path, user: Key) -> None:
    account = Key.new(nkeys.PREFIX_BYTE_ACCOUNT).seed
    damaged = user.seed[:-6] + ("AAAAAA" if user.seed[-6:] != "AAAAAA" else "BBBBBB")
    path = tmp_path / "user.creds"
    for text, expected in [
        (b"", "the JWT of a user"),
        (b"\xff\xfe\x00", "is no credentials file"),
        (JWT.encode(), "the JWT of a user"),
        (creds_text(JWT, "").encode(), "the seed of a user's key"),
        (creds_text(JWT, account).encode(), "the seed of a user's key"),
        (creds_text(JWT, damaged).encode(), "is damaged"),
    ]:
        path.write_bytes(text)
        with pytest.raises(SettingsError, match=r"^NATS_CREDS: ") as caught:
            Credentials(path).check()
        message = str(caught.value)
        assert expected in message and str(path) in message
        assert JWT not in message and damaged not in message and account not in message


@pytest.mark.parametrize("name", ["missing.creds", "."])
def test_check_raises_settings_error_when_the_file_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"^NATS_CREDS: cannot read .*\((No such file|Is a directory)"):
        Credentials(tmp_path / name).check()


def test_credentials_raise_an_error_of_nats_py_when_the_file_is_deleted_later(tmp_path: Path) -> None:
    """After any other error nats-py would stop its tries to reconnect."""
    credentials = Credentials(tmp_path / "gone.creds")
    with pytest.raises(nats.errors.Error):
        credentials.jwt()
    with pytest.raises(nats.errors.Error):
        credentials.sign("nonce")


# ---- the bare seed of an nkey


@pytest.mark.parametrize("form", ["{}", " {}\n", "# user of the node\n{}\r\n", "{}\nUABC\n"])
def test_seed_in_a_file_signs_a_nonce(tmp_path: Path, user: Key, form: str) -> None:
    path = tmp_path / "user.nk"
    path.write_text(form.format(user.seed))
    seed = NkeySeed(str(path))
    seed.check()
    assert seed.public_key() == user.public
    assert user.pair.verify(b"nonce", base64.b64decode(seed.sign("nonce")))


def test_seed_itself_signs_a_nonce(user: Key) -> None:
    seed = NkeySeed(f" {user.seed}\n")
    seed.check()
    assert seed.public_key() == user.public and user.seed not in repr(seed)
    assert user.pair.verify(b"nonce", base64.b64decode(seed.sign("nonce")))


def test_error_about_a_seed_does_not_show_it(tmp_path: Path, user: Key) -> None:
    account = Key.new(nkeys.PREFIX_BYTE_ACCOUNT).seed
    damaged = user.seed[:-6] + ("AAAAAA" if user.seed[-6:] != "AAAAAA" else "BBBBBB")
    path = tmp_path / "user.nk"
    for text, expected in [
        ("", "holds no seed of a user"),
        (account, "holds no seed of a user"),
        (user.public, "holds no seed of a user"),
        (user.seed[:-1], "holds no seed of a user"),
        (damaged, "is a damaged seed"),
        (creds_text(JWT, user.seed), "is a credentials file; set NATS_CREDS"),
    ]:
        path.write_text(text)
        for value in (str(path), text):
            with pytest.raises(SettingsError, match=r"^NATS_NKEY_SEED: ") as caught:
                NkeySeed(value).check()
            message = str(caught.value)
            assert value != str(path) or expected in message
            assert not any(secret in message for secret in (user.seed[:-1], damaged, account, JWT))
    for value in (f"'{user.seed}'", f"seed={user.seed}", user.seed.lower(), f"{user.seed}\x00"):
        with pytest.raises(SettingsError, match=r"^NATS_NKEY_SEED: the value \(not shown\) is no seed") as caught:
            NkeySeed(value).check()
        assert user.seed[2:20].lower() not in str(caught.value).lower()


@pytest.mark.parametrize("name", ["missing.nk", "."])
def test_check_raises_settings_error_when_the_file_of_a_seed_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"^NATS_NKEY_SEED: cannot read .*\((No such file|Is a directory)"):
        NkeySeed(str(tmp_path / name)).check()


def test_seed_that_has_gone_lets_the_client_try_again(tmp_path: Path) -> None:
    with pytest.raises(nats.errors.Error):
        NkeySeed(str(tmp_path / "gone.nk")).public_key()
