"""Rules about maintenance policies and the branch-status rows that follow them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date

from wheelmill.errors import Finding
from wheelmill.matrix.model import Act
from wheelmill.matrix.outlook import Deviation, deviations
from wheelmill.matrix.policy import add_months, phase_of_series
from wheelmill.matrix.rules.base import Subject, hit
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import base_version, is_canonical

_DAY = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")


@rule()
def policy_stages(subject: Subject) -> Iterator[Finding]:
    """A policy's stages are ordered, bounded, and only the last has no end"""
    order = ["planned", "development", "maintained", "unmaintained", "eol"]
    for policy in subject.matrix.document.policies:
        places = [order.index(stage.stage) for stage in policy.stages]
        if places != sorted(set(places)) or not places or order[places[-1]] != "eol":
            yield hit(
                policy.at.of("stages"), f"{policy.name}: stages out of order", "order: " + ", ".join(order)
            )
        for stage in policy.stages:
            last = stage.stage == "eol"
            bounds = stage.months
            if len(bounds) != (0 if last else 2) or list(bounds) != sorted(bounds):
                message = f"{policy.name}: {stage.stage} lasts {list(bounds)} months"
                yield hit(stage.at.of("months"), message, "none for eol, else [least, most]")


@rule()
def stage_allowances(subject: Subject) -> Iterator[Finding]:
    """What stages allow only shrinks once a branch is released, down to nothing at the end of life"""
    for policy in subject.matrix.document.policies:
        names = [stage.stage for stage in policy.stages]
        released = policy.stages[names.index(policy.released_in) :]
        for before, stage in itertools.pairwise(released):
            more = set(stage.allows) - set(before.allows)
            if more:
                message = f"{policy.name}: {stage.stage} allows {_named(more)}, {before.stage} does not"
                yield hit(stage.at.of("allows"), message, f"remove it here, or allow it in {before.stage}")
        last = policy.stages[-1]
        if last.stage == "eol" and last.allows:
            message = f"{policy.name}: eol allows {_named(set(last.allows))}"
            yield hit(last.at.of("allows"), message, "write allows: []")


@rule()
def override_has_reason(subject: Subject) -> Iterator[Finding]:
    """A stage that holds although the dates say otherwise says why"""
    for series in subject.matrix.document.series:
        if series.override is not None and not series.override.reason.strip():
            yield hit(series.override.at.of("reason"), f"{series.name}: the reason is empty", "say why")


@rule()
def waiver_is_whole(subject: Subject) -> Iterator[Finding]:
    """A waiver has a reason, ends within two years, and is for a version that its line can have"""
    for waiver in subject.matrix.document.waivers:
        named = f"waiver for {waiver.line} {waiver.version}"
        if not waiver.reason.strip():
            yield hit(waiver.at.of("reason"), f"{named}: the reason is empty", "say why")
        if not waiver.granted < waiver.until <= add_months(waiver.granted, 24):
            message = f"{named}: from {waiver.granted} to {waiver.until}"
            yield hit(waiver.at.of("until"), message, "let it end after it begins, within two years")
        line = subject.matrix.line(waiver.line)
        if not is_canonical(waiver.version) or base_version(waiver.version) != line.torch.version:
            message = f"{named}: not a version for torch {line.torch.version}"
            yield hit(waiver.at.of("version"), message, f"write a version such as {line.adapter}")


@rule()
def waiver_ended(subject: Subject) -> Iterator[Finding]:
    """A waiver that has ended is named"""
    for waiver in subject.matrix.document.waivers:
        if waiver.until <= subject.today:
            message = f"waiver for {waiver.line} {waiver.version} ended on {waiver.until}"
            yield hit(waiver.at.of("until"), message, "nothing to do: it stays as the record", note=True)


@rule()
def days_in_order(subject: Subject) -> Iterator[Finding]:
    """Announced days follow each other, from the release on"""
    for series in subject.matrix.document.series:
        policy = subject.policy(series)
        stages = [stage.stage for stage in policy.stages]
        if series.released is None:
            if series.begins:
                yield hit(
                    series.at.of("begins"), f"{series.name}: days without a release day", "add released:"
                )
            continue
        days = [(stage, series.begins[stage]) for stage in stages if stage in series.begins]
        known = [
            (stage, day) for stage, day in days if stages.index(stage) > stages.index(policy.released_in)
        ]
        for (_, before), (stage, day) in zip([("", series.released), *known], known, strict=False):
            if day <= before:
                message = f"{series.name}: {stage} begins on {day}, not after {before}"
                yield hit(series.at.of("begins"), message, "correct the days")


@rule()
def days_follow_policy(subject: Subject) -> Iterator[Finding]:
    """Announced days lie within the bounds of the policy, or say why not"""
    for one in deviations(subject.matrix, promises=False):
        yield _deviation(subject, one)


@rule()
def promise_is_kept(subject: Subject) -> Iterator[Finding]:
    """A branch lives as long as an earlier document promised, or says why not"""
    for one in deviations(subject.matrix):
        if one.promised_in is not None:
            yield _deviation(subject, one)


@rule()
def printed_days(subject: Subject) -> Iterator[Finding]:
    """The days of a branch-status row are those that were printed"""
    for series in subject.matrix.document.series:
        printed = series.published
        held = {*([series.released] if series.released else []), *series.begins.values()}
        cells = (printed.released, printed.next, printed.eol)
        words = {day for text in cells for day in _days(text)}
        if held != words and not series.reason:
            message = f"{series.name}: printed days: {_listed(words)}; held: {_listed(held)}"
            yield hit(series.at.of("published"), message, "correct released: or begins:, or add reason:")


@rule()
def status_fits_day(subject: Subject) -> Iterator[Finding]:
    """A printed status is that of the day on which it is read"""
    for series in subject.matrix.document.series:
        phase = phase_of_series(series, subject.policy(series), subject.today)
        printed = series.published.status
        if printed not in phase.zh:
            since = f" since {phase.since}" if phase.since else ""
            message = f"{series.name}: printed as {printed}, on {subject.today} it is {phase.stage}{since}"
            hint = "nothing to do: stages are computed from the days"
            yield hit(series.published.at.of("status"), message, hint, note=True)


def _deviation(subject: Subject, one: Deviation) -> Finding:
    """A note where the row says why, else an error."""
    series = subject.matrix.series[one.series]
    where = series.at.of("begins")
    if series.reason:
        return hit(where, one.message, f"nothing to do: {series.reason}", note=True)
    return hit(where, one.message, "correct the day, or add reason:")


def _days(text: str) -> list[date]:
    """Every day in a printed cell; what is no day counts as none."""
    days = []
    for year, month, day in _DAY.findall(text):
        try:
            days.append(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return days


def _listed(days: set[date]) -> str:
    return ", ".join(map(str, sorted(days))) or "none"


def _named(acts: set[Act]) -> str:
    return ", ".join(sorted(acts))
