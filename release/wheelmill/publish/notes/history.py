"""What git knows of a line: its last tag, the commits to the adapter since then, and a record to fill in.

A release is tagged `BRANCH/VERSION`. A commit that changes nothing for users says so with a line
`Release-note: none` in its message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import Finding, WheelmillError
from wheelmill.make.toolchain.sources import git
from wheelmill.matrix import Line
from wheelmill.matrix.own import own_packages
from wheelmill.matrix.versions import readable_version, version
from wheelmill.notes import Notes

# Where a change reaches those who install the adapter.
WATCHED = ("adapter", ":(exclude)adapter/tests", ":(exclude,glob)adapter/**/*.md")
RULE = "change-has-note"
_NONE = re.compile(r"^Release-note: *none *$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    """A commit that changed the adapter."""

    digest: str
    subject: str
    noted: bool
    """False where its message says that it needs no note."""


@dataclass(frozen=True)
class Since:
    """What happened after `tag`, which names the version `released`; both None for all of the history."""

    tag: str | None
    released: str | None
    commits: tuple[Commit, ...]


def since_last_tag(root: Path, line: Line) -> Since:
    """The commits to the adapter since the newest tag of a line that HEAD has in its history."""
    tags = _git(root, "tag", "--list", f"{line.branch}/*", "--merged", "HEAD").split()
    versions = [tag.removeprefix(f"{line.branch}/") for tag in tags]
    newest = max((one for one in versions if readable_version(one)), key=version, default=None)
    tag = None if newest is None else f"{line.branch}/{newest}"
    return Since(tag, newest, commits(root, tag))


def is_checkout(root: Path) -> bool:
    """Whether git knows the folder and has a commit of it."""
    return not git(root, "rev-parse", "--quiet", "--verify", "HEAD").returncode


def current_branch(root: Path) -> str:
    """The branch that is checked out; empty where none is."""
    return _git(root, "branch", "--show-current").strip()


def commits(root: Path, start: str | None) -> tuple[Commit, ...]:
    """The commits after `start` that change the adapter for its users, oldest first."""
    revisions = "HEAD" if start is None else f"{start}..HEAD"
    form = "--format=%H%x00%s%x00%b%x1e"
    told = _git(root, "log", "--no-merges", "--reverse", form, revisions, "--", *WATCHED)
    found = []
    for entry in told.split("\x1e"):
        if entry.strip():
            digest, subject, body = entry.strip("\n").split("\x00")
            found.append(Commit(digest, subject, not _NONE.search(body)))
    return tuple(found)


def changed_notes(root: Path, start: str, folder: Path) -> tuple[str, ...]:
    """The records that differ between a revision and the files on disk, new ones included."""
    where = folder.relative_to(root).as_posix()
    changed = _git(root, "diff", "--name-only", start, "--", where).split()
    new = _git(root, "ls-files", "--others", "--exclude-standard", "--", where).split()
    return tuple(sorted({*changed, *new}))


def missing(root: Path, line: Line, notes: Notes, start: str | None = None) -> tuple[Finding, ...]:
    """A finding where the adapter changed on a line and no record of a version to come says what.

    With `start`, a revision: some record has to have changed since it, if the adapter has.
    """
    since = since_last_tag(root, line)
    told = [commit for commit in (since.commits if start is None else commits(root, start)) if commit.noted]
    if not told:
        return ()
    coming = [
        record.version
        for record in notes.records
        if record.line == line.branch and _later(record.version, since)
    ]
    if not coming:
        return (
            _finding(
                notes, line, told, f"since {since.tag or 'the beginning'}", "no version to come has a note"
            ),
        )
    if start is not None and not changed_notes(root, start, notes.folder):
        return (_finding(notes, line, told, f"since {start}", f"the note of {coming[0]} says nothing of it"),)
    return ()


def draft(line: Line, wanted: str, since: Since) -> str:
    """A record to fill in, with one entry for each commit to the adapter."""
    entries = [commit for commit in since.commits if commit.noted]
    head = (
        f"# {len(entries)} commits to the adapter since {since.tag or 'the beginning'}. Join what belongs\n"
        "# together, sort it into the sections, and write each text in both languages for users.\n"
        f"version: {wanted}\nproduct: {own_packages().adapter.name}\nline: {line.branch}\n\nnotice: []\n\n"
    )
    if not entries:
        return head + "features: []\nchanges: []\nfixed: []\nknown: []\n"
    body = "features:\n  - zh: TODO\n    en: TODO\n    entries:\n"
    for commit in entries:
        body += f"      - zh: TODO  # {commit.digest[:12]}\n        en: {_quoted('TODO ' + commit.subject)}\n"
    return head + body + "\nchanges: []\nfixed: []\nknown: []\n"


def _later(wanted: str, since: Since) -> bool:
    return since.released is None or version(wanted) > version(since.released)


def _finding(notes: Notes, line: Line, told: Sequence[Commit], when: str, what: str) -> Finding:
    shown = "; ".join(f"{one.digest[:12]} {one.subject}" for one in told[-3:])
    more = f" and {len(told) - 3} before" if len(told) > 3 else ""
    message = f"{line.branch}: the adapter changed {when} ({shown}{more}), and {what}"
    hint = (
        f"`wheelmill notes draft {line.branch}` writes a note to fill in; a commit that needs none has the "
        "line `Release-note: none`"
    )
    return Finding(RULE, "error", str(notes.folder), message, hint, 1)


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _git(root: Path, *words: str) -> str:
    done = git(root, *words)
    if done.returncode:
        raise WheelmillError(
            f"git {words[0]} failed in {root}: {done.stderr.strip() or 'no reason given'}",
            hint="Run this in a clone of the project, and name a revision that it has.",
        )
    return done.stdout
