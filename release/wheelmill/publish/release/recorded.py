"""This project's own releases in the catalogue, beside the matrix of the checkout: what the picker offers.

The record is committed, so it also tells another machine which names are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from wheelmill.catalogue.own import RELEASES, add, yank
from wheelmill.catalogue.record import read_record
from wheelmill.publish.release.folder import folder_of
from wheelmill.publish.release.session import File, Session, moment
from wheelmill.store import Store

PATH = f"matrix/catalogue/{RELEASES}.json"  # in a checkout


def write(checkout: Path, sessions: Iterable[Session], store: Store) -> None:
    """Record the adapter's wheels of announced releases, each with its yank; a rolled back one is yanked.

    What is recorded stays as it is. Raises CatalogueError for a name that is recorded with other bytes.
    """
    folder = (checkout / PATH).parent
    for session in sessions:
        known = _known(checkout)
        files = {file.name: file.sha256 for file in session.files if file.kind == "adapter"}
        if session.state == "announced":
            new = [folder_of(session, store) / name for name in files if known.get(name) != files[name]]
            add(folder, new, moment(str(session.publishing)))
        elif session.withdrawn is None or not files.keys() <= known.keys():
            continue  # not announced yet
        event = session.withdrawn or session.yanked
        if event is None:
            yank(folder, files, None, moment(str(session.publishing)))
        else:
            taken_back = "taken back: " if session.withdrawn is not None else ""
            yank(folder, files, f"{taken_back}{event.reason}", moment(event.at))


def conflicts(checkout: Path, files: Iterable[File]) -> Iterator[str]:
    """The names among these files that a release of any machine has with other bytes, by the record."""
    known = _known(checkout)
    for file in files:
        if known.get(file.name, file.sha256) != file.sha256:
            before = f"is recorded in {PATH} as {known[file.name][:16]}"
            yield f"{file.name} {before}, now it is {file.sha256[:16]}"


def _known(checkout: Path) -> dict[str, str]:
    """File name -> SHA-256 of every wheel that is recorded."""
    path = checkout / PATH
    if not path.is_file():
        return {}
    return {wheel.file: str(wheel.sha256) for wheel in read_record(path).wheels}
