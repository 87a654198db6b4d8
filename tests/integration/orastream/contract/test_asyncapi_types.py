"""Two generators make usable TypeScript types of docs/asyncapi*.yaml, by the commands of docs/reference/protocol.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.asyncapi import DOCS, NODE, ORASERVER, document, schemas
from tests.support.npm import PACKAGE
from tests.support.typescript import JSON_SCHEMA, MODELINA, assertions

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]  # npm installs the generators the first time

SIDES = {"node": (NODE, "llm_server.ts"), "oraserver": (ORASERVER, "oraserver.ts")}
"""What the commands name the types after: the document, and a program that uses the types."""
UNIONS = {
    "node": {
        "Speak",
        "ReportGet",
        "ReportRead",
        "ReportReadSession",
        "ReportReadRequest",
        "Audio",
        "AudioRead",
        "HeardRead",
        "HeardReadSession",
    },
    "oraserver": {"Speech", "Streams"},
}
"""Modelina's types of the messages of a channel."""
BOTH = pytest.mark.parametrize("generator", [JSON_SCHEMA, MODELINA])
EACH = pytest.mark.parametrize("side", SIDES)


def documented_commands() -> list[str]:
    """The commands of the section about types, each of them on one or more lines."""
    text = (DOCS / "reference" / "protocol.md").read_text()
    section = text.partition("\n## Types from the AsyncAPI documents\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE) if command]


@pytest.fixture(scope="module")
def generated(asyncapi_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documented commands were run."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "docs").symlink_to(DOCS)
    (folder / "node_modules").symlink_to(asyncapi_tools / "node_modules")
    commands = documented_commands()
    assert len(commands) == len(SIDES) * 2
    for command in commands:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", command],
            cwd=folder,
            env=os.environ | {"npm_config_offline": "true"},  # the versions of the page must be those of package.json
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return folder


def files_of(generated: Path, generator: str, side: str) -> list[Path]:
    """What a generator has made of a document."""
    if generator == MODELINA:
        return sorted((generated / side).glob("*.ts"))
    return [generated / f"{side}.d.ts"]


def types_of(generated: Path, generator: str, side: str) -> dict[str, Path]:
    """The exported types by name, with their files."""
    found: dict[str, Path] = {}
    for file in files_of(generated, generator, side):
        names = re.findall(r"^export (?:type|interface) (\w+)|^export { (\w+) };", file.read_text(), re.MULTILINE)
        found |= {first or second: file for first, second in names}
    return found


def expected_types(generator: str, side: str) -> list[str]:
    """The schemas of a document that must have a type of their own."""
    path, _ = SIDES[side]
    if generator == JSON_SCHEMA:
        return list(schemas(path))
    headers = {
        message["headers"]["$ref"].rpartition("/")[2]
        for message in document(path)["components"]["messages"].values()
        if "headers" in message
    }
    # Modelina writes plain strings where they are used.
    return [
        name for name, schema in schemas(path).items() if name not in headers and {"properties", "enum"} & schema.keys()
    ]


@BOTH
@EACH
def test_every_schema_has_a_type_of_its_name(generated: Path, generator: str, side: str) -> None:
    more = UNIONS[side] if generator == MODELINA else {"Messages"}
    assert set(types_of(generated, generator, side)) == {*expected_types(generator, side), *more}


@BOTH
@EACH
def test_types_carry_the_descriptions(generated: Path, generator: str, side: str) -> None:
    text = "".join(file.read_text() for file in files_of(generated, generator, side))
    text = " ".join(re.sub(r"^ *\*", "", text, flags=re.MULTILINE).split())
    path, _ = SIDES[side]
    for name in expected_types(generator, side):
        schema = schemas(path)[name]
        described = {name: schema} | {f"{name}.{key}": field for key, field in schema.get("properties", {}).items()}
        for what, part in described.items():
            assert "$ref" in part or " ".join(part["description"].split()) in text, what


@BOTH
@EACH
def test_types_compile_and_are_exactly_those_of_the_schemas(
    asyncapi_tools: Path, generated: Path, generator: str, side: str
) -> None:
    """A program of that side compiles with them, and refuses what it marks as an error."""
    path, program = SIDES[side]
    folder = generated / f"{generator}-{side}"
    folder.mkdir()
    shutil.copy(PACKAGE / program, folder)
    files = {name: file.relative_to(generated) for name, file in types_of(generated, generator, side).items()}
    exports = [
        f"export type {{ {name} }} from '../{file.parent / file.name.split('.')[0]}'" for name, file in files.items()
    ]
    (folder / "messages.ts").write_text("\n".join(exports))
    (folder / "assertions.ts").write_text(assertions(path, expected_types(generator, side), generator))
    tsc = [asyncapi_tools / "node_modules/.bin/tsc", "--strict", "--noEmit", "--target", "es2022", "--module", "esnext"]
    done = subprocess.run(
        [*tsc, "--moduleResolution", "bundler", "--pretty", program, "assertions.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
