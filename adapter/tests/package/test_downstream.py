"""The names that other projects call most: which are there, and what the others say."""

import importlib.util
from pathlib import Path

import pytest
import torch
import torch_npu

#: 60 names, most used first, counted over 28 projects in August 2026.
NAMES = (Path(__file__).parent / "downstream_names.txt").read_text(encoding="utf-8").split()
#: Those that are not there, by their reason.
OF_ANOTHER_PACKAGE = (
    "npu_recompute_w_u_fwd",
    "npu_chunk_gated_delta_rule_fwd_h",
    "npu_prepare_wy_repr_bwd_da",
)
INSIDE = ("_C._distributed_c10d",)
ABSENT = {f"torch_npu.{name}" for name in (*OF_ANOTHER_PACKAGE, *INSIDE)}
#: Dtypes that torch has from 2.7 and 2.8 on.
DTYPES = {"torch_npu.float8_e8m0fnu", "torch_npu.float4_e2m1fn_x2"}


def find(name):
    value = torch_npu if name.startswith("torch_npu.") else torch
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def has(name):
    """Importing transfer_to_npu changes what torch.cuda is in this process: its module is looked for."""
    if name == "torch_npu.contrib.transfer_to_npu":
        return importlib.util.find_spec(name) is not None
    try:
        find(name)
    except (AttributeError, ModuleNotFoundError):
        return False
    return True


def test_of_60_names_56_are_there():
    assert len(NAMES) == len(set(NAMES)) == 60
    missing = {name for name in NAMES if not has(name)}
    assert missing - DTYPES == ABSENT
    assert len(ABSENT) == 4
    assert set(NAMES) >= DTYPES
    if hasattr(torch, "float4_e2m1fn_x2"):
        assert missing == ABSENT


@pytest.mark.parametrize("name", sorted(name for name in ABSENT if "._C." not in name))
def test_an_absent_operator_says_so(name):
    with pytest.raises(AttributeError, match="this adapter does not have it yet"):
        find(name)
