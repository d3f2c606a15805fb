"""Quantized numbers and products of them, against float64 and exact whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from cases.base import Case, case, random, whole

X16 = random(5, 16, seed=40, low=-3, high=3)
INT8_X = whole(5, 16, seed=41, below=200).sub(100).to(torch.int8)
INT8_W = whole(16, 8, seed=42, below=200).sub(100).to(torch.int8)
INT4_W = whole(64, 16, seed=43, below=16).sub(8)
SCALE = random(8, seed=44, low=0.001, high=0.01)
TOKEN = random(5, seed=45, low=0.5, high=2)
if not hasattr(torch, "float8_e8m0fnu"):  # of whoever imports all cases
    pytest.skip("the cases have dtypes of torch 2.7", allow_module_level=True)
F8, E8 = torch.float8_e4m3fn, torch.float8_e8m0fnu


def packed4(numbers: torch.Tensor) -> torch.Tensor:
    """Eight signed 4-bit numbers in each int32, the first in the lowest bits."""
    rows = []
    for row in numbers.reshape(-1, 8).tolist():
        word = sum((int(value) & 15) << (4 * i) for i, value in enumerate(row))
        rows.append(word - (1 << 32) if word >= 1 << 31 else word)
    shape = (*numbers.shape[:-1], numbers.shape[-1] // 8)
    return torch.tensor(rows, dtype=torch.int32).reshape(shape)


def in_64_bits(scale: torch.Tensor, offset: int | None = None) -> torch.Tensor:
    """What aclnnTransQuantParamV2 makes of scales."""
    bits = scale.view(torch.int32).long() & 0xFFFFE000 | 1 << 46
    return bits if offset is None else bits & 0x4000FFFFFFFF | (offset & 0x1FF) << 37


def cut(scale: torch.Tensor) -> torch.Tensor:
    """A scale as 19 of its bits say."""
    return (scale.view(torch.int32) & -8192).view(torch.float32).double()


def to_int8(value: torch.Tensor) -> torch.Tensor:
    return value.round().clamp(-128, 127).to(torch.int8)


def dynamic(x: torch.Tensor, dim: int | None = -1) -> tuple[torch.Tensor, torch.Tensor]:
    size = x.double().abs()
    step = (size.max() if dim is None else size.amax(dim, keepdim=True)) / 127
    return to_int8(x.double() / step), step.float()


def _quantizations() -> dict[str, tuple[str, Case]]:
    step, shift = random(16, seed=46, low=10, high=30), random(16, seed=47, low=-5, high=5)
    y, scale = dynamic(X16)
    smooth = random(16, seed=48)
    experts = random(2, 16, seed=49)
    ends = torch.tensor([2, 5], dtype=torch.int32)
    of_expert = torch.stack([experts[0 if row < 2 else 1] for row in range(5)])
    low, high = X16.double().amin(-1, keepdim=True), X16.double().amax(-1, keepdim=True)
    wide = (high - low) / 255
    offset = 127 - high / wide
    lopsided = to_int8(X16.double() / wide + offset)
    four = (X16.double() / (X16.double().abs().amax(-1, keepdim=True) / 7)).round().long()
    by_columns, column_scale = dynamic(X16, -2)
    all_of_it, one_scale = dynamic(X16, None)
    blocks = random(3, 128, seed=50, low=-1, high=1)
    block_y, block_scale = dynamic(blocks)
    return {
        "a scale of each column": (
            "AscendQuant",
            case(X16, step, shift, False, "round", 2, gives=to_int8(X16.double() * step + shift)),
        ),
        "the root of a scale": (
            "AscendQuant",
            case(
                X16,
                step[:1].sqrt(),
                None,
                True,
                "round",
                2,
                gives=to_int8(X16.double() * step[:1].sqrt().double() ** 2),
            ),
        ),
        "a scale of each row, rounded down": (
            "AscendQuantV3",
            case(
                X16,
                step[:5],
                None,
                False,
                "floor",
                2,
                -2,
                gives=(X16.double() * step[:5, None]).floor().to(torch.int8),
            ),
        ),
        "4 bits": (
            "AscendQuantV3",
            case(
                X16,
                torch.tensor([2.0]),
                None,
                False,
                "round",
                3,
                -1,
                gives=packed4((X16.double() * 2).round().clamp(-8, 7).long()),
            ),
        ),
        "by division": (
            "Quantize",
            case(
                X16,
                1 / step,
                shift,
                torch.int8,
                -1,
                gives=to_int8(X16.double() / (1 / step).double() + shift),
            ),
        ),
        "back to numbers": (
            "AscendAntiQuant",
            case(
                INT8_X,
                step,
                shift,
                1,
                False,
                gives=((INT8_X.double() + shift.double()) * step.double()).half(),
                rtol=1e-3,
                atol=1e-3,
            ),
        ),
        "with an offset": (
            "TransQuantParamV2",
            case(SCALE, torch.full((8,), -5.0), gives=in_64_bits(SCALE, -5)),
        ),
        "packed": ("ConvertWeightToINT4Pack", case(INT4_W.int(), gives=packed4(INT4_W))),
        "by rows": ("DynamicQuant", case(X16, None, gives=(y, scale.flatten()))),
        "smoothed": (
            "DynamicQuant",
            case(X16, smooth, gives=(dynamic(X16 * smooth)[0], dynamic(X16 * smooth)[1].flatten())),
        ),
        "not symmetric": (
            "DynamicQuantV2",
            case(
                X16,
                None,
                None,
                2,
                gives=(lopsided, wide.flatten().float(), offset.flatten().float()),
                rtol=1e-5,
                atol=1e-4,
            ),
        ),
        "smoothed by expert": (
            "DynamicQuantV2",
            case(
                X16,
                experts,
                ends,
                2,
                gives=(dynamic(X16 * of_expert)[0], dynamic(X16 * of_expert)[1].flatten(), None),
            ),
        ),
        "4 bits by rows": (
            "DynamicQuantV3",
            case(
                X16,
                None,
                None,
                3,
                True,
                "pertoken",
                gives=(packed4(four), (X16.double().abs().amax(-1) / 7).float(), None),
            ),
        ),
        "by columns": (
            "DynamicQuantV3",
            case(X16, None, None, 2, True, "perchannel", gives=(by_columns, column_scale.flatten(), None)),
        ),
        "as a whole": (
            "DynamicQuantV4",
            case(X16, None, None, 2, True, "pertensor", 0.0, gives=(all_of_it, one_scale.reshape(1), None)),
        ),
        "blocks of 128": (
            "DynamicBlockQuant",
            case(blocks, 0.0, "rint", 2, 1, 128, gives=(block_y, block_scale)),
        ),
        "float8 in blocks": (
            "DynamicBlockQuantV2",
            case(
                blocks,
                0.0,
                "rint",
                36,
                1,
                128,
                0.0,
                gives=(
                    (blocks / (blocks.abs().amax(-1, keepdim=True) / 448)).to(F8),
                    blocks.abs().amax(-1, keepdim=True) / 448,
                ),
            ),
        ),
    }


def mx(x: torch.Tensor, largest: float, emax: int, alg: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of x in blocks of 32: the scaled numbers, and the exponents with 127 added, in pairs."""
    scaled, codes = torch.zeros_like(x, dtype=torch.float64), torch.zeros(len(x), 2, dtype=torch.uint8)
    for row in range(len(x)):
        for block in range((x.shape[1] + 31) // 32):
            part = x[row, block * 32 : block * 32 + 32].double()
            top = float(part.abs().max())
            exponent = (
                torch.tensor(top).log2().floor() - emax
                if alg == 0
                else torch.tensor(top / largest).log2().ceil()
            )
            scaled[row, block * 32 : block * 32 + 32] = part / 2.0 ** float(exponent)
            codes[row, block] = int(exponent) + 127
    return scaled, codes.reshape(len(x), 1, 2)


def _mx() -> dict[str, tuple[str, Case]]:
    x = random(3, 40, seed=51, low=-5, high=5)
    scaled, codes = mx(x, 448, 8, 0)
    y = scaled.float().clamp(-448, 448).to(F8)
    safe, safe_codes = mx(x, 448, 8, 1)
    across, across_codes = mx(x.t().contiguous(), 448, 8, 0)
    tall = across.t().float().clamp(-448, 448).to(F8)
    tall_codes = across_codes.reshape(40, 2).reshape(1, 40, 2)
    codes, safe_codes, tall_codes = (item.view(E8) for item in (codes, safe_codes, tall_codes))
    return {
        "float8": ("DynamicMxQuant", case(x, -1, "rint", 36, 32, 0, gives=(y, codes))),
        "float8 that cannot overflow": (
            "DynamicMxQuantV2",
            case(x, -1, None, 36, 32, 1, 0.0, gives=(safe.float().to(F8), safe_codes)),
        ),
        "float8 along the first axis": (
            "DynamicMxQuantV3",
            case(x, 0, "rint", 36, 32, 0, 0.0, 0.0, gives=(tall, tall_codes)),
        ),
        "along both axes": (
            "DynamicMxQuantWithDualAxis",
            case(x, "rint", 36, 0, gives=(y, codes, tall, tall_codes)),
        ),
        "along both axes, V2": (
            "DynamicMxQuantWithDualAxisV2",
            case(x, "rint", 36, 0, 0.0, gives=(y, codes, tall, tall_codes)),
        ),
    }


def grouped_mx(
    x: torch.Tensor, ends: Sequence[int], largest: float, emax: int, alg: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of each group of rows in blocks of 32; its exponents begin at pair start // 64 + number."""
    scaled = torch.zeros(x.shape, dtype=torch.float64)
    codes = torch.full((len(x) // 64 + len(ends), x.shape[1], 2), 127, dtype=torch.uint8)
    start = 0
    for number, end in enumerate(ends):
        pairs = (end - start + 63) // 64
        codes[start // 64 + number :][:pairs] = 0
        for column in range(x.shape[1]):
            for block in range((end - start + 31) // 32):
                rows = slice(start + 32 * block, min(start + 32 * block + 32, end))
                part = x[rows, column].double()
                top = float(part.abs().max())
                exponent = (
                    math.floor(math.log2(top)) - emax if alg == 0 else math.ceil(math.log2(top / largest))
                )
                scaled[rows, column] = part / 2.0**exponent
                codes[start // 64 + number + block // 2, column, block % 2] = exponent + 127
        start = end
    return scaled, codes


def _grouped_mx() -> dict[str, tuple[str, Case]]:
    x, ends = random(150, 3, seed=59, low=-5, high=5).half(), [10, 10, 110, 150]
    index = torch.tensor(ends, dtype=torch.int32)
    scaled, codes = grouped_mx(x, ends, 448, 8, 0)
    safe, safe_codes = grouped_mx(x, ends, 448, 8, 1)
    y = scaled.float().clamp(-448, 448).to(F8)
    return {
        "groups of rows": (
            "GroupedDynamicMxQuant",
            case(x, index, "rint", 36, 32, gives=(y, codes.view(E8))),
        ),
        "groups of rows that cannot overflow": (
            "GroupedDynamicMxQuantV2",
            case(x, index, None, 36, 32, 1, 0.0, gives=(safe.float().to(F8), safe_codes.view(E8))),
        ),
    }


def _norms() -> dict[str, tuple[str, Case]]:
    x1, x2 = random(5, 16, seed=52, low=-1, high=1), random(5, 16, seed=53, low=-1, high=1)
    gamma, beta = random(16, seed=54), random(16, seed=55)
    s1, s2, zero = (
        random(16, seed=56, low=0.01, high=0.05),
        random(16, seed=57, low=0.02, high=0.05),
        random(16, seed=58),
    )
    total = x1.double() + x2.double()
    rms = (total.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    norm = total * rms * gamma
    first = to_int8(norm / s1.double() + zero.double())
    second = to_int8((norm + beta) / s2.double())
    y1, step1 = dynamic(norm.float() * s1)
    y2, step2 = dynamic(norm.float() * s2)
    x16 = [value.half() for value in (x1, x2, gamma)]
    sum16 = x16[0] + x16[1]
    rms16 = (sum16.double().square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    cast = (sum16.double() * rms16 * x16[2].double()).half()
    return {
        "quantized once": (
            "AddRmsNormQuant",
            case(x1, x2, gamma, s1, None, zero, None, -1, 1e-6, True, gives=(first, None, total.float())),
        ),
        "quantized twice, with beta": (
            "AddRmsNormQuantV2",
            case(
                x1,
                x2,
                gamma,
                s2,
                s2,
                None,
                None,
                beta,
                -1,
                1e-6,
                True,
                gives=(second, second, total.float(), norm.float()),
                rtol=1e-5,
                atol=1e-5,
            ),
        ),
        "scale of each row, twice": (
            "AddRmsNormDynamicQuantV2",
            case(
                x1,
                x2,
                gamma,
                s1,
                s2,
                None,
                1e-6,
                None,
                gives=(y1, y2, total.float(), step1.flatten(), step2.flatten()),
                rtol=1e-5,
                atol=1e-5,
            ),
        ),
        "float16 and float32": (
            "AddRmsNormCast",
            case(*x16, 1e-6, gives=(cast.float(), cast, rms16.float(), sum16), rtol=2e-3, atol=2e-3),
        ),
    }


def _products() -> dict[str, tuple[str, Case]]:
    exact = INT8_X.long() @ INT8_W.long()
    bias = whole(8, seed=59, below=99, dtype=torch.int32)
    plain = (None,) * 3
    by_token = ((exact + bias).double() * SCALE.double() * TOKEN.double()[:, None]).bfloat16()
    shifted = (exact.double() * SCALE.double() + 0.5).bfloat16()
    small = in_64_bits(SCALE / 20, 3)
    requantized = to_int8(exact.double() * cut(SCALE / 20) + 3)
    left, right = random(4, 64, seed=60, low=-1, high=1).half(), packed4(INT4_W)
    groups = random(2, 16, seed=61).half()
    wide = INT4_W.double() * groups.double().repeat_interleave(32, 0)
    column, column_offset = random(8, seed=62).half(), random(8, seed=63).half()
    half = random(5, 16, seed=64, low=-1, high=1).half()
    dequantized = (INT8_W.double() + column_offset.double()) * column.double()
    product = half.double() @ dequantized
    four = whole(5, 64, seed=65, below=16).sub(8)
    weight_args = (half, INT8_W, column, column_offset)
    return {
        "row and column scales, bfloat16": (
            "QuantMatmulV5",
            case(INT8_X, INT8_W, TOKEN, SCALE, *plain, None, bias, False, False, 0, gives=by_token),
        ),
        "transposed, bias behind": (
            "QuantMatmulV5",
            case(
                INT8_X,
                INT8_W.t().contiguous(),
                None,
                SCALE,
                *plain,
                None,
                torch.full((8,), 0.5),
                False,
                True,
                0,
                gives=shifted,
            ),
        ),
        "whole numbers": (
            "QuantMatmulV5",
            case(
                INT8_X, INT8_W, None, SCALE, *plain, None, bias, False, False, 0, gives=(exact + bias).int()
            ),
        ),
        "int8, scale and offset in 64 bits": (
            "QuantMatmulV5",
            case(INT8_X, INT8_W, None, small, *plain, None, None, False, False, 0, gives=requantized),
        ),
        "4 bits times 4 bits": (
            "QuantMatmulV5",
            case(
                packed4(four),
                right,
                TOKEN,
                SCALE[:1],
                *plain,
                None,
                None,
                False,
                False,
                0,
                gives=((four @ INT4_W).double() * SCALE[0].double() * TOKEN.double()[:, None]).half(),
            ),
        ),
        "V4, row and column scales, whole bias": (
            "QuantMatmulV4",
            case(INT8_X, INT8_W, SCALE, None, TOKEN, bias, False, False, gives=by_token),
        ),
        "V4, transposed, whole numbers": (
            "QuantMatmulV4",
            case(
                INT8_X,
                INT8_W.t().contiguous(),
                SCALE,
                None,
                None,
                bias,
                False,
                True,
                gives=(exact + bias).int(),
            ),
        ),
        "V4, int8, scale and offset": (
            "QuantMatmulV4",
            case(
                INT8_X,
                INT8_W,
                SCALE / 20,
                torch.tensor([3.0]),
                None,
                None,
                False,
                False,
                gives=to_int8(exact.double() * (SCALE / 20).double() + 3),
            ),
        ),
        "private weights, row and column scales": (
            "QuantMatmulWeightNz",
            case(INT8_X, INT8_W, TOKEN, SCALE, *plain, None, bias, False, False, 0, gives=by_token),
        ),
        "int8 by columns": (
            "WeightQuantBatchMatmulV2",
            case(*weight_args, None, None, None, 0, gives=product.half(), rtol=2e-3, atol=2e-3),
        ),
        "private int8 by columns": (
            "WeightQuantBatchMatmulNz",
            case(*weight_args, None, None, None, 0, gives=product.half(), rtol=2e-3, atol=2e-3),
        ),
        "4 bits in groups": (
            "WeightQuantBatchMatmulV3",
            case(
                left,
                right,
                groups,
                None,
                None,
                None,
                None,
                32,
                0,
                gives=(left.double() @ wide).half(),
                rtol=2e-3,
                atol=2e-2,
            ),
        ),
    }


def grouped(
    x: torch.Tensor, weights: torch.Tensor, sizes: list[int], out: torch.Tensor | None = None
) -> torch.Tensor:
    """Rows of each group times its weight; rows behind the last group stay 77."""
    result = torch.full((len(x), weights.shape[-1]), 77.0, dtype=torch.float64) if out is None else out
    begin = 0
    for group, size in enumerate(sizes):
        result[begin : begin + size] = x[begin : begin + size].double() @ weights[group].double()
        begin += size
    return result


def _groups() -> dict[str, tuple[str, Case]]:
    x, weights = random(7, 6, seed=66, low=-1, high=1), random(3, 6, 4, seed=67, low=-1, high=1)
    bias = random(3, 4, seed=68)
    sizes = [2, 0, 4]
    rows = grouped(x, weights, sizes)
    with_bias = rows.clone()
    with_bias[:2] += bias[0]
    with_bias[2:6] += bias[2]
    ends, each = torch.tensor([2, 2, 6]), torch.tensor(sizes)
    pairs = torch.tensor([[2, 4], [0, 2], [1, 0]])
    swapped = torch.full((7, 4), 77.0, dtype=torch.float64)
    swapped[:4] = x[:4].double() @ weights[2].double()
    swapped[4:6] = x[4:6].double() @ weights[0].double()
    none = [None] * 6
    rest = [None] * 3
    long = random(6, 7, seed=69, low=-1, high=1)
    left = long.t().contiguous().t()  # as a transposed tensor lies in memory
    right = random(7, 4, seed=70, low=-1, high=1)
    by_sum = torch.zeros(3, 6, 4, dtype=torch.float64)
    by_sum[0], by_sum[2] = (
        long[:, :2].double() @ right[:2].double(),
        long[:, 2:6].double() @ right[2:6].double(),
    )
    int_x, int_w = INT8_X, torch.stack([INT8_W, -INT8_W])
    scales = torch.stack([SCALE, SCALE * 2])
    both = torch.cat([int_x[:2].long() @ int_w[0].long(), int_x[2:].long() @ int_w[1].long()]).double()
    both[:2] *= scales[0].double()
    both[2:] *= scales[1].double()
    both *= TOKEN.double()[:, None]
    half = random(4, 64, seed=71, low=-1, high=1).half()
    four = torch.stack([INT4_W, (-INT4_W).clamp_max(7)])
    columns = random(2, 16, seed=72).half()
    dequantized = four.double() * columns.double()[:, None]
    weight_only = grouped(half, dequantized, [1, 3])
    separate = [x[:2], x[2:]]
    act = (rows * (rows * 0 + 1)).clone()
    act[:6] = act[:6].clamp_min(0)
    group = torch.tensor
    return {
        "rows, ends of groups": (
            "GroupedMatmulV4",
            case(
                [x],
                [weights],
                None,
                *none[:-1],
                ends,
                *rest,
                3,
                0,
                0,
                0,
                gives=([rows.float()], None, None),
            ),
        ),
        "rows, sizes of groups, bias": (
            "GroupedMatmulV5",
            case(
                [x],
                [weights],
                [bias],
                *none[:-1],
                each,
                *rest,
                2,
                0,
                1,
                0,
                None,
                gives=([with_bias.float()], None, None),
            ),
        ),
        "rows, number and size of groups": (
            "GroupedMatmulV5",
            case(
                [x],
                [weights],
                None,
                *none[:-1],
                pairs,
                *rest,
                2,
                0,
                2,
                0,
                None,
                gives=([swapped.float()], None, None),
            ),
        ),
        "rows, weights apart": (
            "GroupedMatmulV5",
            case(
                [x],
                list(weights),
                None,
                *none[:-1],
                ends,
                *rest,
                3,
                0,
                0,
                0,
                None,
                gives=([rows.float()], None, None),
            ),
        ),
        "rows apart, one output": (
            "GroupedMatmulV5",
            case(
                separate,
                list(weights[:2]),
                None,
                *none[:-1],
                None,
                *rest,
                2,
                0,
                0,
                0,
                None,
                gives=([grouped(x, weights[:2], [2, 5]).float()], None, None),
            ),
        ),
        "no groups": (
            "GroupedMatmulV5",
            case(
                separate,
                list(weights[:2]),
                None,
                *none[:-1],
                None,
                *rest,
                0,
                -1,
                0,
                0,
                None,
                gives=([x[:2] @ weights[0], x[2:] @ weights[1]], None, None),
            ),
        ),
        "groups of the sum": (
            "GroupedMatmulV5",
            case(
                [left],
                [right],
                None,
                *none[:-1],
                each,
                *rest,
                2,
                2,
                1,
                0,
                None,
                gives=([by_sum.float()], None, None),
            ),
        ),
        "int8, row and column scales": (
            "GroupedMatmulV5",
            case(
                [int_x],
                [int_w],
                None,
                [scales],
                None,
                None,
                None,
                [TOKEN],
                group([2, 5]),
                *rest,
                2,
                0,
                0,
                0,
                None,
                gives=([both.bfloat16()], None, None),
            ),
        ),
        "4-bit weights by columns": (
            "GroupedMatmulV5",
            case(
                [half],
                [packed4(four)],
                None,
                None,
                None,
                [columns],
                None,
                None,
                group([1, 3]),
                *rest,
                2,
                0,
                1,
                0,
                None,
                gives=([weight_only.half()], None, None),
                rtol=2e-3,
                atol=2e-2,
            ),
        ),
        "private weights, relu": (
            "GroupedMatmulWeightNz",
            case(
                [x],
                [weights],
                None,
                *none[:-1],
                ends,
                *rest,
                3,
                0,
                0,
                1,
                None,
                0,
                gives=([act.float()], None, None),
            ),
        ),
    }


FORMS: tuple[dict[str, tuple[str, Case]], ...] = (
    _quantizations(),
    _mx(),
    _grouped_mx(),
    _norms(),
    _products(),
    _groups(),
)

INVALID = 161002
_ROWS = (random(7, 6, seed=66), random(3, 6, 4, seed=67))
REFUSED = (
    (
        "GroupedMatmulV5",
        ([_ROWS[0]], [_ROWS[1]], *[None] * 6, torch.tensor([1, 2]), *[None] * 3, 2, 0, 1, 0, None),
        ([torch.zeros(7, 4)], None, None),
        INVALID,
        "'groupList' has 2 groups, 'weight' 3",
    ),
    (
        "GroupedMatmulV5",
        ([_ROWS[0]], [_ROWS[1]], *[None] * 6, None, *[None] * 3, 2, 0, 1, 0, None),
        ([torch.zeros(7, 4)], None, None),
        161001,
        "'groupList' is NULL",
    ),
    (
        "GroupedMatmulV5",
        ([_ROWS[0]], [_ROWS[1]], *[None] * 6, torch.tensor([1, 2, 3]), *[None] * 3, 2, 1, 1, 0, None),
        ([torch.zeros(7, 4)], None, None),
        INVALID,
        "'groupType' is 1; it must be -1, 0",
    ),
    (
        "QuantMatmulV5",
        (INT8_X, INT8_W[:8], None, SCALE, *[None] * 5, False, False, 0),
        (torch.zeros(5, 8, dtype=torch.bfloat16),),
        INVALID,
        "their k must be equal",
    ),
    (
        "QuantMatmulV4",
        (INT8_X, INT8_W, SCALE[:3], None, None, None, False, False),
        (torch.zeros(5, 8, dtype=torch.bfloat16),),
        INVALID,
        "it must have one element, or n, 8",
    ),
    (
        "WeightQuantBatchMatmulV2",
        (random(5, 16).half(), INT8_W, SCALE.half(), None, None, None, None, 24),
        (torch.zeros(5, 8).half(),),
        INVALID,
        "'antiquantGroupSize' is 24; it must be 0, or a multiple of 32",
    ),
    (
        "DynamicQuantV3",
        (X16, None, None, 2, True, "perrow"),
        (INT8_X, torch.zeros(5), None),
        INVALID,
        "'quantMode' is 'perrow'",
    ),
    (
        "DynamicMxQuant",
        (random(3, 40), -1, "rint", 36, 33, 0),
        (torch.zeros(3, 40).to(F8), torch.zeros(3, 1, 2).to(E8)),
        INVALID,
        "'blocksize' is 33",
    ),
    (
        "GroupedDynamicMxQuant",
        (random(3, 40), torch.tensor([3], dtype=torch.int32), "rint", 36, 32),
        (torch.zeros(3, 40).to(F8), torch.zeros(1, 40, 2).to(E8)),
        INVALID,
        "'x' has data type Float; it must be float16 or bfloat16",
    ),
    (
        "GroupedDynamicMxQuantV2",
        (random(3, 40).half(), torch.tensor([3], dtype=torch.int32), "rint", 36, 32, 0, 0.0),
        (torch.zeros(3, 40).to(F8), torch.zeros(2, 40, 2).to(E8)),
        INVALID,
        r"'mxscale' has shape \[2, 40, 2\]; it must have \[1, 40, 2\]",
    ),
)
