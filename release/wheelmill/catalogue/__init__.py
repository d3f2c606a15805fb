"""The catalogue: which adapter wheels exist, as a committed record, apart from what the matrix holds true.

`load` reads the record; `refresh` makes it again from a package index; `check` compares it with the matrix.
"""

from __future__ import annotations

from wheelmill.catalogue.model import Audited, Catalogue, CatalogueError, Record, Wheel, Window
from wheelmill.catalogue.record import load, read_record, write_record

__all__ = [
    "Audited",
    "Catalogue",
    "CatalogueError",
    "Record",
    "Wheel",
    "Window",
    "load",
    "read_record",
    "write_record",
]
