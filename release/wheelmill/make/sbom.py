"""The SBOM of a wheel, CycloneDX as JSON: what is in it, what it needs, and what it was built in.

It lies in the wheel (PEP 770), so it is part of the wheel's bytes: a pure function of the recipe and the
files. It is written here and not by a CycloneDX library, because another release of one may order or add
fields and would change the wheels; the library is what the result is validated with.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelmill.limits import parse_json
from wheelmill.make.metadata import ADAPTER, SIMULATOR
from wheelmill.matrix.own import own_packages

if TYPE_CHECKING:
    from wheelmill.make.plan import BuildImage, BundleRecipe, Recipe, SimulatorRecipe

SPEC = "1.6"
SUFFIX = ".cdx.json"
_NAMESPACE = uuid.UUID(
    "5f0b7f0e-53a5-5d0c-9c0b-7a1f0d6c2b11"
)  # of serial numbers: the key of a recipe names one
_LICENSE = "BSD-3-Clause"


def sbom_path(name: str, version: str) -> str:
    """Where a wheel has its SBOM: `NAME-2.1.0rc1.dist-info/sboms/NAME.cdx.json`."""
    return f"{name}-{version}.dist-info/sboms/{name}{SUFFIX}"


def adapter_sbom(recipe: Recipe, native: Mapping[str, bytes]) -> bytes:
    """The SBOM of the adapter's wheel; `native` maps its native files to their bytes."""
    line = recipe.cell.line
    properties = {
        "branch": line.branch,
        "cell": recipe.cell.key,
        "python": recipe.cell.python,
        "arch": recipe.cell.arch,
    }
    component = _python_package(ADAPTER, line.adapter, own_packages().adapter.summary)
    name = own_packages().sdk
    sdk = {
        "type": "platform",
        "bom-ref": f"{name.lower()}@{line.cann}",
        "name": name,
        "version": line.cann,
        "description": "What the wheel was built for; not in it, loaded when the first device is used",
    }
    return _of_bundle(component, recipe, native, properties, [sdk])


def simulator_sbom(recipe: SimulatorRecipe, native: Mapping[str, bytes]) -> bytes:
    """The SBOM of the simulator's wheel."""
    component = _python_package(SIMULATOR, recipe.bundle.torch, own_packages().simulator.summary)
    return _of_bundle(component, recipe, native, {"arch": recipe.bundle.arch}, [])


def package_sbom(
    recipe: Mapping[str, Any],
    version: str,
    summary: str,
    requires: Iterable[str],
    native: Mapping[str, bytes],
) -> bytes:
    """The SBOM of a described project's wheel; `recipe` is the stamp that lies in it, too."""
    component = {**_package(str(recipe["package"]), version), **({"description": summary} if summary else {})}
    sdks = [_compiled_against(one["name"], one["version"], one["sha256"]) for one in recipe["sdks"]]
    named = {str(one["name"]) for one in sdks}
    others = [
        {"type": "library", "bom-ref": f"pkg:pypi/{name}", "name": name, "description": f"Required: {text}"}
        for name, text in sorted({canonicalize_name(Requirement(one).name): one for one in requires}.items())
        if name not in named
    ]
    properties = {"line": str(recipe["line"]), **recipe["cell"], "recipe": str(recipe["key"])}
    compiler = _compiler(str(recipe["compiler"]))
    return _document(
        component, str(recipe["key"]), int(recipe["epoch"]), properties, [*sdks, *others], native, [compiler]
    )


def _of_bundle(
    component: Mapping[str, Any],
    recipe: Recipe | SimulatorRecipe,
    native: Mapping[str, bytes],
    properties: Mapping[str, str],
    needed: Iterable[Mapping[str, Any]],
) -> bytes:
    bundle = recipe.bundle
    needs = [_compiled_against("torch", bundle.torch, bundle.sdk), *needed]
    said = {**properties, "recipe": recipe.key, "bundle": bundle.key}
    built = list(_built_with(bundle, recipe.image))
    return _document(component, recipe.key, recipe.epoch, said, needs, native, built)


def _compiled_against(name: str, version: str, sha256: str) -> dict[str, Any]:
    return {
        **_package(name, version),
        "hashes": [_sha256(sha256)],
        "description": "What the wheel was compiled against; not in it. The hash is of the wheel "
        "that was used.",
    }


def _document(
    component: Mapping[str, Any],
    key: str,
    epoch: int,
    properties: Mapping[str, str],
    needs: Sequence[Mapping[str, Any]],
    native: Mapping[str, bytes],
    built_with: Sequence[Mapping[str, Any]],
) -> bytes:
    files = [_file(name, data) for name, data in sorted(native.items())]
    data = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, key)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "wheelmill"}]},
            "component": dict(component),
            "properties": _properties(properties),
        },
        "components": [*needs, *files],
        "dependencies": [
            {"ref": component["bom-ref"], "dependsOn": sorted(item["bom-ref"] for item in needs)},
            *({"ref": ref} for ref in sorted(item["bom-ref"] for item in needs)),
        ],
        "formulation": [{"bom-ref": "build", "components": list(built_with)}],
    }
    return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode()


def _built_with(bundle: BundleRecipe, image: BuildImage) -> Iterator[dict[str, Any]]:
    """The compiler, and the image that it ran in; without an image it was the machine's own."""
    if image:
        yield {
            "type": "container",
            "bom-ref": f"image@{image.id}",
            "name": image.name,
            "version": image.id,
            "hashes": [_sha256(image.id.removeprefix("sha256:"))],
            "properties": _properties({"base": image.base, "dockerfile": image.dockerfile}),
        }
    yield _compiler(bundle.compiler)


def _compiler(identity: str) -> dict[str, Any]:
    return {"type": "application", "bom-ref": "compiler", "name": "C++ compiler", "version": identity}


def _python_package(name: str, version: str, summary: str) -> dict[str, Any]:
    return {
        **_package(name.replace("_", "-"), version),
        "description": summary,
        "licenses": [{"license": {"id": _LICENSE}}],
    }


def _package(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{name}",
        "name": name,
        "mime-type": "application/x-sharedlib" if ".so" in PurePosixPath(name).name else "text/plain",
        "hashes": [_sha256(hashlib.sha256(data).hexdigest())],
    }


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _properties(words: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"wheelmill:{name}", "value": words[name]} for name in sorted(words)]


def faults(document: bytes) -> str | None:
    """What the schema of the CycloneDX that a document names says against it, and of which place of it.

    None when it is valid.
    """
    try:
        said = parse_json(document)
        spec = str(said["specVersion"])
    except (ValueError, LookupError, TypeError):
        return "no JSON document that names its specVersion"
    validator = _validator(spec)
    if validator is None:
        return f"its specVersion {spec[:20]!r} is unknown"
    try:
        validation = validator.validate_str(document.decode("utf-8", "replace"))
    except RecursionError:
        return "it is nested too deeply"
    return None if validation is None else _placed(validation.data)


def _placed(fault: Any) -> str:
    """`$.components[1]: 'name' is a required property`."""
    place, said = getattr(fault, "json_path", "$"), str(getattr(fault, "message", fault))
    return f"{place[:200]}: {said[:300]}"


@lru_cache(maxsize=16)
def _validator(spec: str) -> Any:
    """Reads a schema once: a thousand documents take a second. None for one that is not known."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    try:
        return JsonStrictValidator(SchemaVersion.from_version(spec))
    except ValueError:
        return None
