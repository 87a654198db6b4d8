"""Reads the AsyncAPI documents and validates messages against their schemas."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

DOCS = Path(__file__).resolve().parents[2] / "docs"
NODE, ORASERVER = DOCS / "asyncapi.yaml", DOCS / "asyncapi-oraserver.yaml"
NOTES = frozenset({"description", "title", "examples", "default", "tsType"})
"""Schema keywords that do not affect validation."""
NULL = {"type": "null"}


class Strict(yaml.SafeLoader):
    """A YAML loader that raises an error for a duplicate key. PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"line {node.start_mark.line + 1}: {sorted(twice)} stand there twice"
        return super().construct_mapping(node, deep)


@cache
def document(path: Path) -> dict[str, Any]:
    """The document; read once and cached."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Strict)
    return loaded


def schemas(path: Path) -> dict[str, Any]:
    """The `components.schemas` of the document."""
    found: dict[str, Any] = document(path)["components"]["schemas"]
    return found


@cache
def judge(path: Path, schema: str) -> Draft202012Validator:
    """A validator for one schema of the document."""
    assert schema in schemas(path), f"{path.name} has no components.schemas.{schema}"
    whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas(path)}}
    Draft202012Validator.check_schema(whole)
    return Draft202012Validator(whole)


def problems(path: Path, schema: str, value: object) -> list[str]:
    """The validation errors of the value, sorted by path; empty if it is valid."""
    return [f"{error.json_path}: {error.message}" for error in judge(path, schema).iter_errors(value)]


def judging(schema: Any) -> Any:
    """The schema without NOTES and int64: the part that must be equal in document and code."""
    if isinstance(schema, dict):
        return {
            # below `properties` the keys are field names
            key: {name: judging(field) for name, field in value.items()} if key == "properties" else judging(value)
            for key, value in schema.items()
            if key not in NOTES and (key, value) != ("format", "int64")
        }
    return [judging(item) for item in schema] if isinstance(schema, list) else schema


def inlined(path: Path, schema: Any) -> Any:
    """The schema with the document's schemas in place of references. `A or null` is one schema with two types."""
    if isinstance(schema, list):
        return [inlined(path, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: inlined(path, value) for key, value in schema.items()}
    if "$ref" in plain:
        return inlined(path, schemas(path)[plain.pop("$ref").rpartition("/")[2]]) | plain
    if NULL in plain.get("oneOf", []):
        (choice,) = (choice for choice in plain.pop("oneOf") if choice != NULL)
        nullable = choice | {"type": [choice["type"], "null"]}
        return nullable | ({"enum": [*choice["enum"], None]} if "enum" in choice else {}) | plain
    return plain
