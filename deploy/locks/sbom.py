"""Writes a bill of materials for each image: `make sbom`.

    python deploy/locks/sbom.py NODE_BOM FOLDER

NODE_BOM is CycloneDX (JSON) of an environment with the locked packages. Each image's file has those of its components
that are in the image, with the SHA-256 of the locked files, and the libraries that are in their wheels.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from licences import HERE, bundled, normal

SERVICES = ("gateway", "http_bridge", "oraserver", "synth", "ws_bridge")
OWN = {"orastream", "orastream-services"}


def locked(*images: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Name → version, and name → SHA-256 of the files that pip may install, from these locks."""
    text = "\n".join((HERE / f"{name}.txt").read_text() for name in images)
    entries = re.findall(r"^([a-z0-9-]+)==(\S+)((?: \\\n.*sha256:\w+)+)", text, re.MULTILINE)
    versions = {name: version for name, version, _ in entries}
    return versions, {name: re.findall(r"sha256:(\w+)", found) for name, _, found in entries}


def libraries(package: str) -> list[dict[str, Any]]:
    """The components that are in the wheel of a package."""
    return [
        {
            "type": "library",
            "bom-ref": f"{package}/{library['name']}",
            "name": library["name"],
            "description": f"in the wheel of {package}",
            "licenses": [{"expression": library["licence"]}],
        }
        for library in bundled().get(package, {}).get("libraries", ())
    ]


def of_image(node: dict[str, Any], image: str) -> dict[str, Any]:
    """The bill of one image. Raises SystemExit if a locked package is not in the environment, in its locked version."""
    versions, files = locked("runtime", image)
    names = versions.keys()
    bill = copy.deepcopy(node)
    kept = [one for one in bill["components"] if normal(one["name"]) in names | OWN]
    if missing := names - {normal(one["name"]) for one in kept}:
        raise SystemExit(f"not installed: {', '.join(sorted(missing))}")
    for component in kept:
        name = normal(component["name"])
        if name not in OWN:
            if component["version"] != versions[name]:
                raise SystemExit(f"{name} {component['version']} is installed, {versions[name]} is locked")
            distribution = {"type": "distribution", "url": f"https://pypi.org/project/{name}/{versions[name]}/"}
            digests = [{"alg": "SHA-256", "content": one} for one in files[name]]
            component.setdefault("externalReferences", []).append(distribution | {"hashes": digests})
    bill["components"] = kept + [one for name in sorted(names) for one in libraries(name)]
    refs = {one["bom-ref"] for one in bill["components"]}
    bill["dependencies"] = [
        one | {"dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in refs]}
        for one in bill.get("dependencies", ())
        if one["ref"] in refs
    ]
    bill["metadata"]["component"] = {"type": "container", "name": f"orastream-{image}", "version": "0.1.0"}
    return bill


def main() -> None:
    """Write the bills. Raises SystemExit if one is not valid by CycloneDX' schema."""
    node, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    for image in SERVICES:
        path = folder / f"{image}.cdx.json"
        text = json.dumps(of_image(node, image), indent=2, ensure_ascii=False) + "\n"
        if (problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
            raise SystemExit(f"{image}: {problem}")
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
