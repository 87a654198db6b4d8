"""The AsyncAPI documents as data, and judges of messages by them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

DOCS = Path(__file__).resolve().parents[2] / "docs"
NODE, ORASERVER = DOCS / "asyncapi.yaml", DOCS / "asyncapi-oraserver.yaml"
NOTES = frozenset({"description", "title", "examples", "default"})
"""Words of a schema that judge nothing."""


class Strict(yaml.SafeLoader):
    """YAML in which a name twice is a mistake, not the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"line {node.start_mark.line + 1}: {sorted(twice)} stand there twice"
        return super().construct_mapping(node, deep)


@cache
def document(path: Path) -> dict[str, Any]:
    """The document, read once."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Strict)
    return loaded


def schemas(path: Path) -> dict[str, Any]:
    """Its `components.schemas`."""
    found: dict[str, Any] = document(path)["components"]["schemas"]
    return found


@cache
def judge(path: Path, schema: str) -> Draft202012Validator:
    """What says whether a value is one of that schema of the document."""
    assert schema in schemas(path), f"{path.name} has no components.schemas.{schema}"
    whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas(path)}}
    Draft202012Validator.check_schema(whole)
    return Draft202012Validator(whole)


def problems(path: Path, schema: str, value: object) -> list[str]:
    """What is wrong with the value, by place; nothing when it is as documented."""
    return [f"{error.json_path}: {error.message}" for error in judge(path, schema).iter_errors(value)]


def judging(schema: Any) -> Any:
    """The schema without its notes: what must be the same in document and code."""
    if isinstance(schema, dict):
        return {
            # below `properties` the keys are names of fields
            key: {name: judging(field) for name, field in value.items()} if key == "properties" else judging(value)
            for key, value in schema.items()
            if key not in NOTES
        }
    return [judging(item) for item in schema] if isinstance(schema, list) else schema
