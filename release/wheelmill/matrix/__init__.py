"""The compatibility matrix: the one file in which versions are written, as values."""

from __future__ import annotations

from wheelmill.errors import Finding
from wheelmill.matrix.load import load
from wheelmill.matrix.model import (
    Cell,
    Line,
    Matrix,
    MatrixError,
    MatrixLookupError,
    Series,
    Torch,
    TorchWheel,
)

__all__ = [
    "Cell",
    "Finding",
    "Line",
    "Matrix",
    "MatrixError",
    "MatrixLookupError",
    "Series",
    "Torch",
    "TorchWheel",
    "load",
]
