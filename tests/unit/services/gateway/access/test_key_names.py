"""Entries of GATEWAY_API_KEYS: which are named, and that each older key still works."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.key_names import MIN_KEY_CHARS, KeyEntry, read_entries

pytestmark = pytest.mark.unit

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
entries = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1, max_size=40).map(str.strip)


@pytest.mark.parametrize(
    ("entry", "name", "key"),
    [
        ("shop=0123456789abcdef", "shop", "0123456789abcdef"),
        ("Shop_2-x=0123456789abcdef", "Shop_2-x", "0123456789abcdef"),
        ("shop=abc=defgh==", "shop", "abc=defgh=="),  # a key may itself contain `=`
        ("shop=" + "x" * MIN_KEY_CHARS, "shop", "x" * MIN_KEY_CHARS),
        ("x" * 64 + "=0123456789abcdef", "x" * 64, "0123456789abcdef"),
        ("keys-1=0123456789abcdef", "keys-1", "0123456789abcdef"),
    ],
)
def test_entry_with_a_name_and_a_key_is_named(entry: str, name: str, key: str) -> None:
    assert read_entries([entry]) == [KeyEntry(name, (key, entry))]


@pytest.mark.parametrize(
    ("entry", "doubtful"),
    [
        ("plain", False),
        ("abc=", False),
        ("YWJj==", False),
        ("YWJjZGVmZ2hpamtsbW5vcA==", False),
        ("YWJjZGVmZ2hpamtsbW5vcHE=", False),
        ("===", False),
        ("=0123456789abcdef", False),
        ("a b=0123456789abcdef", False),
        ("shop =0123456789abcdef", False),
        ("열쇠=0123456789abcdef", False),
        ("a+b/c=0123456789abcdef", False),
        ("x" * 65 + "=0123456789abcdef", False),
        ("long-secret=1", True),  # `1` must not become a key
        ("long-secret=1234567", True),
        ("long-secret=1======", True),
        ("key-2=0123456789abcdef", True),  # the name of another caller
        ("KEY-2=0123456789abcdef", True),
        ("anonymous=0123456789abcdef", True),
    ],
)
def test_any_other_entry_is_a_plain_key(entry: str, doubtful: bool) -> None:
    assert read_entries([entry]) == [KeyEntry("key-1", (entry,), doubtful)]


def test_plain_keys_are_named_by_their_position() -> None:
    names = [entry.name for entry in read_entries(["one", "shop=0123456789abcdef", "two", "one"])]
    assert names == ["key-1", "shop", "key-3", "key-4"]


@given(st.lists(entries.filter(bool), min_size=1, max_size=6))
def test_each_whole_entry_is_accepted_as_before_names_existed(listed: list[str]) -> None:
    keys = ApiKeys(listed)
    for entry in listed:
        sent = entry.encode().decode("latin-1")
        assert keys.caller({"x-api-key": sent}) is not None


@given(st.lists(entries.filter(bool), min_size=1, max_size=6), entries)
def test_nothing_else_than_entries_and_long_named_keys_is_accepted(listed: list[str], sent: str) -> None:
    accepted = ApiKeys(listed).caller({"x-api-key": sent.encode().decode("latin-1")}) is not None
    named = [entry.partition("=")[2] for entry in listed if re.match(r"[A-Za-z0-9_-]{1,64}=", entry)]
    assert not accepted or sent in listed or (sent in named and len(sent) >= MIN_KEY_CHARS)


@given(st.binary(min_size=1, max_size=60))
def test_base64_keys_stay_plain(secret: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        key = encode(secret).decode()
        assert read_entries([key]) == [KeyEntry("key-1", (key,))]


@given(NAMES.filter(lambda name: not re.fullmatch(r"(?i)key-\d+|anonymous", name)), st.binary(min_size=6, max_size=60))
def test_name_is_found_by_the_key_and_is_no_part_of_it(name: str, secret: bytes) -> None:
    key = base64.b64encode(secret).decode()
    keys = ApiKeys(["other", f"{name}={key}"])
    assert keys.caller({"authorization": f"Bearer {key}"}) == name
    assert keys.caller({"authorization": f"Bearer {name}"}) is None
    assert keys.caller({"x-api-key": "other"}) == "key-1"


@given(entries.filter(bool))
def test_name_of_a_plain_key_is_no_part_of_the_key(entry: str) -> None:
    (read,) = read_entries([entry])
    assert read.name == "key-1" or entry.startswith(f"{read.name}=")


def test_several_keys_may_have_one_name_and_the_first_of_two_names_of_a_key_counts() -> None:
    keys = ApiKeys(["shop=old-key-0123", "shop=new-key-0123", "bot=old-key-0123"])
    assert [keys.caller({"x-api-key": key}) for key in ("old-key-0123", "new-key-0123")] == ["shop", "shop"]
    assert keys.caller({"x-api-key": "shop=new-key-0123"}) == "shop"
