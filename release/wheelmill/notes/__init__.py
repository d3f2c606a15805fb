"""Release notes as records in two languages: one file per version, and issues that move by themselves."""

from __future__ import annotations

from wheelmill.notes.load import check, load, problems
from wheelmill.notes.model import Entry, Issue, Note, Notes, NotesError, NotesLookupError, Record, Text, Topic

__all__ = [
    "Entry",
    "Issue",
    "Note",
    "Notes",
    "NotesError",
    "NotesLookupError",
    "Record",
    "Text",
    "Topic",
    "check",
    "load",
    "problems",
]
