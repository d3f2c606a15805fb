"""Activations, losses, normalization, pooling, padding, interpolation and further layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812

from cases.base import BOOL, SIGNED, Case, X, Y, Z, case, gradient, random, whole

aten = torch.ops.aten
IMAGE = random(2, 4, 6, 6, low=-1, high=1)
SIGNAL = random(2, 3, 6, low=-1, high=1)
VOLUME = random(1, 2, 4, 4, 4, low=-1, high=1)
WIDE = random(3, 8, low=-1, high=1)
HALF = random(3, 4, seed=9)
SCORES = X.log_softmax(1)


def _swi_glu(x: torch.Tensor) -> torch.Tensor:
    gate, value = x.chunk(2, -1)
    return F.silu(gate) * value


def _ge_glu(x: torch.Tensor) -> torch.Tensor:
    value, gate = x.chunk(2, -1)
    return value * F.gelu(gate)


def _prelu(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.prelu(x, weight)


def _fast_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


def _masked_softmax(x: torch.Tensor) -> torch.Tensor:
    return (0.5 * x).masked_fill(BOOL[None, None], -10000).softmax(-1)


ROWS = random(1, 1, 3, 4, low=-1, high=1)
NOISE = torch.ones(3, 4)

ACTIVATIONS = {
    "Gelu": case(SIGNED, gives=F.gelu(SIGNED)),
    "GeluBackward": case(Y, SIGNED, gives=gradient(F.gelu, SIGNED, grad=Y)),
    "FastGelu": case(SIGNED, gives=_fast_gelu(SIGNED)),
    "FastGeluBackward": case(Y, SIGNED, gives=gradient(_fast_gelu, SIGNED, grad=Y)),
    "Celu": case(SIGNED, 0.5, gives=F.celu(SIGNED, 0.5)),
    "Mish": case(SIGNED, gives=F.mish(SIGNED)),
    "MishBackward": case(Y, SIGNED, gives=gradient(F.mish, SIGNED, grad=Y)),
    "HardswishBackwardV2": case(Y, SIGNED, gives=gradient(F.hardswish, SIGNED, grad=Y)),
    "Hardshrink": case(SIGNED, 0.5, gives=F.hardshrink(SIGNED, 0.5)),
    "HardshrinkBackward": case(Y, SIGNED, 0.5, gives=gradient(F.hardshrink, SIGNED, grad=Y)),
    "Softshrink": case(SIGNED, 0.5, gives=F.softshrink(SIGNED, 0.5)),
    "SoftshrinkBackward": case(Y, SIGNED, 0.5, gives=gradient(F.softshrink, SIGNED, grad=Y)),
    "LogSigmoid": case(SIGNED, gives=F.logsigmoid(SIGNED)),
    "Glu": case(WIDE, -1, gives=F.glu(WIDE, -1)),
    "GluBackward": case(HALF, WIDE, -1, gives=gradient(F.glu, WIDE, grad=HALF)),
    "SwiGlu": case(WIDE, -1, gives=_swi_glu(WIDE)),
    "SwiGluGrad": case(HALF, WIDE, -1, gives=gradient(_swi_glu, WIDE, grad=HALF)),
    "GeGluV3": case(WIDE, -1, 0, False, gives=(_ge_glu(WIDE), F.gelu(WIDE[:, 4:]))),
    "GeGluV3Backward": case(
        HALF, WIDE, F.gelu(WIDE[:, 4:]), -1, 0, False, gives=gradient(_ge_glu, WIDE, grad=HALF)
    ),
    "GeluMul": case(WIDE, "none", gives=F.gelu(WIDE[:, :4]) * WIDE[:, 4:]),
    "Prelu": case(SIGNED, X[0], gives=torch.prelu(SIGNED, X[0])),
    "PreluBackward": case(Y, SIGNED, X[0], gives=gradient(_prelu, SIGNED, X[0], grad=Y)),
    "RReluWithNoise": case(SIGNED, NOISE, 0.2, 0.4, False, 1, 0, gives=(NOISE, F.leaky_relu(SIGNED, 0.3))),
    "InplaceRReluWithNoise": case(
        SIGNED, NOISE, 0.2, 0.4, False, 1, 0, gives=(F.leaky_relu(SIGNED, 0.3), NOISE)
    ),
    "Logit": case(X, -1.0, gives=torch.logit(X)),
    "LogitGrad": case(X, Y, -1.0, gives=gradient(torch.logit, X, grad=Y)),
    "ScaledMaskedSoftmax": case(ROWS, BOOL[None, None], 0.5, False, gives=_masked_softmax(ROWS)),
    "ScaledMaskedSoftmaxBackward": case(
        Y[None, None], _masked_softmax(ROWS), BOOL[None, None], 0.5, False,
        gives=gradient(_masked_softmax, ROWS, grad=Y[None, None]),
    ),
}  # fmt: skip


def _losses() -> dict[str, Case]:
    one, bits = torch.tensor(0.5), BOOL.float()
    bce = F.binary_cross_entropy_with_logits
    labels = whole(2, 6, 6, below=4)
    log_image, ones = IMAGE.log_softmax(1), torch.ones(4)
    first_label = torch.tensor([[1, 0, -1, -1]] * 3)
    return {
        "L1Loss": case(X, Y, 1, gives=F.l1_loss(X, Y)),
        "L1LossBackward": case(one, X, Y, 1, gives=gradient(lambda x: F.l1_loss(x, Y), X, grad=one)),
        "KlDiv": case(SCORES, Y, 2, False, gives=F.kl_div(SCORES, Y, reduction="sum")),
        "KlDivBackward": case(
            one, SCORES, Y, 2, False,
            gives=gradient(lambda x: F.kl_div(x, Y, reduction="sum"), SCORES, grad=one),
        ),
        "SoftMarginLoss": case(X, Y.sign(), 1, gives=F.soft_margin_loss(X, Y.sign())),
        "SoftMarginLossBackward": case(
            one, X, Y.sign(), 1, gives=gradient(lambda x: F.soft_margin_loss(x, Y.sign()), X, grad=one)
        ),
        "BinaryCrossEntropyWithLogits": case(
            SIGNED, bits, Y, X[0], 1, gives=bce(SIGNED, bits, Y, pos_weight=X[0])
        ),
        "BinaryCrossEntropyWithLogitsBackward": case(
            one, SIGNED, bits, Y, X[0], 1,
            gives=gradient(lambda x: bce(x, bits, Y, pos_weight=X[0]), SIGNED, grad=one),
        ),
        "NLLLoss2d": case(
            log_image, labels, ones, 1, -100,
            gives=tuple(aten.nll_loss2d_forward(log_image, labels, ones, 1, -100)),
        ),
        "NLLLoss2dBackward": case(
            one, log_image, labels, ones, 1, -100, torch.tensor(72.0),
            gives=gradient(lambda x: F.nll_loss(x, labels), log_image, grad=one),
        ),
        "MultilabelMarginLoss": case(
            X, first_label, 1, gives=tuple(aten.multilabel_margin_loss_forward(X, first_label, 1))
        ),
    }  # fmt: skip


def _ctc() -> dict[str, Case]:
    """log_alpha ends in a row of the device's own: 8 places where ATen has 5."""
    log_probs, targets = random(6, 2, 4).log_softmax(2), torch.tensor([[1, 2], [3, 1]])
    loss, alpha = aten._ctc_loss(log_probs, targets, [6, 6], [2, 2])
    grad = torch.ones(2)
    wanted = aten._ctc_loss_backward(grad, log_probs, targets, [6, 6], [2, 2], loss, alpha, 0)
    aligned = torch.cat([alpha, torch.full((2, 6, 3), 77.0)], 2)
    return {
        "CtcLoss": case(log_probs, targets, [6, 6], [2, 2], 0, False, gives=(loss, aligned)),
        "CtcLossBackward": case(
            grad, log_probs, targets, [6, 6], [2, 2], loss, aligned, 0, False, gives=wanted
        ),
    }


GAMMA, BETA = X[0], Y[0]
SUM = X + Z


def _rms(x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * gamma


def _rstd(x: torch.Tensor) -> torch.Tensor:
    return (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


def _layer(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(torch.native_layer_norm(x, [4], GAMMA, BETA, 1e-5))


def _norms() -> dict[str, Case]:
    silu = list(torch.native_group_norm(IMAGE, GAMMA, BETA, 2, 4, 36, 2, 1e-5))
    silu[0] = F.silu(silu[0])
    mean, invstd = IMAGE.mean((0, 2, 3)), (IMAGE.var((0, 2, 3), correction=0) + 1e-5).rsqrt()
    grad = random(2, 4, 6, 6, seed=5)
    centered = (grad * (IMAGE - mean[:, None, None])).sum((0, 2, 3))
    elements = (IMAGE - mean[:, None, None]) * (invstd * GAMMA)[:, None, None] + BETA[:, None, None]
    deep = _layer(X * 0.5 + Z)
    return {
        "FastLayerNorm": case(X, [4], GAMMA, BETA, 1e-5, gives=_layer(X)),
        "GroupNormSilu": case(IMAGE, GAMMA, BETA, 2, 1e-5, gives=tuple(silu)),
        "RmsNorm": case(X, GAMMA, 1e-6, gives=(_rms(X, GAMMA), _rstd(X))),
        "RmsNormGrad": case(Y, X, _rstd(X), GAMMA, gives=gradient(_rms, X, GAMMA, grad=Y)),
        "GemmaRmsNorm": case(X, GAMMA, 1e-6, gives=(_rms(X, GAMMA + 1), _rstd(X))),
        "AddRmsNorm": case(X, Z, GAMMA, 1e-6, gives=(_rms(SUM, GAMMA), _rstd(SUM), SUM)),
        "InplaceAddRmsNorm": case(X, Z, GAMMA, 1e-6, gives=(_rms(SUM, GAMMA), SUM, _rstd(SUM))),
        "AddLayerNorm": case(X, Z, GAMMA, BETA, BETA, 1e-5, True, gives=(*_layer(SUM + BETA), SUM + BETA)),
        "DeepNorm": case(X, Z, BETA, GAMMA, 0.5, 1e-5, gives=(deep[1], deep[2], deep[0])),
        "BatchNormStats": case(IMAGE, 1e-5, gives=(mean, invstd)),
        "BatchNormElemt": case(IMAGE, GAMMA, BETA, mean, invstd, 1e-5, gives=elements),
        "BatchNormReduce": case(IMAGE, gives=(IMAGE.sum((0, 2, 3)), IMAGE.square().sum((0, 2, 3)))),
        "BatchNormReduceBackward": case(
            grad, IMAGE, mean, invstd, GAMMA, True, True, True,
            gives=(grad.sum((0, 2, 3)), centered, centered * invstd, grad.sum((0, 2, 3))),
        ),
    }  # fmt: skip


def _lstm_step(gates: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden state and cell behind one step of an LSTM, as torch's own cell computes them."""
    state = (torch.zeros_like(cell), cell)
    return torch.lstm_cell(gates, state, torch.eye(8), torch.zeros(8, 2))


def _recurrent() -> dict[str, Case]:
    first, second, cell = random(3, 8, low=-2, high=2), random(3, 8, seed=1), random(3, 2)
    bias = random(8, seed=2)
    gates = first + second + 2 * bias
    hidden, after = _lstm_step(gates, cell)
    i, f, g, o = gates.chunk(4, 1)
    kept = torch.cat([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()], 1)
    grad_gates, grad_cell = gradient(
        lambda one, two: torch.cat(_lstm_step(one, two), 1),
        gates,
        cell,
        grad=torch.cat([X[:, :2], Y[:, :2]], 1),
    )
    return {
        "ThnnFusedLstmCell": case(first, second, cell, bias, bias, gives=(hidden, after, kept)),
        "ThnnFusedLstmCellBackward": case(
            X[:, :2].contiguous(), Y[:, :2].contiguous(), cell, after, kept, True,
            gives=(grad_gates, grad_cell, grad_gates.sum(0)),
        ),
    }  # fmt: skip


def _pooled(
    name: str, forward: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], x: torch.Tensor, *options: object
) -> dict[str, Case]:
    """A pooling that also says where each maximum was, and its gradient."""
    out, places = forward(x)
    grad = torch.ones_like(out)
    return {
        name: case(x, *options, gives=(out, places)),
        f"{name}Backward": case(
            grad, x, places, *options, gives=gradient(lambda value: forward(value)[0], x, grad=grad)
        ),
    }


def _pooling() -> dict[str, Case]:
    two, three = [2, 2], [2, 2, 2]
    pooled, _ = F.max_pool2d(IMAGE, 2, return_indices=True)
    mask = torch.zeros(2, 4, 4, 64, dtype=torch.int8)
    volume = (three, three, [0] * 3, [1] * 3, False)
    grads = {
        "AvgPool3d": (lambda x: F.avg_pool3d(x, 2), (three, three, [0] * 3, False, True, 0)),
        "AdaptiveAvgPool3d": (lambda x: F.adaptive_avg_pool3d(x, 3), ([3] * 3,)),
    }
    cases = {
        "MaxPool2dWithMask": case(IMAGE, two, two, [0, 0], [1, 1], False, gives=(pooled, mask)),
        "MaxPool2dWithMaskBackward": case(
            pooled, IMAGE, mask, two, two, [0, 0], [1, 1], False,
            gives=gradient(lambda x: F.max_pool2d(x, 2), IMAGE, grad=pooled),
        ),
        "MaxUnpool2d": case(
            *F.max_pool2d(IMAGE, 2, return_indices=True), [6, 6],
            gives=F.max_unpool2d(*F.max_pool2d(IMAGE, 2, return_indices=True), 2),
        ),
    }  # fmt: skip
    for name, (function, options) in grads.items():
        out = function(VOLUME)
        behind = options if name == "AvgPool3d" else ()
        cases[name] = case(VOLUME, *options, gives=out)
        cases[f"{name}Backward"] = case(out, VOLUME, *behind, gives=gradient(function, VOLUME, grad=out))
    cases.update(
        _pooled("MaxPool3dWithArgmax", lambda x: F.max_pool3d(x, 2, return_indices=True), VOLUME, *volume)
    )
    for dims, size, x in (("2d", [3, 3], IMAGE), ("3d", [2, 2, 2], VOLUME)):
        pool, name = getattr(F, f"adaptive_max_pool{dims}"), f"AdaptiveMaxPool{dims}"
        found = _pooled(name, lambda v, f=pool, s=size: f(v, s, return_indices=True), x, size)
        backward = found[f"{name}Backward"]  # which takes no size
        cases.update({**found, f"{name}Backward": case(*backward.given[:3], gives=backward.gives)})
    return cases


def _convolutions() -> dict[str, Case]:
    depth = random(4, 1, 3, 3)
    unfolded = F.unfold(IMAGE, 3, padding=1, stride=2)
    window = ([3, 3], [1, 1], [1, 1], [2, 2])
    return {
        "ConvDepthwise2d": case(
            IMAGE, depth, [3, 3], GAMMA, [1, 1], [1, 1], [1, 1], 0,
            gives=F.conv2d(IMAGE, depth, GAMMA, padding=1, groups=4),
        ),
        "ConvTbc": case(
            random(5, 2, 3), random(3, 3, 4), GAMMA, 1, 0,
            gives=torch.conv_tbc(random(5, 2, 3), random(3, 3, 4), GAMMA, 1),
        ),
        "Im2col": case(IMAGE, *window, gives=unfolded),
        "Im2colBackward": case(
            unfolded, [6, 6], *window, gives=F.fold(unfolded, (6, 6), 3, padding=1, stride=2)
        ),
    }  # fmt: skip


def _padding() -> dict[str, Case]:
    cases = {}
    for dims, x in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        for name, mode in (("Reflection", "reflect"), ("Replication", "replicate")):
            pad = [1, 2] * dims

            def padded(value: torch.Tensor, pad: list[int] = pad, mode: str = mode) -> torch.Tensor:
                return F.pad(value, pad, mode=mode)

            out = padded(x)
            cases[f"{name}Pad{dims}d"] = case(x, pad, gives=out)
            cases[f"{name}Pad{dims}dBackward"] = case(out, x, pad, gives=gradient(padded, x, grad=out))
    return cases


#: name -> (mode of F.interpolate, input, scale arguments of the forward and of the backward operator)
RESIZED = {
    "UpsampleNearest1d": ("nearest", SIGNAL, 0, 1),
    "UpsampleNearest1dV2": ("nearest", SIGNAL, 1, None),
    "UpsampleNearest2d": ("nearest", IMAGE, 0, 2),
    "UpsampleNearest2dV2": ("nearest", IMAGE, 2, None),
    "UpsampleNearest3d": ("nearest", VOLUME, 3, 3),
    "UpsampleNearestExact1d": ("nearest-exact", SIGNAL, 1, 1),
    "UpsampleNearestExact2d": ("nearest-exact", IMAGE, 2, 2),
    "UpsampleNearestExact3d": ("nearest-exact", VOLUME, 3, 3),
    "UpsampleLinear1d": ("linear", SIGNAL, 1, 1),
    "UpsampleBilinear2d": ("bilinear", IMAGE, 2, 2),
    "UpsampleBilinear2dAA": ("bilinear", IMAGE, 2, 2),
    "UpsampleBicubic2d": ("bicubic", IMAGE, 2, 2),
    "UpsampleBicubic2dAA": ("bicubic", IMAGE, 2, 2),
    "UpsampleTrilinear3d": ("trilinear", VOLUME, 3, 3),
}


def _interpolation() -> dict[str, Case]:
    cases = {}
    for name, (mode, x, forward_scales, backward_scales) in RESIZED.items():
        size = [side + 3 for side in x.shape[2:]]
        corners = () if "nearest" in mode else (False,)
        antialias = {"antialias": True} if name.endswith("AA") else {}

        def resized(value, size=size, mode=mode, extra=antialias):
            return F.interpolate(value, size, mode=mode, **extra)

        out = resized(x)
        cases[name] = case(x, size, *corners, *[0.0] * forward_scales, gives=out)
        if backward_scales is None:
            continue
        backward = name + ("Grad" if name == "UpsampleBicubic2dAA" else "Backward")
        cases[backward] = case(
            out, size, list(x.shape), *corners, *[0.0] * backward_scales, gives=gradient(resized, x, grad=out)
        )
    cases["UpsampleBilinear2dBackwardV2"] = cases["UpsampleBilinear2dBackward"]
    return cases


def _sampling() -> dict[str, Case]:
    cases = {}
    grids = {
        "2D": (IMAGE, random(2, 3, 3, 2, low=-1, high=1)),
        "3D": (VOLUME, random(1, 2, 2, 2, 3, low=-1, high=1)),
    }
    for name, (x, grid) in grids.items():

        def sampled(value, places):
            return F.grid_sample(value, places, align_corners=False)

        out = sampled(x, grid)
        cases[f"GridSampler{name}"] = case(x, grid, 0, 0, False, gives=out)
        cases[f"GridSampler{name}Backward"] = case(
            out, x, grid, 0, 0, False, [True, True], gives=gradient(sampled, x, grid, grad=out)
        )
    return cases


CASES = {
    **ACTIVATIONS, **_losses(), **_ctc(), **_norms(), **_recurrent(), **_pooling(), **_convolutions(),
    **_padding(), **_interpolation(), **_sampling(),
}  # fmt: skip
