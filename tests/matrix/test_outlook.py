"""What the policy brings: the founding document's branch table, changes to come, days that break it."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import icalendar
import pytest
from wheelmill.matrix import Matrix, load
from wheelmill.matrix.ical import calendar
from wheelmill.matrix.model import Override
from wheelmill.matrix.outlook import changes, deviations, statuses, upcoming

from tests.cli.test_command_line import wheelmill
from tests.matrix import printed
from tests.matrix.small import COMPAT

# The day on which the founding document, which has no date of its own, fits all of its rows.
README_DAY = date(2023, 10, 16)
SHOWN = {"eol": "EOL", "maintained": "维护"}


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


def test_the_branch_table_of_the_founding_document_follows_from_the_policy() -> None:
    """Every cell of the ten rows: branch, status, release day, what follows; the EOL column is empty."""
    report = json.loads(wheelmill("policy", "--on", str(README_DAY), "--json").stdout)
    rows = [one for one in report["series"] if one["policy"] == "five-stages"]
    table = set()
    for row in rows:
        released = "{}/{}/{}".format(*map(int, row["released"].split("-")))
        follows = "N/A"
        if row["until"]:
            follows = "预计{}/{}/{}起无维护".format(*map(int, row["until"].split("-")))
        table.add((row["series"], SHOWN[row["stage"]], released, follows))
    assert table == printed.rows(printed.README_STATUS)
    assert sorted(row["stage"] for row in rows) == ["eol"] * 5 + ["maintained"] * 5


@pytest.mark.parametrize("day", [date(2023, 10, 14), date(2023, 10, 20)])
def test_the_branch_table_is_that_of_its_days_only(matrix: Matrix, day: date) -> None:
    found = [one.phase.stage for one in statuses(matrix, day) if one.series.policy == "five-stages"]
    assert sorted(found) != ["eol"] * 5 + ["maintained"] * 5


def test_ten_of_sixteen_dated_rows_break_the_policy_printed_under_them(matrix: Matrix) -> None:
    dated = [one.name for one in matrix.document.series if one.policy == "four-stages" and one.released]
    assert len(dated) == 16
    broken = {one.series: one for one in deviations(matrix, promises=False)}
    assert list(broken) == [
        "2.9.0", "2.7.1", "2.6.0", "2.5.1", "2.4.0", "2.3.1", "2.2.0", "2.1.0", "2.0.1", "1.11.0",
    ]  # fmt: skip
    assert all(one.reason for one in broken.values())
    assert broken["2.9.0"].message == (
        "2.9.0: maintained begins on 2026-10-15, the policy four-stages allows it on 2026-07-15"
    )


def test_four_branches_were_promised_a_longer_life(matrix: Matrix) -> None:
    promised = [one for one in deviations(matrix) if one.promised_in]
    assert [(one.series, str(one.day), str(one.earliest)) for one in promised] == [
        ("2.1.0", "2025-12-30", "2028-04-15"),
        ("1.11.0", "2025-10-25", "2027-10-19"),
        ("1.8.1", "2023-04-10", "2026-10-10"),
        ("1.5.0", "2022-07-29", "2026-01-29"),
    ]


def test_changes_are_those_after_the_day_up_to_the_last(matrix: Matrix) -> None:
    days = [(str(one.day), one.series, one.stage, one.announced) for one in
            upcoming(matrix, date(2026, 10, 14), date(2026, 10, 30))]  # fmt: skip
    assert days == [
        ("2026-10-15", "2.7.1", "maintained", True),
        ("2026-10-15", "2.8.0", "eol", True),
        ("2026-10-15", "2.9.0", "maintained", True),
        ("2026-10-30", "2.10.0", "maintained", True),
    ]
    assert upcoming(matrix, date(2026, 10, 15), date(2026, 10, 29)) == ()
    later = upcoming(matrix, date(2027, 4, 14), date(2027, 4, 15))
    assert [(one.series, one.stage, one.announced) for one in later] == [
        ("2.7.1", "eol", False), ("2.9.0", "eol", False),
    ]  # fmt: skip


def test_a_series_enters_each_stage_once_and_an_overridden_one_none(matrix: Matrix) -> None:
    found = [(one.series, one.stage) for one in changes(matrix)]
    assert len(found) == len(set(found))
    assert not {"2.13.0", "2.14.0"} & {series for series, _ in found}
    held = Override(stage="maintained", reason="kept")
    rows = tuple(dataclasses.replace(one, override=held) for one in matrix.document.series)
    assert (
        changes(dataclasses.replace(matrix, document=dataclasses.replace(matrix.document, series=rows))) == ()
    )


def test_a_change_begins_the_stage_that_the_day_shows(matrix: Matrix) -> None:
    for change in changes(matrix):
        (status,) = (one for one in statuses(matrix, change.day) if one.series.name == change.series)
        assert (status.phase.stage, status.phase.since) == (change.stage, change.day)


def test_the_calendar_is_read_by_others_and_never_moves(matrix: Matrix) -> None:
    written = calendar(changes(matrix))
    assert written == calendar(changes(load(COMPAT)))
    assert b"\r\n" in written
    assert not written.replace(b"\r\n", b"").count(b"\n")
    assert max(map(len, written.split(b"\r\n"))) <= 75
    events = icalendar.Calendar.from_ical(written).walk("VEVENT")
    assert len(events) == len(changes(matrix))
    assert len({str(event["uid"]) for event in events}) == len(events)
    (end,) = (event for event in events if str(event["uid"]).startswith("2.8.0-eol@"))
    assert end.decoded("dtstart") == date(2026, 10, 15)
    assert end.decoded("dtend") == date(2026, 10, 16)
    assert str(end.decoded("dtstamp").date()) == "2026-08-21"
    assert str(end["summary"]) == "torch_npu 2.8.0: eol (生命周期终止（EOL）)"


def test_an_event_keeps_its_name_when_its_day_moves(matrix: Matrix) -> None:
    moved = tuple(
        dataclasses.replace(one, begins={"eol": date(2026, 12, 1)}) if one.name == "2.8.0" else one
        for one in matrix.document.series
    )
    other = dataclasses.replace(matrix, document=dataclasses.replace(matrix.document, series=moved))
    names = [
        {str(event["uid"]) for event in icalendar.Calendar.from_ical(calendar(changes(one))).walk("VEVENT")}
        for one in (matrix, other)
    ]
    assert names[0] == names[1]


def test_the_command_shows_stages_changes_and_broken_days(tmp_path: Path) -> None:
    done = wheelmill("policy", "--on", "2026-11-28", "--next", "3m", "2.6.0", "v2.8.0-7.3.0")
    assert done.returncode == 0, done.stderr
    assert "Stages on 2026-11-28" in done.stdout
    assert "2027-01-25 2.6.0  eol   announced" in done.stdout
    assert "2.6.0: eol begins on 2027-01-25, the policy four-stages allows it on 2026-07-25" in done.stdout
    assert "2.12.0" not in done.stdout
    file = tmp_path / "policy.ics"
    assert wheelmill("policy", "--ics", str(file), "2.6.0").returncode == 0
    piped = wheelmill("policy", "--ics", "-", "--on", "2030-01-01", "2.6.0").stdout
    assert file.read_bytes().decode().replace("\r\n", "\n") == piped
    assert piped.count("BEGIN:VEVENT") == 4


def test_the_page_shows_what_the_command_prints() -> None:
    page = (COMPAT.parents[1] / "docs" / "policy.md").read_text(encoding="utf-8")
    command, _, shown = page.partition("```console\n$ wheelmill ")[2].partition("```")[0].partition("\n")
    printed_now = wheelmill(*command.split()).stdout
    assert [line.rstrip() for line in printed_now.splitlines()] == shown.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["9.9.9"], 1, "There is no series or line '9.9.9'"),
        (["--next", "soon"], 2, "write one such as 90d, 12w or 3m"),
        (["--on", "2026-02-30"], 2, "does not match the format"),
        (["--ics", "no/such/folder.ics"], 1, "cannot be written"),
    ],
)
def test_wrong_words_are_one_clear_message(words: list[str], code: int, said: str) -> None:
    done = wheelmill("policy", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
