"""Convolutions in one, two and three dimensions, and transposed ones; forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOATS, Group, Sample, sample

group = Group("convolution")
TOLERANCE = {torch.float32: (1e-3, 1e-3), torch.float16: (2e-2, 2e-2), torch.bfloat16: (1e-1, 1e-1)}

# name -> function, input, weight, options
TWO = (2, 4, 7, 8)
CASES: dict[str, Any] = {
    "conv2d": (F.conv2d, TWO, (6, 4, 3, 3), {}),
    "conv2d 1x1": (F.conv2d, TWO, (6, 4, 1, 1), {}),
    "conv2d padded": (F.conv2d, TWO, (6, 4, 3, 3), {"padding": 1}),
    "conv2d padded unevenly": (F.conv2d, TWO, (6, 4, 3, 5), {"padding": (1, 2)}),
    "conv2d same": (F.conv2d, TWO, (6, 4, 3, 3), {"padding": "same"}),
    "conv2d stride 2": (F.conv2d, TWO, (6, 4, 3, 3), {"stride": 2, "padding": 1}),
    "conv2d uneven strides": (F.conv2d, TWO, (6, 4, 2, 3), {"stride": (1, 2)}),
    "conv2d dilated": (F.conv2d, TWO, (6, 4, 3, 3), {"dilation": 2}),
    "conv2d in groups": (F.conv2d, TWO, (6, 2, 3, 3), {"groups": 2}),
    "conv2d depthwise": (F.conv2d, TWO, (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    "conv2d of one image": (F.conv2d, (4, 7, 8), (6, 4, 3, 3), {}),
    "conv2d large kernel": (F.conv2d, TWO, (6, 4, 7, 7), {"padding": 3}),
    "conv1d": (F.conv1d, (2, 4, 9), (6, 4, 3), {}),
    "conv1d padded stride 2": (F.conv1d, (2, 4, 9), (6, 4, 3), {"padding": 1, "stride": 2}),
    "conv1d dilated in groups": (F.conv1d, (2, 4, 9), (6, 2, 3), {"dilation": 2, "groups": 2}),
    "conv3d": (F.conv3d, (2, 4, 5, 6, 7), (6, 4, 3, 3, 3), {}),
    "conv3d padded stride 2": (F.conv3d, (2, 4, 5, 6, 7), (6, 4, 3, 3, 3), {"padding": 1, "stride": 2}),
    "conv_transpose2d": (F.conv_transpose2d, (2, 6, 5, 5), (6, 4, 3, 3), {}),
    "conv_transpose2d stride 2": (
        F.conv_transpose2d,
        (2, 6, 5, 5),
        (6, 4, 3, 3),
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    "conv_transpose2d in groups": (F.conv_transpose2d, (2, 6, 5, 5), (6, 2, 3, 3), {"groups": 2}),
    "conv_transpose1d": (F.conv_transpose1d, (2, 6, 5), (6, 4, 3), {"stride": 2}),
    "conv_transpose3d": (F.conv_transpose3d, (1, 3, 4, 4, 4), (3, 2, 2, 2, 2), {}),
}


def calls(name: str, dtype: torch.dtype, biased: bool, gradient: bool, layout: str = "contiguous") -> None:
    """Add one convolution."""
    function, images, weight, options = CASES[name]
    outputs = weight[1] * options.get("groups", 1) if "transpose" in name else weight[0]
    inputs = [Sample(images, dtype, -1, 1, layout), Sample(weight, dtype, -1, 1, seed=1)]
    inputs += [Sample((outputs,), dtype, -1, 1, seed=2)] if biased else []
    words = ["gradient of " * gradient + name, str(dtype).replace("torch.", ""), "with a bias" * biased]
    words.append(layout if layout != "contiguous" else "")
    group.compare(
        " ".join(filter(None, words)),
        lambda x, w, b=None: function(x, w, b, **options),
        *inputs,
        gradient=gradient,
        tolerance=TOLERANCE[dtype],
    )


for name in CASES:
    for dtype in FLOATS:
        calls(name, dtype, biased=False, gradient=False)
    calls(name, torch.float32, biased=True, gradient=False)
    calls(name, torch.float32, biased=False, gradient=True)
    calls(name, torch.float32, biased=True, gradient=True)
for name in ("conv2d", "conv2d padded", "conv2d stride 2", "conv2d depthwise"):
    for dtype in FLOATS[1:]:
        calls(name, dtype, biased=True, gradient=True)
    for layout in ("channels last", "transposed", "strided", "offset"):
        calls(name, torch.float32, biased=True, gradient=True, layout=layout)

group.compare(
    "conv2d of no images",
    lambda x, w: F.conv2d(x, w),
    sample(0, 4, 7, 8),
    sample(6, 4, 3, 3),
)
group.compare("unfold", lambda x: F.unfold(x, 3, padding=1), sample(2, 4, 7, 8))
group.compare("fold", lambda x: F.fold(x, (4, 5), 2), sample(1, 8, 12))


@group.check
def only_the_weight_needs_a_gradient() -> None:
    weight = torch.randn(6, 4, 3, 3, device=group.device, requires_grad=True)
    x = torch.randn(2, 4, 7, 8, device=group.device)
    F.conv2d(x, weight).sum().backward()
    expected = torch.autograd.grad(F.conv2d(x.cpu(), w := weight.detach().cpu().requires_grad_()).sum(), w)[0]
    torch.testing.assert_close(weight.grad.cpu(), expected, rtol=1e-3, atol=1e-3)


if __name__ == "__main__":
    group.main()
