"""The configuration for a CI without wheelmill says to cibuildwheel what the matrix says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.matrix import load

PROJECT = Path(__file__).parents[2]
MATRIX = load(PROJECT / "matrix" / "compat.yaml")


@pytest.mark.parametrize("branch", ["v2.1.0-5.0.rc3", MATRIX.cells()[0].line.branch])
def test_cibuildwheel_reads_the_line_s_cells_from_it(branch: str, tmp_path: Path) -> None:
    """Also that every option is one it knows: it refuses others."""
    pytest.importorskip("cibuildwheel", reason="it runs on Python 3.11 or newer")
    command = [sys.executable, "-m", "wheelmill", "cibuildwheel", "--line", branch]
    environment = {"PYTHONPATH": str(PROJECT / "release")}
    text = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    path = tmp_path / "cibuildwheel.toml"
    path.write_text(text)
    words = ["--config-file", str(path), "--platform", "linux", "--archs", "x86_64,aarch64"]
    listed = subprocess.run(
        [sys.executable, "-m", "cibuildwheel", *words, "--print-build-identifiers", str(PROJECT / "adapter")],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    cells = [cell for cell in MATRIX.cells() if cell.line.branch == branch]
    wanted = {f"cp{cell.python.replace('.', '')}-manylinux_{cell.arch}" for cell in cells}
    assert set(listed.stdout.split()) == wanted
    torch = cells[0].line.torch
    for arch in {cell.arch for cell in cells}:
        assert any(wheel.sha256 in text for wheel in torch.wheels if wheel.arch == arch)
