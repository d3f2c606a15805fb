"""Softmax and its logarithm over every dimension, forward and backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOATS, Group, sample

group = Group("softmax")

FUNCTIONS = {"softmax": F.softmax, "log_softmax": F.log_softmax, "softmin": F.softmin}
for name, function in FUNCTIONS.items():
    for dim in (0, 1, -1):
        call = lambda x, f=function, d=dim: f(x, dim=d)  # noqa: E731
        group.dtypes(f"{name} of dim {dim}", call, sample(3, 4, 5))
        group.dtypes(f"gradient of {name} of dim {dim}", call, sample(3, 4, 5), gradient=True)
    last = lambda x, f=function: f(x, dim=-1)  # noqa: E731
    for layout in ("transposed", "strided", "offset"):
        group.compare(f"{name} {layout}", last, sample(3, 4, 5, layout=layout), gradient=True)
    for title, shape in {
        "a vector": (7,),
        "one column": (4, 1),
        "no rows": (0, 5),
        "four dims": (2, 3, 4, 5),
        "0-dim": (),
    }.items():
        group.compare(f"{name} of {title}", last, sample(*shape))
    group.compare(f"{name} of large numbers", lambda x, f=last: f(x * 1e4), sample(4, 6))
    group.compare(f"{name} of a long row", last, sample(2, 4099))
    group.compare(
        f"{name} into float32",
        lambda x, f=function: f(x, dim=-1, dtype=torch.float32),
        sample(4, 6, dtype=torch.float16),
    )
group.compare(
    "softmax under a mask",
    lambda x: F.softmax(x.masked_fill(x > 1, float("-inf")), -1),
    sample(4, 6),
    gradient=True,
)
group.compare(
    "softmax of a fully masked row", lambda x: F.softmax(torch.full_like(x, float("-inf")), -1), sample(2, 3)
)
group.compare("Softmax2d", torch.nn.Softmax2d(), sample(2, 3, 4, 5))
group.dtypes(
    "causal scores",
    lambda x: F.softmax(x + torch.full_like(x, -1e4).triu(1), -1),
    sample(4, 4),
    dtypes=FLOATS,
)

if __name__ == "__main__":
    group.main()
