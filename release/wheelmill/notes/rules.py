"""What a record has to keep to before it is released, as named rules; `broken` runs all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmill.matrix.problems import Problem
from wheelmill.matrix.versions import version
from wheelmill.notes.model import Entry, Issue, Record, Text, Topic, train_of

MARK = "TODO"
_CJK = re.compile(r"[㐀-鿿]")
# What has to stand in both languages alike: versions, larger numbers, and words in back quotes.
_LITERAL = re.compile(r"`[^`]+`|[0-9]+(?:\.[0-9]+)+|[0-9]{2,}")
_CODE = re.compile(r"`[^`]+`")
_WORD = re.compile(r"[A-Za-z]{3,}")


def broken(record: Record) -> Iterator[Problem]:
    """Every rule that a record breaks, with the line."""
    for pair in _pairs(record):
        yield from _both_languages(pair)
        yield from _same_literals(pair)
    yield from _says_something(record)
    yield from _fixed_later(record)


def _both_languages(pair: Text | Entry | Issue | Topic) -> Iterator[Problem]:
    """Both languages are there, each in its own field, and none is a draft."""
    for field, text in (("zh", pair.zh), ("en", pair.en)):
        if not text.strip():
            yield Problem(pair.at.of(field), "both-languages", f"{field} is empty", "write the text")
        if MARK in text:
            yield Problem(
                pair.at.of(field), "no-draft", f"{field} is a draft", f"write it, and delete {MARK}"
            )
    if _CJK.search(pair.en):
        yield Problem(pair.at.of("en"), "both-languages", "en has Chinese characters", "write it in English")
    if not _CJK.search(pair.zh) and len(_WORD.findall(_CODE.sub("", pair.zh))) > 2:
        yield Problem(pair.at.of("zh"), "both-languages", "zh is not in Chinese", "write it in Chinese")


def _same_literals(pair: Text | Entry | Issue | Topic) -> Iterator[Problem]:
    """Both languages name the same versions, numbers and words in back quotes."""
    zh, en = (set(_LITERAL.findall(text)) for text in (pair.zh, pair.en))
    for here, there, field in ((zh, en, "en"), (en, zh, "zh")):
        missing = ", ".join(sorted(here - there))
        if missing:
            message = f"{field} lacks {missing}, which the other language has"
            yield Problem(pair.at.of(field), "same-literals", message, "let both say the same")


def _says_something(record: Record) -> Iterator[Problem]:
    """A record tells its readers at least one thing."""
    if not any((record.notice, record.features, record.changes, record.fixed, record.known)):
        hint = "write an entry in one of its sections"
        yield Problem(record.at.line, "says-something", "every section is empty", hint)


def _fixed_later(record: Record) -> Iterator[Problem]:
    """An issue is fixed in a later version than the one that it was known in first."""
    for issue in record.known:
        for fixed in issue.fixed_in:
            train = train_of(record.product, fixed)
            begun = [one for one in (record.version, *issue.since) if train_of(record.product, one) == train]
            if not any(version(one) < version(fixed) for one in begun):
                message = f"{issue.id} is fixed in {fixed}, where it was not known before"
                hint = f"take a version after {record.version}, or add to since: the one that had it"
                yield Problem(issue.at.of("fixed_in"), "fixed-later", message, hint)


def _pairs(record: Record) -> Iterator[Text | Entry | Issue | Topic]:
    """Everything that has two languages, in the order of the sections."""
    yield from record.notice
    for topic in (*record.features, *record.changes, *record.fixed):
        yield topic
        for entry in topic.entries:
            yield entry
            if entry.title is not None:
                yield entry.title
    for issue in record.known:
        yield issue
        yield issue.title
        if issue.fix is not None:
            yield issue.fix
