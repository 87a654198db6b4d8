"""Expressions that the rules of both languages use."""

import re
import time

import pytest

from services.synth.reading.common import HOST_LABEL, NETWORK_CARD, PLAIN, roman_value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("numeral", "value"), [("I", 1), ("IV", 4), ("XIV", 14), ("XL", 40), ("CCCXCIX", 399), ("MCMXCIX", 1999)]
)
def test_a_roman_numeral_has_a_value(numeral: str, value: int) -> None:
    assert roman_value(numeral) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234.5kg", "1,234.5"), ("007", "007"), ("1,23", "1"), ("12.", "12"), ("1.2.3", "1"), ("1,234567", "1")],
)
def test_a_plain_number_has_whole_groups_and_one_point(text: str, number: str) -> None:
    match = re.match(PLAIN, text)
    assert match is not None and match[0] == number


def test_a_plain_number_of_many_digits_takes_linear_time() -> None:
    began = time.process_time()
    for digits in ("1" * 100_000, "1,111" * 20_000, "1.1" * 30_000):
        assert re.match(PLAIN + "x", digits) is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("00:1A:2b:3C:4D:5E", True),
        ("00-1A-2B-3C-4D-5E", True),
        ("00:1A:2B:3C:4D", False),
        ("00:1A:2B:3C:4D:5E:6F", False),
    ],
)
def test_the_address_of_a_network_card_has_six_pairs(text: str, whole: bool) -> None:
    assert (NETWORK_CARD.search(text) is not None) is whole


@pytest.mark.parametrize(
    ("label", "fits"), [("a", True), ("a-1", True), ("-a", False), ("a-", False), ("a" * 63, True), ("a" * 64, False)]
)
def test_a_part_of_a_host_name(label: str, fits: bool) -> None:
    assert (re.fullmatch(HOST_LABEL, label) is not None) is fits
