"""What a wheel is assembled of: a script that can be run in the source can be run when installed."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

from wheelmill.make import assemble
from wheelmill.make.toolchain.sources import SIMULATOR_PACKAGE, digest_tree, files_under
from wheelmill.matrix import Cell

from tests.sign import small


def test_a_script_of_the_simulator_can_be_run_and_a_module_cannot(tmp_path: Path) -> None:
    tree = small.source_tree(tmp_path / "tree")
    recipe = small.recipe_of(Cell(small.line(), "3.11", "x86_64"), tree).simulator
    script = tree / SIMULATOR_PACKAGE / "tools" / "bin" / "msprof"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    changed = replace(recipe, python=digest_tree(tree, files_under(tree, SIMULATOR_PACKAGE)))
    wheel = assemble.simulator_wheel(changed, small.NATIVE, tree, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        modes = {one.filename: one.external_attr >> 16 & 0o777 for one in archive.infolist()}
    assert modes["cann_simulator/tools/bin/msprof"] == 0o755
    assert modes["cann_simulator/__init__.py"] == 0o644
