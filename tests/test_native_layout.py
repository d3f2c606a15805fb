"""The order of the C++: folders as their page states it, and no circle among the files of the core."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
GLUE = ROOT / "adapter" / "glue"
#: Written by adapter/ops/generate.py, and the folder whose order they share.
GENERATED = {"aclnn_operators.h": "aclnn", "op_table.h": "entry_points"}


def stated_order() -> list[str]:
    """The folders of the glue's page from low to high; compat.h is the first."""
    page = (GLUE / "README.md").read_text(encoding="utf-8")
    return [name.rstrip("/") for name in re.findall(r"^\| `([\w./]+)` \|", page, re.MULTILINE)]


def place(path: str) -> str:
    """The entry of the page that a file, named from adapter/glue, belongs to."""
    return GENERATED.get(path) or path.partition("/")[0]


def test_folders_of_the_glue_include_only_what_stands_above_them() -> None:
    order = stated_order()
    core = {path.name for path in (ROOT / "adapter" / "core" / "include").iterdir()}
    upwards = []
    sources = [path for path in sorted(GLUE.rglob("*")) if path.suffix in (".cpp", ".h")]
    for source in sources:
        name = source.relative_to(GLUE).as_posix()
        for included in re.findall(r'^#include "([^"]+)"', source.read_text(encoding="utf-8"), re.MULTILINE):
            # torch_npu/ are the headers for extensions, beside the Python package.
            if included in core or included.startswith(("cann/", "torch_npu/")):
                continue
            if order.index(place(included)) > order.index(place(name)):
                upwards.append(f"{name} includes {included}")
    assert len(sources) > 30
    assert upwards == []


def test_the_page_of_the_glue_lists_its_folders() -> None:
    entries = {path.name for path in GLUE.iterdir()} - {"CMakeLists.txt", "README.md"}
    assert entries == set(stated_order())


def test_tests_of_the_adapter_are_in_folders_of_the_same_names() -> None:
    tests = ROOT / "adapter" / "tests"
    folders = {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")}
    others = {"package", "models", "networks", "programs"}
    assert folders - others < set(stated_order())


def test_files_of_the_core_include_each_other_without_a_circle() -> None:
    """A header and its source are one; what shuts everything down is above all of it."""
    order: TopologicalSorter[str] = TopologicalSorter()
    core = ROOT / "adapter" / "core" / "src"
    for source in sorted(core.iterdir()):
        included = re.findall(r'^#include "(\w+)\.h"', source.read_text(encoding="utf-8"), re.MULTILINE)
        order.add(source.stem, *(stem for stem in included if stem != source.stem))
    names = list(order.static_order())
    assert names.index("lifecycle") > names.index("binding") > names.index("phase")
