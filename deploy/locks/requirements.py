"""`requirements.py FOLDER EXTRA[,EXTRA]`: what the project in FOLDER needs of the package index, one line for each."""

import sys
import tomllib
from pathlib import Path


def requirements(folder: Path, extras: str) -> list[str]:
    """The dependencies of the project and of these extras, without those on packages of this repository."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [
        one for extra in extras.split(",") for one in project["optional-dependencies"][extra]
    ]
    return [requirement for requirement in wanted if not requirement.startswith("orastream")]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), sys.argv[2])))
