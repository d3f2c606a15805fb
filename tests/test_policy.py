"""Stages by day: announced days, days that follow from a policy, overrides."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheelmill.matrix import Matrix, load
from wheelmill.matrix.model import Override, PublishedSeries, Series
from wheelmill.matrix.policy import Phase, add_months, begins, phase_of_line, phase_of_series

from tests.matrix.small import COMPAT

FIVE = load(COMPAT).policies["five-stages"]
PRINTED = PublishedSeries(status="", released="", next="", eol="")


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


def series(released: date | None = date(2023, 10, 15), **fields: object) -> Series:
    return Series(name="v9", policy="five-stages", released=released, published=PRINTED, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "stage", "since", "until"),
    [
        (date(2020, 1, 1), "planned", date(2023, 4, 15), date(2023, 7, 15)),
        (date(2023, 7, 14), "planned", date(2023, 4, 15), date(2023, 7, 15)),
        (date(2023, 7, 15), "development", date(2023, 7, 15), date(2023, 10, 15)),
        (date(2023, 10, 14), "development", date(2023, 7, 15), date(2023, 10, 15)),
        (date(2023, 10, 15), "maintained", date(2023, 10, 15), date(2024, 10, 15)),
        (date(2024, 10, 15), "unmaintained", date(2024, 10, 15), date(2025, 1, 15)),
        (date(2025, 1, 14), "unmaintained", date(2024, 10, 15), date(2025, 1, 15)),
        (date(2025, 1, 15), "eol", date(2025, 1, 15), None),
        (date(2099, 1, 1), "eol", date(2025, 1, 15), None),
    ],
)
def test_stages_follow_from_the_release(day: date, stage: str, since: date, until: date | None) -> None:
    phase = phase_of_series(series(), FIVE, day)
    assert (phase.stage, phase.since, phase.until) == (stage, since, until)
    assert phase.ended == (stage == "eol")


def test_announced_day_moves_all_that_follows() -> None:
    days = begins(series(begins={"unmaintained": date(2024, 4, 1)}), FIVE)
    assert days["unmaintained"] == date(2024, 4, 1)
    assert days["eol"] == date(2024, 7, 1)


def test_announced_end_cuts_derived_stages_short() -> None:
    one = series(begins={"eol": date(2024, 2, 1)})
    assert phase_of_series(one, FIVE, date(2024, 1, 31)).stage == "maintained"
    assert phase_of_series(one, FIVE, date(2024, 2, 1)).stage == "eol"


def test_override_holds_on_every_day_with_its_reason() -> None:
    one = series(override=Override(stage="maintained", reason="kept for long-term support"))
    for day in (date(2000, 1, 1), date(2099, 1, 1)):
        assert phase_of_series(one, FIVE, day) == Phase(
            "maintained", "维护", None, None, "kept for long-term support"
        )


def test_without_a_release_day_a_branch_is_planned() -> None:
    assert phase_of_series(series(released=None), FIVE, date(2026, 1, 1)).stage == "planned"


def test_line_without_series_has_no_phase(matrix: Matrix) -> None:
    line = matrix.line("v2.1.0-5.0.rc3")
    phase = phase_of_line(matrix, line, date(2026, 11, 22))
    assert phase is not None
    assert (phase.stage, phase.since) == ("eol", date(2025, 1, 15))
    assert phase_of_line(matrix, dataclasses.replace(line, series=None), date(2026, 11, 22)) is None


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (date(2023, 1, 31), 1, date(2023, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2023, 12, 31), 2, date(2024, 2, 29)),
        (date(2023, 3, 31), -1, date(2023, 2, 28)),
        (date(2023, 1, 1), -1, date(2022, 12, 1)),
        (date(9999, 6, 1), 12, date.max),
        (date(1, 6, 1), -12, date.min),
    ],
)
def test_months_are_calendar_months(day: date, months: int, result: date) -> None:
    assert add_months(day, months) == result


@given(
    released=st.dates(date(2000, 1, 1), date(2050, 1, 1)),
    ends=st.none() | st.integers(0, 1500),
    offset=st.integers(-1000, 3000),
)
def test_phase_spans_its_day_and_days_never_fall(released: date, ends: int | None, offset: int) -> None:
    announced = {} if ends is None else {"eol": date.fromordinal(released.toordinal() + ends)}
    one = series(released, begins=announced)
    days = list(begins(one, FIVE).values())
    assert days == sorted(days)
    today = date.fromordinal(released.toordinal() + offset)
    phase = phase_of_series(one, FIVE, today)
    assert phase.until is None or today < phase.until
    assert phase.since is not None
    assert phase.since <= today or phase.stage == "planned"
