"""The compatibility matrix: the one file in which versions are written, as values."""

from __future__ import annotations

from pathlib import Path

from wheelmill.errors import Finding
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


def load(path: Path) -> Matrix:
    """Read the matrix; raises MatrixError with all findings. Rules beyond form and references: `lint`."""
    from wheelmill.matrix.reading import load as read  # imports YAML, which a picker can do without

    return read(path)


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
