"""This project's own releases in the catalogue, beside the matrix of the checkout: what the picker offers.

The record is committed, so it also tells another machine which names are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.utils import canonicalize_name

from wheelmill.catalogue.own import add, yank
from wheelmill.catalogue.record import read_record
from wheelmill.publish.release.folder import folder_of
from wheelmill.publish.release.product import Product
from wheelmill.publish.release.session import File, Session, moment
from wheelmill.store import Store


def write(product: Product, sessions: Iterable[Session], store: Store) -> None:
    """Record a product's own wheels of announced releases, each with its yank; a rolled back one is yanked.

    What is recorded stays as it is. Raises CatalogueError for a name that is recorded with other bytes.
    """
    folder = (product.repository.root / product.record).parent
    own = canonicalize_name(product.package)
    for session in sessions:
        known = _known(product)
        wheels = (file for file in session.files if file.is_wheel)
        files = {file.name: file.sha256 for file in wheels if _project(file) == own}
        if session.state == "announced":
            new = [folder_of(session, store) / name for name in files if known.get(name) != files[name]]
            add(folder, new, moment(str(session.publishing)), project=product.package)
        elif session.withdrawn is None or not files.keys() <= known.keys():
            continue  # not announced yet
        event = session.withdrawn or session.yanked
        if event is None:
            yank(folder, files, None, moment(str(session.publishing)), project=product.package)
        else:
            taken_back = "taken back: " if session.withdrawn is not None else ""
            reason = f"{taken_back}{event.reason}"
            yank(folder, files, reason, moment(event.at), project=product.package)


def _project(wheel: File) -> str:
    return canonicalize_name(wheel.name.partition("-")[0])


def conflicts(product: Product, files: Iterable[File]) -> Iterator[str]:
    """The names among these files that a release of any machine has with other bytes, by the record."""
    known = _known(product)
    for file in files:
        if known.get(file.name, file.sha256) != file.sha256:
            before = f"is recorded in {product.record} as {known[file.name][:16]}"
            yield f"{file.name} {before}, now it is {file.sha256[:16]}"


def _known(product: Product) -> dict[str, str]:
    """File name -> SHA-256 of every wheel that is recorded."""
    path = product.repository.root / product.record
    if not path.is_file():
        return {}
    return {wheel.file: str(wheel.sha256) for wheel in read_record(path).wheels}
