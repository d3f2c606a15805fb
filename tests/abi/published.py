"""What published wheels need of torch, kept small: the wheels themselves are 30 MB each.

`python -m tests.abi.published WHEEL...`, with PYTHONPATH=release, writes tests/abi/needs/NAME.json.xz again.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wheelmill.prove.abi.extension import read_extension
from wheelmill.prove.abi.kept import Shelf
from wheelmill.prove.abi.model import Derived, Extension
from wheelmill.prove.abi.obstacles import accepted, has_text, names_operator
from wheelmill.prove.abi.window import changed_signatures

ROOT = Path(__file__).parents[2]
NEEDS = Path(__file__).parent / "needs"
SHELF = Shelf(ROOT / "matrix" / "abi")


def keep(wheels: Iterable[str]) -> None:
    """Write what these wheels need. Of their texts, the operators whose signature ever changed are kept."""
    for wheel in wheels:
        found = read_extension(Path(wheel))
        records = [SHELF.record(origin.name) for origin in SHELF.of("torch", found.arch)]
        changed = changed_signatures(records)
        named = sorted(name for name in changed if names_operator(found, name))
        keys = {key for record in records for key in record.interface.allocator_keys}
        named += sorted(key for key in keys if has_text(found, key))
        types = {text for variants in changed.values() for text in variants}
        takes = {one for text in types for one in accepted(text)}
        NEEDS.mkdir(exist_ok=True)
        file = NEEDS / f"{'-'.join(found.wheel.split('-')[:2])}.json.xz"
        file.write_bytes(lzma.compress(json.dumps(_small(found, named, takes)).encode(), preset=9))


def _small(found: Extension, named: list[str], takes: set[str]) -> dict[str, Any]:
    return asdict(found) | {
        "texts": named,
        "symbols": sorted(found.symbols),
        "function_types": sorted(found.function_types & takes),
        "mentioned": sorted(found.mentioned),
        "parts": {name: _small(part, named, takes) for name, part in found.parts.items()},
    }


def kept(name: str) -> Extension:
    """What `torch_npu-2.13.0` needs."""
    return _extension(json.loads(lzma.decompress((NEEDS / f"{name}.json.xz").read_bytes())))


def _extension(data: dict[str, Any]) -> Extension:
    for field in ("symbols", "function_types", "mentioned"):
        data[field] = frozenset(data[field])
    for field in ("pythons", "libraries", "unrecorded"):
        data[field] = tuple(data[field])
    data["derived"] = tuple(
        Derived(one["name"], one["base"], tuple(one["slots"]), one.get("alone", False))
        for one in data["derived"]
    )
    data["texts"] = b"".join(b"\0" + name.encode() + b"\0" for name in data["texts"])
    data["parts"] = {name: _extension(part) for name, part in data.get("parts", {}).items()}
    return Extension(**data)


if __name__ == "__main__":
    keep(sys.argv[1:])
