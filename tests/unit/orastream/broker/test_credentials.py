"""A credentials file: errors name what is wrong and never show the content."""

from __future__ import annotations

import base64
from pathlib import Path

import nats.errors
import nkeys
import pytest

from orastream.broker.credentials import Credentials
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
