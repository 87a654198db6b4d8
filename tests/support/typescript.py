"""What the TypeScript types that are generated from a schema must be, as a module of assertions for tsc."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.asyncapi import schemas

MODELINA = "modelina"
JSON_SCHEMA = "json-schema-to-typescript"

HEAD = """
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
type Needed<T> = { [K in keyof T]-?: {} extends Pick<T, K> ? never : K }[keyof T]
"""
SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def union(choices: list[str]) -> str:
    """The union of these types; `never` without one."""
    return " | ".join(choices) or "never"


def type_of(path: Path, schema: dict[str, Any], generator: str) -> str:
    """The type of a field. Fails for an object without a name of its own: generators invent one for it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        target = schemas(path)[name]
        return f"types.{name}" if target["type"] == "object" else type_of(path, target, generator)
    if "oneOf" in schema:
        return union([type_of(path, choice, generator) for choice in schema["oneOf"]])
    if "tsType" in schema and generator == JSON_SCHEMA:
        return str(schema["tsType"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return union([json.dumps(choice) for choice in schema["enum"]])
    if schema["type"] == "array":
        items = schema.get("minItems")
        if generator == JSON_SCHEMA and items is not None and items == schema.get("maxItems"):
            return f"[{', '.join([type_of(path, schema['items'], generator)] * items)}]"
        return f"Array<{type_of(path, schema['items'], generator)}>"
    kinds = [schema.get("type")] if isinstance(schema.get("type"), str | None) else schema["type"]
    if "object" in kinds and isinstance(schema.get("additionalProperties"), dict):  # keys of any name
        values = type_of(path, schema["additionalProperties"], generator)
        keyed = "Map" if generator == MODELINA else "Record"
        return union([f"{keyed}<string, {values}>" if kind == "object" else SIMPLE[kind] for kind in kinds])
    assert set(kinds) <= SIMPLE.keys(), f"{path.name}: a field needs a type, an object a name of its own: {schema}"
    return union([SIMPLE[kind] for kind in kinds])


def assertions(path: Path, names: list[str], generator: str) -> str:
    """A module that compiles only if the types of `./messages` have exactly the fields of these schemas."""
    lines = [f"import type * as types from './messages'{HEAD}"]

    def equal(what: str, found: str, expected: str) -> None:
        lines.append(f"export const {re.sub(r'[^0-9A-Za-z]', '_', what)}: Equal<{found}, {expected}> = true")

    for name in names:
        schema = schemas(path)[name]
        if "properties" not in schema:
            equal(name, f"types.{name}", type_of(path, schema, generator))
            continue
        required = schema.get("required", [])
        # Modelina has a field for the fields that it does not know.
        more = ["additionalProperties"] if generator == MODELINA and schema.get("additionalProperties", True) else []
        equal(
            f"{name} fields",
            f"keyof types.{name}",
            union([json.dumps(field) for field in [*schema["properties"], *more]]),
        )
        equal(f"{name} required", f"Needed<types.{name}>", union([json.dumps(field) for field in required]))
        for field, value in schema["properties"].items():
            expected = type_of(path, value, generator) + ("" if field in required else " | undefined")
            equal(f"{name} {field}", f"types.{name}[{json.dumps(field)}]", expected)
    return "\n".join([*lines, ""])
