"""The rule of class names: no two public classes of `shared/` and `services/` have one name.

A reader who searches for a class finds one. A name with a leading underscore is private to its file, and may recur.

    python tests/house/class_names.py     prints each name that two classes have; exit code 1 when there is one
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FOLDERS = ("shared", "services")
SHARED_NAMES = {
    "Voice": "callers import orastream.Voice; packages with engines import services.synth.engines.base.Voice",
}
"""Names that stand twice because others import both, with the reason."""


def public_classes(root: Path) -> dict[str, list[str]]:
    """Name → places of the public classes with that name, as `path:line`."""
    found: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if "build" in path.relative_to(root).parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, []).append(f"{path.relative_to(root)}:{node.lineno}")
    return found


def main() -> int:
    """Judge this repository."""
    found = public_classes(Path(__file__).resolve().parents[2])
    twice = {name: places for name, places in found.items() if places[1:] and name not in SHARED_NAMES}
    for name, places in twice.items():
        print(f"class {name} is defined at {' and '.join(places)}; give each class its own name")
    if not twice:
        print("no two public classes of one name")
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main())
