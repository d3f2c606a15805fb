"""Operators of their own name (adapter/ops/custom.yaml): numbers, gradients, meta tensors, refusals.

What each computes is checked by the capability group `custom`, whose programs run on any torch_npu; here on
this one, with the same calls made on meta tensors beside.
"""

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
import torch_npu
import yaml

pytestmark = pytest.mark.usefixtures("no_fallback")

ROOT = Path(__file__).resolve().parents[3]
TABLE = yaml.safe_load((ROOT / "adapter" / "ops" / "custom.yaml").read_text(encoding="utf-8"))
CAPABILITIES = ROOT / "release" / "wheelmill" / "prove" / "accept" / "capabilities"


def imported(name, path, *folders):
    """A module of a program that is no package; its own folder is searched while it is imported."""
    before = list(sys.path)
    sys.path[:0] = map(str, folders)
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path[:] = before


PROGRAM = imported("capability_custom", CAPABILITIES / "custom.py", CAPABILITIES)


def moved(value, device):
    """The same with every tensor, also those in lists, on a device."""
    if isinstance(value, torch.Tensor):
        return value.detach().to(device)
    if isinstance(value, (list, tuple)):
        return type(value)(moved(one, device) for one in value)
    return value


def tensors(result):
    """The tensors of a result: npu_fusion_attention gives numbers, too."""
    every = [result] if isinstance(result, torch.Tensor) else list(result or ())
    return [one for one in every if isinstance(one, torch.Tensor)]


def on_meta(call, arguments, named):
    made = call(*moved(arguments, "meta"), **{name: moved(value, "meta") for name, value in named.items()})
    return [(tuple(one.shape), one.dtype) for one in tensors(made)]


def and_on_meta(call):
    """`call`, which fails where the same call of meta tensors makes results of other sizes or dtypes."""

    def both(*arguments, **named):
        made = on_meta(call, arguments, named)
        result = call(*arguments, **named)
        assert made == [(tuple(one.shape), one.dtype) for one in tensors(result)]
        return result

    return both


@pytest.mark.parametrize("check", PROGRAM.group.checks)
def test_the_capability_group_of_custom_operators(check, monkeypatch):
    monkeypatch.setattr(PROGRAM, "operator", lambda name: and_on_meta(getattr(torch_npu, name)))
    PROGRAM.group.checks[check]()
    torch.npu.synchronize()


# ---- the same operands and results as in the simulator's tests of the aclnn operators


def in_place(call, *changed):
    """The call as one that gives back what it changed."""
    call()
    return changed


def adam_w(given):
    var, m, v, *numbers, grad, norm, amsgrad, maximize = given
    return torch_npu.npu_apply_adam_w(
        *(float(x) for x in numbers), grad, norm, amsgrad, maximize, out=(var, m, v)
    )


def scatter(given):
    """Rows go to their slots: key, cache, slots, value, cache."""
    key, key_cache, slots, value, value_cache, *_, mode = given[:9]
    torch_npu.npu_scatter_pa_kv_cache(key, value, key_cache, value_cache, slots, cache_mode=mode)
    return key_cache, value_cache


def gather(given):
    key_cache, value_cache, table, lengths, key, value, offset, _, cumulated = given
    torch_npu.npu_gather_pa_kv_cache(
        key_cache, value_cache, table, lengths, key, value, seq_offset=offset, is_seq_lens_cumsum=cumulated
    )
    return key, value


def op(name, *positions, **named):
    """Of the operands, those at these positions; named ones by position or, in a list, as they are."""

    def call(given):
        options = {key: value[0] if isinstance(value, list) else given[value] for key, value in named.items()}
        return getattr(torch_npu, name)(*(given[position] for position in positions), **options)

    return call


F8 = [getattr(torch, "float8_e4m3fn", None)]
INT4 = [torch.quint4x2]
#: The aclnn operator, the case where there are several, and the call; in the order of the table.
SIMULATED = [
    ("AddRmsNormCast", "float16 and float32", op("npu_add_rms_norm_cast", 0, 1, 2, 3)),
    (
        "AddRmsNormQuantV2",
        "quantized twice, with beta",
        op("npu_add_rms_norm_quant", 0, 1, 2, 3, beta=7, scales2=4, zero_points1=[None]),
    ),
    ("ScaledMaskedSoftmax", None, op("npu_scaled_masked_softmax", 0, 1, 2, 3)),
    ("ScaledMaskedSoftmaxBackward", None, op("npu_scaled_masked_softmax_backward", 0, 1, 2, 3, 4)),
    ("RotaryPositionEmbedding", None, op("npu_rotary_mul", 0, 1, 2, rotary_mode=["interleave"])),
    ("RotaryPositionEmbeddingV2", "with a matrix", op("npu_rotary_mul", 0, 1, 2, rotate=4)),
    ("ApplyRotaryPosEmbV2", None, op("npu_apply_rotary_pos_emb", 0, 1, 2, 3, rotary_mode=5)),
    ("RopeWithSinCosCache", "halves of a part", op("npu_mrope", 0, 1, 2, 3, 5)),
    ("RopeWithSinCosCache", "pairs of a part", op("npu_mrope", 0, 1, 2, 3, 5, rotary_mode=["interleave"])),
    (
        "RopeWithSinCosCacheV2",
        "three positions, one after the other",
        op("npu_mrope", 0, 1, 2, 3, 5, mrope_section=4),
    ),
    (
        "RopeWithSinCosCacheV2",
        "three positions, in turns",
        op("npu_mrope", 0, 1, 2, 3, 5, mrope_section=4, cache_mode=["interleave"]),
    ),
    (
        "MoeFinalizeRoutingV2",
        "by columns, mode 0",
        op("npu_moe_finalize_routing", 0, 2, 3, 4, 5, 1, 6, drop_pad_mode=7),
    ),
    (
        "MoeFinalizeRoutingV2",
        "padded, by rows, mode 3",
        op("npu_moe_finalize_routing", 0, 2, 3, 4, 5, 1, 6, drop_pad_mode=7),
    ),
    (
        "MoeGatingTopKV2",
        "experts of a table",
        op("npu_moe_gating_top_k", 0, 4, input_ids=2, tid2eid=3, norm_type=[1]),
    ),
    ("MoeComputeExpertTokens", "ends of experts", op("npu_moe_compute_expert_tokens", 0, 1)),
    ("AscendQuantV3", "4 bits", op("npu_quantize", 0, 1, 2, dtype=INT4, div_mode=[False])),
    ("DynamicQuantV2", "smoothed by expert", op("npu_dynamic_quant", 0, smooth_scales=1, group_index=2)),
    ("DynamicQuantV3", "4 bits by rows", op("npu_dynamic_quant", 0, dst_type=INT4)),
    ("DynamicQuantV3", "by columns", op("npu_dynamic_quant", 0, quant_mode=5)),
    ("DynamicQuantV4", "as a whole", op("npu_dynamic_quant", 0, quant_mode=5)),
    ("DynamicBlockQuant", "blocks of 128", op("npu_dynamic_block_quant", 0)),
    ("DynamicBlockQuantV2", "float8 in blocks", op("npu_dynamic_block_quant", 0, dst_type=F8)),
    ("DynamicMxQuant", "float8", op("npu_dynamic_mx_quant", 0, dst_type=F8)),
    (
        "DynamicMxQuantV2",
        "float8 that cannot overflow",
        op("npu_dynamic_mx_quant", 0, dst_type=F8, scale_alg=5),
    ),
    ("DynamicMxQuantV3", "float8 along the first axis", op("npu_dynamic_mx_quant", 0, axis=1, dst_type=F8)),
    (
        "DynamicMxQuantWithDualAxis",
        "along both axes",
        op("npu_dynamic_mx_quant_with_dual_axis", 0, dst_type=F8),
    ),
    ("TransQuantParamV2", "with an offset", op("npu_trans_quant_param", 0, 1)),
    ("ConvertWeightToINT4Pack", "packed", op("npu_convert_weight_to_int4pack", 0)),
    (
        "QuantMatmulV5",
        "row and column scales, bfloat16",
        op("npu_quant_matmul", 0, 1, 3, pertoken_scale=2, bias=8, output_dtype=[torch.bfloat16]),
    ),
    ("QuantMatmulV5", "int8, scale and offset in 64 bits", op("npu_quant_matmul", 0, 1, 3)),
    (
        "QuantMatmulV5",
        "4 bits times 4 bits",
        op("npu_quant_matmul", 0, 1, 3, pertoken_scale=2, output_dtype=[torch.float16]),
    ),
    (
        "WeightQuantBatchMatmulV3",
        "4 bits in groups",
        op("npu_weight_quant_batchmatmul", 0, 1, 2, antiquant_group_size=7),
    ),
    ("AttentionUpdate", "parts of the keys", op("npu_attention_update", 0, 1, 2)),
    (
        "LightningIndexer",
        "all keys, scores",
        op("npu_lightning_indexer", 0, 1, 2, sparse_count=8, sparse_mode=9, return_value=12),
    ),
    (
        "LightningIndexer",
        "keys in blocks",
        op(
            "npu_lightning_indexer",
            0,
            1,
            2,
            actual_seq_lengths_query=3,
            actual_seq_lengths_key=4,
            block_table=5,
            layout_query=6,
            layout_key=7,
            sparse_count=8,
            sparse_mode=9,
        ),
    ),
    ("GroupedDynamicMxQuant", "groups of rows", op("npu_grouped_dynamic_mx_quant", 0, 1, dst_type=F8)),
    (
        "GroupedDynamicMxQuantV2",
        "groups of rows that cannot overflow",
        op("npu_grouped_dynamic_mx_quant", 0, 1, dst_type=F8, scale_alg=5),
    ),
    ("ScatterPaKvCache", "rows of heads", scatter),
    ("GatherPaKvCache", "lengths", gather),
    ("GatherPaKvCache", "cumulated lengths", gather),
    ("ScatterNdUpdate", None, op("npu_scatter_nd_update", 0, 1, 2)),
    ("ScatterNdUpdate", None, op("npu_scatter_nd_update_", 0, 1, 2)),
    ("ApplyAdamW", None, adam_w),
]


@pytest.mark.skipif(not hasattr(torch, "float8_e8m0fnu"), reason="the cases have dtypes of torch 2.7")
@pytest.mark.parametrize(
    "number", range(len(SIMULATED)), ids=lambda number: "-".join(filter(None, SIMULATED[number][:2]))
)
def test_the_numbers_are_those_of_the_aclnn_operator(number):
    name, label, call = SIMULATED[number]
    case = case_of(name, label)
    results = tensors(call(moved(case.given, "npu")))
    assert results
    for actual, wanted in zip(results, case.gives):  # noqa: B905  (Python 3.9)
        if wanted is not None:
            same_numbers(actual.cpu(), wanted, case)


def case_of(name, label):
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "simulator" / "tests"))
    try:
        cases = importlib.import_module("cases")
    finally:
        sys.path[:] = before
    return (
        next((case for op, text, case in cases.FORMS if (op, text) == (name, label)), None)
        or cases.CASES[name]
    )


def same_numbers(actual, wanted, case):
    if actual.dtype is torch.uint8 and wanted.dtype is not torch.uint8:
        wanted = wanted.view(torch.uint8)  # exponents, which the operator gives as bytes
    if "float8" in str(wanted.dtype):
        actual, wanted = actual.float(), wanted.float()
    tolerance = {} if case.rtol is None else {"rtol": case.rtol, "atol": case.atol}
    torch.testing.assert_close(actual, wanted, **tolerance)


# ---- gradients

F = torch.nn.functional


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rms_norm(x, gamma):
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * gamma


def rotated(x, cos, sin):
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def turned(x, cos, sin):
    return x * cos + torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2) * sin


MASK = torch.arange(16).reshape(1, 1, 4, 4) % 3 == 0
GRADIENTS = {
    "npu_rms_norm": (lambda *x: torch_npu.npu_rms_norm(*x)[0], rms_norm, [(3, 5, 16), (16,)]),
    "npu_swiglu": (torch_npu.npu_swiglu, lambda x: F.silu(x[..., :8]) * x[..., 8:], [(3, 16)]),
    "npu_swiglu, first dimension": (
        lambda x: torch_npu.npu_swiglu(x, dim=0),
        lambda x: F.silu(x[:2]) * x[2:],
        [(4, 6)],
    ),
    "npu_geglu": (
        lambda x: torch_npu.npu_geglu(x)[0],
        lambda x: x[..., :8] * F.gelu(x[..., 8:], approximate="tanh"),
        [(3, 16)],
    ),
    "npu_geglu, left, exact": (
        lambda x: torch_npu.npu_geglu(x, dim=0, approximate=0, activate_left=True)[0],
        lambda x: F.gelu(x[:2]) * x[2:],
        [(4, 6)],
    ),
    "npu_gelu": (torch_npu.npu_gelu, F.gelu, [(3, 16)]),
    "npu_gelu, tanh": (
        lambda x: torch_npu.npu_gelu(x, approximate="tanh"),
        lambda x: F.gelu(x, approximate="tanh"),
        [(3, 16)],
    ),
    "npu_scaled_masked_softmax": (
        lambda x: torch_npu.npu_scaled_masked_softmax(x, MASK.npu(), 0.5),
        lambda x: (x * 0.5).masked_fill(MASK, -10000.0).softmax(-1),
        [(2, 3, 4, 4)],
    ),
    "npu_rotary_mul": (torch_npu.npu_rotary_mul, rotated, [(2, 3, 4, 64), (1, 1, 4, 64), (1, 1, 4, 64)]),
    "npu_rotary_mul, interleaved": (
        lambda *x: torch_npu.npu_rotary_mul(*x, rotary_mode="interleave"),
        turned,
        [(2, 3, 4, 64), (1, 1, 4, 64), (1, 1, 4, 64)],
    ),
}


@pytest.mark.skipif(
    not hasattr(torch.nn.functional, "scaled_dot_product_attention"), reason="GELU by tanh is torch 2's"
)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    on_device, on_cpu, shapes = GRADIENTS[name]
    leaves = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]

    def run(function, device):
        given = [leaf.to(device).requires_grad_() for leaf in leaves]
        out = function(*given)
        weights = torch.arange(1.0, out.numel() + 1).reshape(out.shape) / out.numel()
        return [out.detach(), *torch.autograd.grad(out, given, weights.to(device))]

    for actual, wanted in zip(run(on_device, "npu"), run(on_cpu, "cpu")):  # noqa: B905  (Python 3.9)
        torch.testing.assert_close(actual.cpu(), wanted, rtol=1e-4, atol=1e-5)


def test_every_operator_is_called_here():
    """By name, or as the gradient of one that is."""
    of_ranks = Path(__file__).parents[1] / "distributed" / "test_fused.py"
    programs = (Path(__file__), of_ranks, CAPABILITIES / "custom.py", CAPABILITIES / "distributed_rank.py")
    text = "".join(program.read_text(encoding="utf-8") for program in programs)
    called = {name for name in TABLE if re.search(rf"\b{name.partition('.')[0]}\b", text)}
    called |= {
        row["gradient"]["call"].partition("(")[0]
        for name, row in TABLE.items()
        if name in called and "gradient" in row
    }
    assert set(TABLE) - called == set()
    assert len(TABLE) > 40


def test_the_page_names_every_operator():
    page = (ROOT / "adapter" / "README.md").read_text(encoding="utf-8")
    section = page.partition("## Custom operators")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`(npu_\w+)`", section)) - {"npu_fusion_attention", "npu_xxx"}
    assert listed == {name.partition(".")[0] for name in TABLE}
    marked = set(re.findall(r"`(npu_\w+)` \(gradient\)", section))
    assert marked == {name for name, row in TABLE.items() if "gradient" in row}


def test_a_gradient_of_a_gradient_is_an_error():
    x = torch.ones(2, 4).npu().requires_grad_()
    (first,) = torch.autograd.grad(torch_npu.npu_swiglu(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="npu_swiglu_backward is not implemented"):
        first.sum().backward()


def test_an_operator_without_a_gradient_says_so():
    x = torch.ones(2, 64).npu().requires_grad_()
    out = torch_npu.npu_add_rms_norm(x, x, torch.ones(64).npu())[0]
    with pytest.raises(RuntimeError, match="npu_add_rms_norm is not implemented"):
        out.sum().backward()


def test_there_is_no_gradient_with_a_matrix_of_its_own():
    x = torch.ones(1, 1, 4, 64).npu().requires_grad_()
    angles = torch.ones(1, 1, 4, 64).npu()
    with pytest.raises(NotImplementedError, match=r"npu_rotary_mul: .* a gradient with rotate"):
        torch_npu.npu_rotary_mul(x, angles, angles, rotate=torch.eye(64).npu())


def test_autograd_notices_what_an_operator_changes():
    x = torch.ones(3, 4).npu().requires_grad_()
    factor = torch.ones(3, 4).npu()
    product = x * factor
    torch_npu.npu_scatter_nd_update_(factor, torch.tensor([[1]]).npu(), torch.zeros(1, 4).npu())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="FakeTensor of torch 2")
def test_fake_tensors_have_the_device_and_the_sizes():
    from torch._subclasses import FakeTensorMode

    x, gamma = torch.ones(3, 64).npu(), torch.ones(64).npu()
    with FakeTensorMode() as mode:
        out, rstd = torch_npu.npu_rms_norm(mode.from_tensor(x), mode.from_tensor(gamma))
        halves = torch_npu.npu_swiglu(out)
    assert (out.device.type, out.shape, rstd.shape, halves.shape) == ("npu", (3, 64), (3, 1), (3, 32))
    assert rstd.dtype is torch.float32


# ---- what is refused

ONES = torch.ones(4, 64)
ERRORS = {
    "an odd half": (
        lambda: torch_npu.npu_swiglu(torch.ones(2, 3).npu()),
        RuntimeError,
        "npu_swiglu: expected an even size in dimension -1, but got sizes [2, 3]",
    ),
    "no such dimension": (
        lambda: torch_npu.npu_swiglu(torch.ones(2, 4).npu(), dim=2),
        IndexError,
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
    ),
    "weights of another width": (
        lambda: torch_npu.npu_rms_norm(ONES.npu(), torch.ones(32).npu()),
        RuntimeError,
        "npu_rms_norm: expected the last dimensions of the input to be those of gamma, but got input of "
        "sizes [4, 64] and gamma of sizes [32]",
    ),
    "another device": (
        lambda: torch_npu.npu_rms_norm(ONES.npu(), torch.ones(64)),
        RuntimeError,
        "Expected all tensors to be on the same device",
    ),
    "tensors of the CPU": (
        lambda: torch_npu.npu_swiglu(ONES),
        NotImplementedError,
        "Could not run 'npu::npu_swiglu' with arguments from the 'CPU' backend",
    ),
    "another dtype": (
        lambda: torch_npu.npu_add_rms_norm(ONES.npu(), ONES.half().npu(), torch.ones(64).npu()),
        RuntimeError,
        "npu_add_rms_norm: expected 'x2' and 'x1' to have the same dtype, but got Half and Float",
    ),
    "other dimensions": (
        lambda: torch_npu.npu_moe_token_permute(torch.ones(4).npu(), torch.ones(4).int().npu()),
        RuntimeError,
        "npu_moe_token_permute: Expected 2-dimensional tensor for argument 'tokens', but got one of sizes "
        "[4]",
    ),
    "indices that are no integers": (
        lambda: torch_npu.npu_moe_token_permute(ONES.npu(), torch.ones(4).npu()),
        RuntimeError,
        "npu_moe_token_permute: expected argument 'indices' to have dtype Int or Long, but got Float",
    ),
    "an unknown mode": (
        lambda: torch_npu.npu_rotary_mul(ONES.npu(), ONES.npu(), ONES.npu(), rotary_mode="quarter"),
        ValueError,
        "npu_rotary_mul: expected rotary_mode to be half or interleave, but got 'quarter'",
    ),
    "a number that is no dtype": (
        lambda: torch_npu.npu_dynamic_quant(ONES.npu(), dst_type=999),
        ValueError,
        "found 999 where a dtype is expected; give a torch.dtype",
    ),
    "no group type": (
        lambda: torch_npu.npu_grouped_matmul([ONES.npu()], [torch.ones(64, 4).npu()]),
        ValueError,
        "npu_grouped_matmul: group_type is needed",
    ),
    "a layout that is not there": (
        lambda: torch_npu.npu_fused_infer_attention_score(
            *(torch.ones(1, 2, 4, 8).npu(),) * 3, num_heads=2, input_layout="SBH"
        ),
        ValueError,
        "npu_fused_infer_attention_score: expected input_layout to be BSH, ",
    ),
    "an argument that does not exist": (
        lambda: torch_npu.npu_swiglu(ONES.npu(), axis=0),
        RuntimeError,
        "Unknown keyword argument 'axis' for operator 'npu::npu_swiglu'",
    ),
    "an operator that does not exist": (
        lambda: torch_npu.npu_nothing,
        AttributeError,
        "torch_npu.npu_nothing: this adapter does not have it",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_in_the_words_of_pytorch(name):
    call, kind, text = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
    torch.npu.synchronize()
