"""Release notes rendered, as side files of a release and for pages; and the gate that asks for them."""

from __future__ import annotations

from pathlib import Path

from wheelmill.matrix import Matrix
from wheelmill.notes import Note, load, problems
from wheelmill.publish.notes.render import FORMATS, render

__all__ = ["FORMATS", "notes_for", "problems", "render", "side_files"]


def notes_for(version: str, folder: Path, matrix: Matrix) -> Note:
    """The note of a version. Raises NotesError for records that cannot be read, NotesLookupError for none."""
    return load(folder, matrix).note(version)


def side_files(note: Note) -> dict[str, bytes]:
    """The files that a release carries: Markdown in both languages, one page of HTML for each, and JSON."""
    files = {"release-notes.json": render([note], "json", "en")}
    for language in ("en", "zh"):
        for form in ("md", "html"):
            files[f"release-notes.{language}.{form}"] = render([note], form, language)
    return {name: text.encode() for name, text in sorted(files.items())}
