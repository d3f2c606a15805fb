"""Stages by day: announced days, days that follow from a policy, overrides."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheelmill.matrix import Matrix, load
from wheelmill.matrix.model import Override, PublishedSeries, Series, Waiver
from wheelmill.matrix.policy import (
    Allowed,
    Phase,
    Refusal,
    add_months,
    allowed_acts,
    begins,
    may_release,
    phase_of_line,
    phase_of_series,
)

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


# v5.0.rc3 is in development until 2023-10-15, maintained until 2024-10-15, unmaintained until 2025-01-15.
@pytest.mark.parametrize(
    ("day", "candidate", "final"),
    [
        (date(2023, 5, 1), "allowed", "takes pre-releases only: it is planned (计划) since 2023-04-15"),
        (date(2023, 10, 14), "allowed", "takes pre-releases only: it is development (开发)"),
        (date(2023, 10, 15), "allowed", "allowed"),
        (date(2024, 10, 14), "allowed", "allowed"),
        (
            date(2024, 10, 15),
            "takes fixes and no release: it is unmaintained (无维护)",
            "fixes and no release",
        ),
        (date(2025, 1, 15), "takes no change at all: it is eol", "no change at all"),
    ],
)
def test_a_stage_lets_out_what_the_policy_says(matrix: Matrix, day: date, candidate: str, final: str) -> None:
    line = matrix.line("v2.0.1-5.0.rc3")
    for adapter, wanted in (("2.0.1rc9", candidate), ("2.0.1.post9", final)):
        answer = may_release(matrix, line, adapter, day)
        if wanted == "allowed":
            assert answer == Allowed(phase_of_line(matrix, line, day))
        else:
            assert isinstance(answer, Refusal)
            assert answer.rule == "stage-allows-release"
            assert wanted in answer.reason
            assert answer.reason.startswith("line v2.0.1-5.0.rc3 takes")
            assert "waiver of stage-allows-release" in answer.hint
            assert ("2.0.1rcN instead" in answer.hint) == (candidate == "allowed")


def test_the_newer_policy_releases_while_it_develops(matrix: Matrix) -> None:
    line, day = matrix.line("v2.12.0-26.1.0"), date(2026, 11, 28)
    assert allowed_acts(matrix, line, day) == ("feature", "fix", "prerelease", "release")
    assert isinstance(may_release(matrix, line, "2.12.0.post9", day), Allowed)
    assert isinstance(may_release(matrix, line, "2.12.0.post9", date(2027, 7, 26)), Refusal)


def test_a_line_without_series_takes_prereleases(matrix: Matrix) -> None:
    line = dataclasses.replace(matrix.line("v2.13.0"), series=None)
    day = date(2026, 11, 28)
    assert isinstance(may_release(matrix, line, "2.13.0rc1", day), Allowed)
    refused = may_release(matrix, line, "2.13.0.post99", day)
    assert isinstance(refused, Refusal)
    assert "no series has its release dates yet" in refused.reason


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("2.1.0.rc1", "canonical form"),
        ("banana", "canonical form"),
        ("", "canonical form"),
        ("2.2.0rc1", "not a version for torch 2.1.0"),
        ("1!2.1.0", "not a version for torch 2.1.0"),
        ("2.1.0+local", "not a version for torch 2.1.0"),
        ("2.1.0.post17", "the version of line v2.1.0-7.2.0"),
    ],
)
def test_a_version_of_another_line_is_refused_first(matrix: Matrix, adapter: str, said: str) -> None:
    refused = may_release(matrix, matrix.line("v2.1.0-5.0.rc3"), adapter, date(2023, 10, 16))
    assert isinstance(refused, Refusal)
    assert refused.rule == "version-of-line"
    assert said in refused.reason


def test_a_waiver_holds_for_its_version_and_days_only(matrix: Matrix) -> None:
    (waiver,) = (one for one in matrix.document.waivers if one.line == "v2.1.0-5.0.rc3")
    line = matrix.line(waiver.line)
    allowed = may_release(matrix, line, waiver.version, waiver.granted)
    assert isinstance(allowed, Allowed)
    assert allowed.waiver == waiver
    assert isinstance(may_release(matrix, line, "2.1.0rc2", waiver.granted), Refusal)
    late = may_release(matrix, line, waiver.version, waiver.until)
    assert isinstance(late, Refusal)
    assert f"ends on {waiver.until}" in late.hint
    day_before = date.fromordinal(waiver.granted.toordinal() - 1)
    assert isinstance(may_release(matrix, line, waiver.version, day_before), Refusal)


def test_a_waiver_that_is_not_needed_is_not_used(matrix: Matrix) -> None:
    line = matrix.line("v2.1.0-5.0.rc3")
    waiver = Waiver("stage-allows-release", line.branch, "2.1.0rc1", "x", date(2020, 1, 1), date(2030, 1, 1))
    waived = dataclasses.replace(matrix, document=dataclasses.replace(matrix.document, waivers=(waiver,)))
    allowed = may_release(waived, line, "2.1.0rc1", date(2023, 10, 16))
    assert isinstance(allowed, Allowed)
    assert allowed.waiver is None
