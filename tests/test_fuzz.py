"""Every reader takes damaged input: some seconds of a fixed seed, and all that was ever found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import CORPUS, TARGETS, attempt, hunt

SECONDS = 60 / len(TARGETS)  # a minute for all; `nox -s fuzz` and the weekly run take longer


@pytest.mark.parametrize("name", TARGETS)
def test_no_damaged_input_ends_in_anything_but_an_answer_or_a_clear_error(name: str) -> None:
    tried, find = hunt(name, SECONDS, start=1)
    assert find is None, f"{name}, input {find[0]!r}: {find[1]!r}"
    assert tried > 10


@pytest.mark.parametrize("name", TARGETS)
def test_the_inputs_that_the_others_are_made_of_are_good(name: str) -> None:
    for content in TARGETS[name].seeds():
        attempt(TARGETS[name], content)


@pytest.mark.parametrize(
    "kept", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_what_was_found_once_stays_mended(kept: Path) -> None:
    attempt(TARGETS[kept.parent.name], kept.read_bytes())
