"""`orastream reading`: what it prints, and what it says of a wrong lexicon."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.services import environment

pytestmark = pytest.mark.integration


async def reading(folder: Path, *arguments: str, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "reading", *arguments),
        cwd=folder,
        env=environment(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lexicon.yaml").write_text('ko:\n  SQL: 시퀄\nen:\n  Nguyen: {reading: Win, espeak: "[[w\'In]]"}\n')
    (tmp_path / "wrong.yaml").write_text("ko:\n  SQL:\n")
    return tmp_path


async def test_prints_a_line_for_each_sentence(folder: Path) -> None:
    text = "SQL은 3개. A/S는 2시."
    assert await reading(folder, text) == (0, "에스큐엘은 세 개.\n에이에스는 두 시.\n", "")
    words = ("--lexicon", "lexicon.yaml", "--pronounce", "A/S=애프터서비스")
    assert await reading(folder, text, *words) == (0, "시퀄은 세 개.\n애프터서비스는 두 시.\n", "")
    assert await reading(folder, "SQL은 3개.", TTS_LEXICON="lexicon.yaml", TTS_TEXT_NORMALIZATION="off") == (
        0,
        "시퀄은 3개.\n",
        "",
    )


async def test_reads_stdin_to_its_end(folder: Path) -> None:
    text = "SQL은 3개.\nA/S는 2시."
    assert await reading(folder, "-", stdin=text.encode()) == (0, "에스큐엘은 세 개.\n에이에스는 두 시.\n", "")
    nothing = "error: text: has nothing to say; send at least one letter or digit\n"
    assert await reading(folder, "-") == (1, "", nothing)


async def test_shows_what_each_engine_gets(folder: Path) -> None:
    asked = ("Nguyen is here.", "--lexicon", "lexicon.yaml")
    assert await reading(folder, *asked) == (0, "[[w'In]] is here.\n", "")
    assert await reading(folder, *asked, "--engine", "vits") == (0, "Win is here.\n", "")
    assert await reading(
        folder, "<speak>SQL <sub alias='SQL'>x</sub></speak>", "--ssml", *asked[1:], "--language", "ko"
    ) == (
        0,
        "시퀄 에스큐엘\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("가", "--lexicon", "wrong.yaml"), "error: wrong.yaml:2: ko.SQL: the reading is empty; "),
        (("가", "--lexicon", "none.yaml"), "error: none.yaml: there is no such file"),
        (("가", "--engine", "espaek"), "error: --engine: 'espaek' is not installed; there is: "),
        (("가", "--pronounce", "SQL="), "error: pronunciations: SQL: the reading is empty; "),
        (("...",), "error: text: has nothing to say"),
        (("<speak>", "--ssml"), "error: text: "),
    ],
)
async def test_says_what_is_wrong(folder: Path, arguments: tuple[str, ...], problem: str) -> None:
    code, out, err = await reading(folder, *arguments)
    assert (code, out) == (1, "") and err.startswith(problem) and "Traceback" not in err
