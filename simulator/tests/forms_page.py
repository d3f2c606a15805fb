"""The table of simulator/OPERATORS.md, made of the cases: `python simulator/tests/forms_page.py` writes it.

Which of CANN's pages an operator follows is its own name; which repository has the page, PAGES says.
"""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "OPERATORS.md"
sys.path.insert(0, str(TESTS))

#: Beginning of an operator's name -> the repository and folder of its page; the longest beginning counts.
PAGES = {
    "": "ops-transformer attention",
    "AddRmsNorm": "ops-nn norm",
    "AscendAntiQuant": "ops-nn quant",
    "AscendQuant": "ops-nn quant",
    "ConvertWeight": "ops-nn matmul",
    "AllGather": "ops-transformer mc2",
    "AlltoAllv": "ops-transformer mc2",
    "Dynamic": "ops-nn quant",
    "GroupedDynamic": "ops-nn quant",
    "GroupedMatMulAlltoAllv": "ops-transformer mc2",
    "GroupedMatmul": "ops-transformer gmm",
    "InterleaveRope": "ops-transformer posembedding",
    "KvRmsNormRopeCache": "ops-transformer posembedding",
    "MatmulAllReduce": "ops-transformer mc2",
    "MatmulReduceScatter": "ops-transformer mc2",
    "Moe": "ops-transformer moe",
    "MoeDistribute": "ops-transformer mc2",
    "QuantMatmul": "ops-nn matmul",
    "QuantMatmulAllReduce": "ops-transformer mc2",
    "Quantize": "ops-nn quant",
    "Rfft1D": "ops-math math",
    "Rope": "ops-transformer posembedding",
    "RotaryPositionEmbedding": "ops-transformer posembedding",
    "Stft": "ops-math math",
    "TransQuantParam": "ops-nn quant",
    "WeightQuant": "ops-nn matmul",
    "WeightQuantMatmulAllReduce": "ops-transformer mc2",
}
HEAD = """# Operators of models: what they follow, and what of them is checked

The operators that libraries of large models call directly follow the public documentation of CANN's
operators (the folder `docs` of each operator in CANN's repositories ops-transformer, ops-nn and ops-math), on
Atlas A2 and A3 where chips differ. Each form below is one call whose numbers are compared with a reference
that shares nothing with the kernel, most of them loops over tokens in float64. What CANN refuses is refused
in phase one, with CANN's code. What the simulator lacks of a page is refused, too, and the message says what
there is.

Operators that several ranks compute together (those of `mc2`) are operations of their HCCL communicator: a
rank that is missing, or does something else, ends the others with an error. They are checked with 2 and 4
ranks. What only the chip's links and buffers bound is not refused: the number of ranks and the hidden size of
a dispatch, and how much a rank sends.

`python simulator/tests/forms_page.py` makes this table of the tests' cases, and a test compares it. The
functions of Rfft1D and Stft are called `acl...`, without the `nn`.

| operator `aclnn...` | its page | forms whose numbers are checked |
| --- | --- | --- |
"""


def where(name: str) -> str:
    return PAGES[max((start for start in PAGES if name.startswith(start)), key=len)]


def page() -> str:
    from cases import FORMS
    from cases.joint import FORMS as JOINT

    forms: dict[str, list[str]] = {}
    for name, label, _ in FORMS:
        forms.setdefault(name, []).append(label)
    for names, label, _ in JOINT:
        for name in names:
            forms.setdefault(name, []).append(label)
    rows = [f"| {name} | {where(name)} | {'; '.join(labels)} |" for name, labels in sorted(forms.items())]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
