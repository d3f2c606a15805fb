"""The tables of versions in the READMEs: fresh, the same in both, the same on any day."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.pick.readme import BEGIN, END, READMES, replaced, table
from wheelmill.pick.shelf import Shelf
from wheelmill.project import find_project

from tests.matrix.small import COMPAT

ROOT = Path(__file__).parents[2]


def shelf(day: date) -> Shelf:
    here = find_project(COMPAT)
    return Shelf(here.matrix(), here.catalogue(), day)


@pytest.mark.parametrize("name", READMES)
def test_the_table_is_fresh(name: str) -> None:
    """It follows from the matrix and the catalogue; `wheelmill readme-tables` writes it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert replaced(text, table(shelf(date(2026, 11, 28)), READMES[name]), name) == text


def test_it_does_not_depend_on_the_day() -> None:
    """Else every README would go stale by itself."""
    assert table(shelf(date(2026, 11, 28)), "en") == table(shelf(date(2028, 1, 1)), "en")


def test_a_readme_without_markers_is_refused_and_a_stale_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(WheelmillError, match="has no"):
        replaced("no markers", "| a |\n", "README.md")
    assert replaced(f"a\n{BEGIN}\nold\n{END}\nb", "new\n", "x") == f"a\n{BEGIN}\nnew\n{END}\nb"


def test_the_command_says_that_they_are_fresh() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    command = [sys.executable, "-m", "wheelmill", "readme-tables", "--check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "both tables are fresh\n"
