"""Questions to the picker on the project's own matrix and catalogue."""

from __future__ import annotations

from datetime import date

from wheelmill.catalogue import load as load_catalogue
from wheelmill.matrix import load
from wheelmill.pick import NoFit, Pick, Shelf, answer, parse_request, render_text

from tests.matrix.small import COMPAT

TODAY = date(2026, 11, 28)
MATRIX = load(COMPAT)
CATALOGUE = load_catalogue(COMPAT.with_name("catalogue"))
SHELF = Shelf(MATRIX, CATALOGUE, TODAY)


def ask(**words: str | bool) -> Pick | NoFit:
    return answer(SHELF, parse_request(**words), {})  # type: ignore[arg-type]


def picked(**words: str | bool) -> Pick:
    found = ask(**words)
    assert isinstance(found, Pick), render_text(found)
    return found


def refused(**words: str | bool) -> NoFit:
    found = ask(**words)
    assert isinstance(found, NoFit), render_text(found)
    return found


def commands(pick: Pick) -> list[str]:
    return [command for step in pick.steps for command in step.commands]
