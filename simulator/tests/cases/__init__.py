"""One call of each operator that only other adapters call, and what ATen on the CPU computes for it."""

from __future__ import annotations

from typing import Any

from cases import attention, cache, indexer, moe, quant, spectral
from cases.base import Case
from cases.elementwise import CASES as ELEMENTWISE
from cases.fused import CASES as FUSED
from cases.layers import CASES as LAYERS
from cases.lists import CASES as LISTS
from cases.order import CASES as ORDER

_BY_FORM = (attention, cache, indexer, moe, quant, spectral)
#: Of operators with several layouts and modes, one call in each: operator, what is special, case.
FORMS: tuple[tuple[str, str, Case], ...] = tuple(
    (name, label, case)
    for topic in _BY_FORM
    for forms in topic.FORMS
    for label, (name, case) in forms.items()
)
#: What CANN refuses of them: operator, what is read, outputs, code, a regular expression for the message.
REFUSED: tuple[tuple[str, tuple[Any, ...], tuple[Any, ...], int, str], ...] = tuple(
    refusal for topic in _BY_FORM for refusal in topic.REFUSED
)

CASES: dict[str, Case] = {**ELEMENTWISE, **LISTS, **ORDER, **LAYERS, **FUSED}
for _name, _, _case in FORMS:
    CASES.setdefault(_name, _case)
