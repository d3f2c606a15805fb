"""One call of each operator that the adapter calls, too, and what ATen on the CPU computes for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from cases.base import BOOL, ROW, SIGNED, Case, I, J, X, Y, Z, case, gradient, random, whole
from cases.elementwise import BITS, COMPARISONS

aten = torch.ops.aten
ONE_OPERAND = """
Abs Neg Sign Signbit Reciprocal Sqrt Rsqrt Exp Exp2 Expm1 Log Log2 Log10 Log1p Sin Cos Tan Sinh Cosh Asin Acos
Atan Asinh Atanh Erf Erfc Erfinv Floor Ceil Round Trunc Frac IsFinite IsPosInf IsNegInf Relu Sigmoid Tanh
"""
TWO_OPERANDS = {
    "Mul": torch.mul, "Div": torch.div, "RemainderTensorTensor": torch.remainder, "FmodTensor": torch.fmod,
    "PowTensorTensor": torch.pow, "Maximum": torch.maximum, "Minimum": torch.minimum, "Atan2": torch.atan2,
    "LogAddExp": torch.logaddexp,
}  # fmt: skip
ALONE = {"Silu": F.silu, "Hardswish": F.hardswish, "Hardsigmoid": F.hardsigmoid}
ONE = torch.tensor(0.5)
ROWS = torch.tensor([2, 0])
PLACES = whole(2, 4, below=3)
CUBE = random(2, 3, 4)
SEED = (1, 0)


def _elementwise() -> dict[str, Case]:
    cases = {name: case(X, gives=getattr(torch, name.lower())(X)) for name in ONE_OPERAND.split()}
    cases |= {name: case(X, ROW, gives=function(X, ROW)) for name, function in TWO_OPERANDS.items()}
    cases |= {name: case(SIGNED, gives=function(SIGNED)) for name, function in ALONE.items()}
    for name, function in COMPARISONS.items():
        cases[f"{name}Tensor"] = case(X, ROW, gives=function(X, ROW))
        cases[f"{name}Scalar"] = case(X, 0.5, gives=function(X, 0.5))
    for name, function in BITS.items():
        cases[f"Bitwise{name}Tensor"] = case(I, J, gives=function(I, J))
    for name in ("and", "or", "xor"):
        function = getattr(torch, f"logical_{name}")
        cases[f"Logical{name.title()}"] = case(BOOL, Y > 0.5, gives=function(BOOL, Y > 0.5))
    return cases


FILLING = {
    "InplaceCopy": case(X, Y, gives=Y),
    "InplaceFillScalar": case(X, 7.0, gives=torch.full((3, 4), 7.0)),
    "InplaceZero": case(X, gives=torch.zeros(3, 4)),
    "Arange": case(1.0, 7.0, 1.5, gives=torch.arange(1.0, 7.0, 1.5)),
    "Linspace": case(0.0, 2.0, 5, gives=torch.linspace(0, 2, 5)),
    "Eye": case(3, 4, gives=torch.eye(3, 4)),
    "InplaceNormal": case(X, 2.0, 0.0, *SEED, gives=torch.full((3, 4), 2.0)),
    "InplaceUniform": case(X, 2.0, 2.0, *SEED, gives=torch.full((3, 4), 2.0)),
    "InplaceBernoulli": case(X, 1.0, *SEED, gives=torch.ones(3, 4)),
    "InplaceRandom": case(X, 5, 6, *SEED, gives=torch.full((3, 4), 5.0)),
}

WITH_A_NUMBER = {
    "Adds": case(X, 3.0, 2.0, gives=X + 6),
    "Subs": case(X, 3.0, 2.0, gives=X - 6),
    "Muls": case(X, 3.0, gives=X * 3),
    "Divs": case(X, 3.0, gives=X / 3),
    "RemainderTensorScalar": case(SIGNED, 0.3, gives=SIGNED % 0.3),
    "FmodScalar": case(SIGNED, 0.3, gives=SIGNED.fmod(0.3)),
    "PowTensorScalar": case(X, 2.5, gives=X**2.5),
    "PowScalarTensor": case(2.0, X, gives=2**X),
    "RoundDecimals": case(X, 1, gives=X.round(decimals=1)),
    "Clamp": case(X, 0.2, 0.5, gives=X.clamp(0.2, 0.5)),
    "ClampMin": case(X, 0.5, gives=X.clamp(min=0.5)),
    "ClampMax": case(X, 0.5, gives=X.clamp(max=0.5)),
    "Threshold": case(SIGNED, 0.5, 9.0, gives=F.threshold(SIGNED, 0.5, 9.0)),
    "LeakyRelu": case(SIGNED, 0.1, gives=F.leaky_relu(SIGNED, 0.1)),
    "Elu": case(SIGNED, 0.5, 1.0, 1.0, gives=F.elu(SIGNED, 0.5)),
    "Hardtanh": case(SIGNED, -0.5, 0.5, gives=F.hardtanh(SIGNED, -0.5, 0.5)),
    "Softplus": case(SIGNED, 1.0, 20.0, gives=F.softplus(SIGNED)),
    "GeluV2": case(SIGNED, 1, gives=F.gelu(SIGNED, approximate="tanh")),
    "Softmax": case(SIGNED, 1, gives=SIGNED.softmax(1)),
    "LogSoftmax": case(SIGNED, 1, gives=SIGNED.log_softmax(1)),
}

OPERANDS = {
    "Add": case(X, ROW, 2.0, gives=X + 2 * ROW),
    "Sub": case(X, ROW, 2.0, gives=X - 2 * ROW),
    "DivMod": case(X, ROW, 2, gives=torch.div(X, ROW, rounding_mode="floor")),
    "Addcmul": case(X, Y, ROW, 0.5, gives=X + 0.5 * Y * ROW),
    "Addcdiv": case(X, Y, ROW, 0.5, gives=X + 0.5 * Y / ROW),
    "Lerp": case(X, Y, Z, gives=torch.lerp(X, Y, Z)),
    "Lerps": case(X, Y, 0.3, gives=torch.lerp(X, Y, 0.3)),
    "Acosh": case(X + 1, gives=torch.acosh(X + 1)),
    "ClampTensor": case(X, Y, Z, gives=torch.clamp(X, Y, Z)),
    "ClampMinTensor": case(X, Y, gives=torch.maximum(X, Y)),
    "ClampMaxTensor": case(X, Y, gives=torch.minimum(X, Y)),
    "LogicalNot": case(BOOL, gives=~BOOL),
    "BitwiseNot": case(I, gives=~I),
    "Equal": case(X, X, gives=torch.tensor(True)),
    "SWhere": case(BOOL, X, Y, gives=torch.where(BOOL, X, Y)),
}

REDUCTIONS = {
    "ReduceSum": case(X, [1], False, torch.float32, gives=X.sum(1)),
    "Mean": case(X, [1], True, torch.float32, gives=X.mean(1, keepdim=True)),
    "Prod": case(X, torch.float32, gives=X.prod()),
    "ProdDim": case(X, 1, False, torch.float32, gives=X.prod(1)),
    "Max": case(X, gives=X.max()),
    "Min": case(X, gives=X.min()),
    "MaxDim": case(X, 1, False, gives=tuple(X.max(1))),
    "MinDim": case(X, 1, True, gives=tuple(X.min(1, keepdim=True))),
    "Amax": case(X, [1], False, gives=X.amax(1)),
    "Amin": case(X, [0, 1], False, gives=X.amin((0, 1))),
    "ArgMax": case(X, 1, False, gives=X.argmax(1)),
    "ArgMin": case(X, 1, True, gives=X.argmin(1, keepdim=True)),
    "All": case(BOOL, [1], False, gives=BOOL.all(1)),
    "Any": case(BOOL, [], False, gives=BOOL.any()),
    "VarCorrection": case(X, [1], 1, False, gives=X.var(1)),
    "VarMean": case(X, [1], 0, False, gives=tuple(torch.var_mean(X, 1, correction=0))),
    "Std": case(X, [1], 1, True, gives=X.std(1, keepdim=True)),
    "LinalgVectorNorm": case(X, 3.0, [1], False, torch.float32, gives=torch.linalg.vector_norm(X, 3, 1)),
    "LogSumExp": case(X, [1], False, gives=X.logsumexp(1)),
    "Cumsum": case(X, 1, torch.float32, gives=X.cumsum(1)),
    "Sort": case(X, True, 1, True, gives=tuple(torch.sort(X, stable=True, dim=1, descending=True))),
    "Topk": case(X, 2, 1, True, True, gives=tuple(torch.topk(X, 2, 1))),
}

PRODUCTS = {
    "Mm": case(X, random(4, 5), 0, gives=X @ random(4, 5)),
    "BatchMatMul": case(CUBE, random(2, 4, 5), 0, gives=CUBE @ random(2, 4, 5)),
    "Dot": case(X[0], Y[0], gives=X[0].dot(Y[0])),
    "Addmm": case(
        random(5), X, random(4, 5), 2.0, 0.5, 0,
        gives=torch.addmm(random(5), X, random(4, 5), beta=2, alpha=0.5),
    ),
    "Addmv": case(
        random(3), X, ROW, 0.5, 2.0, 0, gives=torch.addmv(random(3), X, ROW, beta=2, alpha=0.5)
    ),
    "Baddbmm": case(
        random(2, 3, 5), CUBE, random(2, 4, 5), 2.0, 0.5, 0,
        gives=torch.baddbmm(random(2, 3, 5), CUBE, random(2, 4, 5), beta=2, alpha=0.5),
    ),
}  # fmt: skip


def _put(accumulate: bool) -> torch.Tensor:
    return X.clone().index_put_((ROWS,), Y[:2], accumulate=accumulate)


INDEXING = {
    "Cat": case([X, Y], 0, gives=torch.cat([X, Y])),
    "Index": case(X, [ROWS], gives=X[ROWS]),
    "IndexPutImpl": case(X, [ROWS], Y[:2], True, False, gives=_put(True)),
    "IndexSelect": case(X, 0, ROWS, gives=X[ROWS]),
    "IndexAdd": case(X, 0, ROWS, Y[:2], 2.0, gives=X.index_add(0, ROWS, Y[:2], alpha=2)),
    "Gather": case(X, 0, PLACES, gives=X.gather(0, PLACES)),
    "Scatter": case(X, 0, PLACES, Y[:2], 0, gives=X.scatter(0, PLACES, Y[:2])),
    "ScatterValue": case(X, 0, PLACES, 3.0, 0, gives=X.scatter(0, PLACES, 3.0)),
    "ScatterAdd": case(X, 0, PLACES, Y[:2], gives=X.scatter_add(0, PLACES, Y[:2])),
    "InplaceMaskedFillScalar": case(X, BOOL, 7.0, gives=X.masked_fill(BOOL, 7)),
    "InplaceMaskedFillTensor": case(X, BOOL, ONE, gives=X.masked_fill(BOOL, 0.5)),
    "MaskedSelect": case(X, BOOL, gives=X[BOOL]),
    "Nonzero": case(BOOL, gives=BOOL.nonzero()),
    "Flip": case(X, [1], gives=X.flip(1)),
    "Roll": case(X, [1], [0], gives=X.roll(1, 0)),
    "Repeat": case(X, [2, 1], gives=X.repeat(2, 1)),
    "Tril": case(X, 0, gives=X.tril()),
    "Triu": case(X, 1, gives=X.triu(1)),
    "Embedding": case(X, ROWS, gives=X[ROWS]),
    "EmbeddingDenseBackward": case(
        Y[:2], ROWS, 3, 2**64 - 1, False, gives=aten.embedding_dense_backward(Y[:2], ROWS, 3, -1, False)
    ),
}


def _activation_gradients() -> dict[str, Case]:
    result = SIGNED.softmax(1)
    return {
        "ThresholdBackward": case(Y, SIGNED, 0.5, gives=Y * (SIGNED > 0.5)),
        "LeakyReluBackward": case(
            Y, SIGNED, 0.1, False, gives=gradient(lambda x: F.leaky_relu(x, 0.1), SIGNED, grad=Y)
        ),
        "EluBackward": case(Y, 1.0, 1.0, 1.0, False, SIGNED, gives=gradient(F.elu, SIGNED, grad=Y)),
        "GeluBackwardV2": case(Y, SIGNED, "none", gives=gradient(F.gelu, SIGNED, grad=Y)),
        "SiluBackward": case(Y, SIGNED, gives=gradient(F.silu, SIGNED, grad=Y)),
        "SigmoidBackward": case(Y, X, gives=Y * X * (1 - X)),
        "TanhBackward": case(Y, X, gives=Y * (1 - X * X)),
        "HardtanhBackward": case(Y, SIGNED, -1.0, 1.0, gives=gradient(F.hardtanh, SIGNED, grad=Y)),
        "HardswishBackward": case(Y, SIGNED, gives=gradient(F.hardswish, SIGNED, grad=Y)),
        "HardsigmoidBackward": case(Y, SIGNED, gives=gradient(F.hardsigmoid, SIGNED, grad=Y)),
        "SoftplusBackward": case(Y, SIGNED, 1.0, 20.0, gives=gradient(F.softplus, SIGNED, grad=Y)),
        "LogSigmoidForward": case(SIGNED, gives=(F.logsigmoid(SIGNED), torch.empty(0))),
        "LogSigmoidBackward": case(Y, SIGNED, torch.empty(0), gives=gradient(F.logsigmoid, SIGNED, grad=Y)),
        "SoftmaxBackward": case(Y, result, 1, gives=gradient(lambda x: x.softmax(1), SIGNED, grad=Y)),
        "LogSoftmaxBackward": case(
            Y, result.log(), 1, gives=gradient(lambda x: x.log_softmax(1), SIGNED, grad=Y)
        ),
    }


def _layers() -> dict[str, Case]:
    image, weight, bias = random(2, 4, 6, 6), random(6, 2, 3, 3), random(6)
    geometry = ([1, 1], [0, 0], [1, 1], False, [0, 0], 2)
    convolved = torch.convolution(image, weight, bias, *geometry)
    grad = random(*convolved.shape, seed=5)
    channel, other = random(4), random(4, seed=1)
    zeros, ones = torch.zeros(4), torch.ones(4)
    mean, var = zeros.clone(), ones.clone()
    normal = torch.native_batch_norm(image, channel, other, mean, var, True, 0.1, 1e-5)
    same = random(*image.shape, seed=6)
    rows = torch.native_layer_norm(X, [4], ROW, ROW, 1e-5)
    groups = torch.native_group_norm(image, channel, other, 2, 4, 36, 2, 1e-5)
    return {
        "Convolution": case(image, weight, bias, *geometry, 0, gives=convolved),
        "ConvolutionBackward": case(
            grad, image, weight, [6], *geometry, [True] * 3, 0, rtol=1e-4, atol=1e-4,
            gives=tuple(aten.convolution_backward(grad, image, weight, [6], *geometry, [True] * 3)),
        ),
        "BatchNorm": case(
            image, channel, other, zeros, ones, True, 0.1, 1e-5, gives=(mean, var, *normal)
        ),
        "BatchNormBackward": case(
            same, image, channel, zeros, ones, normal[1], normal[2], True, 1e-5, [True] * 3,
            gives=tuple(aten.native_batch_norm_backward(
                same, image, channel, zeros, ones, normal[1], normal[2], True, 1e-5, [True] * 3
            )),
        ),
        "LayerNorm": case(X, [4], ROW, ROW, 1e-5, gives=tuple(rows)),
        "LayerNormBackward": case(
            Y, X, [4], rows[1], rows[2], ROW, ROW, [True] * 3,
            gives=tuple(aten.native_layer_norm_backward(Y, X, [4], rows[1], rows[2], ROW, ROW, [True] * 3)),
        ),
        "GroupNorm": case(image, channel, other, 2, 4, 36, 2, 1e-5, gives=tuple(groups)),
        "GroupNormBackward": case(
            same, image, groups[1], groups[2], channel, 2, 4, 36, 2, [True] * 3,
            gives=tuple(aten.native_group_norm_backward(
                same, image, groups[1], groups[2], channel, 2, 4, 36, 2, [True] * 3
            )),
        ),
    }  # fmt: skip


def _pooling() -> dict[str, Case]:
    image, window = random(1, 2, 4, 4), ([2, 2], [2, 2], [0, 0])
    values, places = F.max_pool2d(image, 2, return_indices=True)
    average = F.avg_pool2d(image, 2)
    grad = random(*values.shape, seed=7)
    half = lambda x: F.avg_pool2d(x, 2)  # noqa: E731
    return {
        "MaxPool2dWithIndices": case(image, *window, [1, 1], False, gives=(values, places)),
        "MaxPool2dWithIndicesBackward": case(
            grad, image, places, *window, [1, 1], False,
            gives=gradient(lambda x: F.max_pool2d(x, 2), image, grad=grad),
        ),
        "AvgPool2d": case(image, *window, False, True, 0, 0, gives=average),
        "AvgPool2dBackward": case(
            grad, image, *window, False, True, 0, 0, gives=gradient(half, image, grad=grad)
        ),
        "AdaptiveAvgPool2d": case(image, [2, 2], gives=average),
        "AdaptiveAvgPool2dBackward": case(grad, image, gives=gradient(half, image, grad=grad)),
    }  # fmt: skip


def _losses() -> dict[str, Case]:
    scores, labels, ones = SIGNED.log_softmax(1), torch.tensor([1, 0, 3]), torch.ones(4)
    bits = BOOL.float()
    return {
        "NLLLoss": case(scores, labels, ones, 1, -100, gives=(F.nll_loss(scores, labels), torch.tensor(3.0))),
        "NLLLossBackward": case(
            ONE, scores, labels, ones, 1, -100, torch.tensor(3.0),
            gives=gradient(lambda x: F.nll_loss(x, labels), scores, grad=ONE),
        ),
        "MseLoss": case(X, Y, 1, gives=F.mse_loss(X, Y)),
        "MseLossBackward": case(ONE, X, Y, 1, gives=gradient(lambda x: F.mse_loss(x, Y), X, grad=ONE)),
        "SmoothL1Loss": case(X, Y, 1, 1.0, gives=F.smooth_l1_loss(X, Y)),
        "SmoothL1LossBackward": case(
            ONE, X, Y, 1, 1.0, gives=gradient(lambda x: F.smooth_l1_loss(x, Y), X, grad=ONE)
        ),
        "BinaryCrossEntropy": case(X, bits, Y, 1, gives=F.binary_cross_entropy(X, bits, Y)),
        "BinaryCrossEntropyBackward": case(
            ONE, X, bits, Y, 1, gives=gradient(lambda x: F.binary_cross_entropy(x, bits, Y), X, grad=ONE)
        ),
    }  # fmt: skip


SHARED: dict[str, Case] = {
    **_elementwise(), **FILLING, **WITH_A_NUMBER, **OPERANDS, **REDUCTIONS, **PRODUCTS, **INDEXING,
    **_activation_gradients(), **_layers(), **_pooling(), **_losses(),
}  # fmt: skip
