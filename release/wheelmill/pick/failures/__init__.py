"""The field's failures: what their messages mean and what to do. Every failure is a data row in rows/."""

from __future__ import annotations

from wheelmill.pick.failures.load import failures
from wheelmill.pick.failures.match import explain
from wheelmill.pick.failures.model import Explanation, Failure, Match
from wheelmill.pick.failures.report import render, to_json
from wheelmill.pick.failures.symbols import SymbolTable, load_symbols

__all__ = [
    "Explanation",
    "Failure",
    "Match",
    "SymbolTable",
    "explain",
    "failures",
    "load_symbols",
    "render",
    "to_json",
]
