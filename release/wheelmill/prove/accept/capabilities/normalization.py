"""Batch, layer, group, instance and root-mean-square normalization, with their running statistics."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOAT32, FLOATS, Group, Sample, same, sample

group = Group("normalization")
TOLERANCE = {torch.float32: (1e-3, 1e-3), torch.float16: (1e-2, 1e-2), torch.bfloat16: (8e-2, 8e-2)}


def add(name: str, function: object, *inputs: object, dtypes: tuple = FLOATS) -> None:
    """Forward and backward in every dtype."""
    for dtype in dtypes:
        options = {"dtypes": (dtype,), "tolerance": TOLERANCE[dtype]}
        group.dtypes(name, function, *inputs, **options)
        group.dtypes(f"gradient of {name}", function, *inputs, gradient=True, **options)


for shape in ((4, 6), (3, 4, 6), (2, 3, 4, 6)):
    size = f"of {len(shape)} dims"
    affine = sample(6, low=0.5, high=2, seed=1), sample(6, seed=2)
    add(f"layer_norm {size}", lambda x, w, b: F.layer_norm(x, (6,), w, b), sample(*shape), *affine)
    add(f"layer_norm without weights {size}", lambda x: F.layer_norm(x, (6,)), sample(*shape), dtypes=FLOAT32)
add(
    "layer_norm over two dims",
    lambda x, w, b: F.layer_norm(x, (4, 6), w, b),
    sample(3, 4, 6),
    sample(4, 6, low=0.5, high=2, seed=1),
    sample(4, 6, seed=2),
    dtypes=FLOAT32,
)
add("layer_norm with a large epsilon", lambda x: F.layer_norm(x, (6,), eps=0.1), sample(4, 6), dtypes=FLOAT32)
for layout in ("transposed", "strided", "offset"):
    add(
        f"layer_norm {layout}",
        lambda x: F.layer_norm(x, (6,)),
        sample(3, 4, 6, layout=layout),
        dtypes=FLOAT32,
    )

for shape in ((5, 4), (5, 4, 6), (2, 4, 5, 6), (2, 4, 3, 3, 4)):
    size = f"of {len(shape)} dims"
    given = sample(4, low=0.5, high=2, seed=1), sample(4, seed=2)

    def training(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, w, b, training=True)

    def evaluation(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        mean, var = torch.full_like(w, 0.25).detach(), torch.full_like(w, 1.5).detach()
        return F.batch_norm(x, mean, var, w, b, training=False)

    add(f"batch_norm {size}", training, sample(*shape), *given, dtypes=FLOAT32)
    add(f"batch_norm in evaluation {size}", evaluation, sample(*shape), *given, dtypes=FLOAT32)
affine = sample(4, low=0.5, high=2, seed=1), sample(4, seed=2)
for layout in ("channels last", "strided", "offset"):
    add(f"batch_norm {layout}", training, Sample((2, 4, 5, 6), layout=layout), *affine, dtypes=FLOAT32)
add("batch_norm half precision", evaluation, sample(2, 4, 5, 6), *affine, dtypes=FLOATS[1:])


def with_statistics(momentum: float, training: bool) -> None:
    """The running statistics after two batches, and the module's output, as on the CPU."""
    module = torch.nn.BatchNorm2d(4, momentum=momentum).train(training)
    twin = torch.nn.BatchNorm2d(4, momentum=momentum).train(training).to(group.device)
    for seed in range(2):
        x = Sample((2, 4, 5, 6), seed=seed).base()
        same(twin(x.to(group.device)), module(x), (1e-3, 1e-3))
    for name, value in module.state_dict().items():
        same(twin.state_dict()[name], value, (1e-3, 1e-3), name)


for momentum in (0.1, 0.9, None):
    for mode in (True, False):
        name = f"BatchNorm2d {'training' if mode else 'evaluation'} with momentum {momentum}"
        group.add(name, lambda m=momentum, t=mode: with_statistics(m, t))

for groups in (1, 2, 4):
    add(
        f"group_norm of {groups}",
        lambda x, w, b, g=groups: F.group_norm(x, g, w, b),
        sample(2, 4, 5, 6),
        *affine,
        dtypes=FLOATS[:2],
    )
add("group_norm without weights", lambda x: F.group_norm(x, 2), sample(2, 4, 5, 6), dtypes=FLOAT32)
add("group_norm of 3 dims", lambda x: F.group_norm(x, 2), sample(2, 4, 6), dtypes=FLOAT32)
add("instance_norm", lambda x: F.instance_norm(x), sample(2, 4, 5, 6), dtypes=FLOAT32)
add("normalize", lambda x: F.normalize(x, dim=-1), sample(4, 6), dtypes=FLOAT32)
add("local_response_norm", lambda x: F.local_response_norm(x, 2), sample(2, 4, 5, 6), dtypes=FLOAT32)
if hasattr(F, "rms_norm"):
    add(
        "rms_norm",
        lambda x, w: F.rms_norm(x, (6,), w),
        sample(4, 6),
        sample(6, low=0.5, seed=1),
        dtypes=FLOATS,
    )
add("rms_norm by hand", lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt(), sample(4, 6))
group.compare("layer_norm of no rows", lambda x: F.layer_norm(x, (6,)), sample(0, 6))
group.compare("weight_norm", lambda x: torch._weight_norm(x, x.norm(dim=1, keepdim=True)), sample(4, 6))

if __name__ == "__main__":
    group.main()
