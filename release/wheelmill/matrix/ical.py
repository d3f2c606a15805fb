"""The changes of stage as an iCalendar (RFC 5545): all-day events, for a calendar program to subscribe to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone

from wheelmill.matrix.outlook import Change

PRODUCT = "-//wheelmill//maintenance policy//EN"


def calendar(changes: Iterable[Change]) -> bytes:
    """All changes as one calendar, CRLF and UTF-8; the same changes give the same bytes on every day.

    An event keeps its UID when its day moves. DTSTAMP is the day of the document that the row comes from.
    """
    from icalendar import Calendar, Event  # only --ics pays for this import

    found = Calendar()
    found.add("prodid", PRODUCT)
    found.add("version", "2.0")
    found.add("name", "torch_npu maintenance policy")
    found.add("x-wr-calname", "torch_npu maintenance policy")  # what programs read that do not know NAME
    for change in changes:
        event = Event()
        event.add("uid", f"{change.series}-{change.stage}@maintenance-policy.wheelmill")
        event.add("dtstamp", _midnight(change.published))
        event.add("dtstart", change.day)
        if change.day < date.max:
            event.add("dtend", change.day + timedelta(days=1))
        event.add("summary", f"torch_npu {change.series}: {change.stage} ({change.zh})")
        how = "announced" if change.announced else "follows from the policy"
        event.add("description", f"Policy {change.policy}; the day {how}.")
        event.add("transp", "TRANSPARENT")
        found.add_component(event)
    return bytes(found.to_ical())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)
