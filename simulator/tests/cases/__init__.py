"""One call of each operator that only other adapters call, and what ATen on the CPU computes for it."""

from __future__ import annotations

from cases.base import Case
from cases.elementwise import CASES as ELEMENTWISE
from cases.fused import CASES as FUSED
from cases.layers import CASES as LAYERS
from cases.lists import CASES as LISTS
from cases.order import CASES as ORDER

CASES: dict[str, Case] = {**ELEMENTWISE, **LISTS, **ORDER, **LAYERS, **FUSED}
