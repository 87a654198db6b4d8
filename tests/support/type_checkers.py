"""Runs mypy (strict) and pyright on programs outside of the repository, as a user of the library does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.npm import installed
from tests.support.services import REPOSITORY

PYRIGHT = REPOSITORY / "tests" / "types"
_MYPY = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+): error: (?P<message>.*)$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class TypeProblem:
    """An error of a type checker."""

    file: str
    """Name of the file, without its folder."""
    line: int
    """From 1."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


async def mypy(folder: Path, python: str | Path = sys.executable) -> list[TypeProblem]:
    """The errors of `mypy --strict` in the files of a folder, for a project with the packages of `python`."""
    options = ("--strict", "--config-file=", "--follow-imports=silent", "--hide-error-context", "--no-pretty")
    packages = (f"--python-executable={python}", f"--cache-dir={REPOSITORY / '.mypy_cache' / 'users'}")
    failed, output = await _run(folder, sys.executable, "-m", "mypy", *options, *packages, ".")
    found = sorted(TypeProblem(one["file"], int(one["line"]), one["message"]) for one in _MYPY.finditer(output))
    assert failed is bool(found), output
    return found


async def pyright(
    folder: Path, mode: Literal["standard", "strict"] = "standard", *, python: str | Path = sys.executable
) -> list[TypeProblem]:
    """The errors of pyright in the files of a folder, with what `python` has. Writes a `pyrightconfig.json` there.

    Skips the test without node.js; with REQUIRE_NODE=1 it fails instead.
    """
    config = {
        "typeCheckingMode": mode,
        "extraPaths": [str(REPOSITORY / "shared")],
        "reportUnusedExpression": False,
        "include": ["."],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    program = installed(PYRIGHT) / "node_modules" / "pyright" / "index.js"
    failed, output = await _run(folder, "node", str(program), "--pythonpath", str(python), "--outputjson")
    found = sorted(
        TypeProblem(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in json.loads(output)["generalDiagnostics"]
        if one["severity"] == "error"
    )
    assert failed is bool(found), output
    return found


async def _run(folder: Path, *command: str) -> tuple[bool, str]:
    """Whether the checker found an error, by its exit code, and its output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(REPOSITORY / "shared")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode in (0, 1), output.decode()  # 1: there are errors
    return process.returncode == 1, output.decode()
