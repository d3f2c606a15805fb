"""A name that is not there is answered with the few that may have been meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheelmill.matrix import MatrixLookupError, load
from wheelmill.matrix.near import FEW, few_of, nearest

from tests.release.conftest import PROJECT

MATRIX = load(PROJECT / "matrix" / "compat.yaml")
LINES = [line.branch for line in MATRIX.lines]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("2.1", "v2.1.0"),
        ("2.1.0", "v2.1.0"),
        ("v2.1.0-5.0.rc9", "v2.1.0-5.0."),
        ("V2.1.0-5.0.RC3", "v2.1.0-5.0.rc3"),
        ("2.1.7", "v2.1.0"),
        ("v2.1O.0", "v2.1"),
    ],
)
def test_what_is_nearest_to_a_line_that_is_not_there(asked: str, first: str) -> None:
    found = nearest(asked, LINES)
    assert 0 < len(found) <= FEW
    assert found[0].startswith(first)


@given(st.text(max_size=20), st.lists(st.text(max_size=8), max_size=9, unique=True))
def test_there_are_always_some_and_never_more_than_a_few(asked: str, known: list[str]) -> None:
    found = nearest(asked, known)
    assert set(found) <= set(known)
    assert min(1, len(known)) <= len(found) <= FEW


def test_a_short_list_is_told_whole_and_a_long_one_with_the_command_that_has_all() -> None:
    assert few_of("z", ["a", "b"], "list") == "a, b"
    with pytest.raises(MatrixLookupError) as caught:
        MATRIX.line("v2.1.0-6.0.rc9")
    hint = str(caught.value.hint)
    assert "v2.1.0-6.0.rc3" in hint
    assert f"all {len(LINES)}: wheelmill matrix lines --all" in hint
    assert hint.count("v2.") <= FEW


def test_a_torch_without_a_cell_is_answered_with_the_lines_of_the_torches_next_to_it() -> None:
    with pytest.raises(MatrixLookupError) as caught:
        MATRIX.cell("3.11", "x86_64", torch="2.1.7")
    assert "torch 2.1.0" in str(caught.value.hint)
    assert str(caught.value.hint).count("(torch") == FEW
