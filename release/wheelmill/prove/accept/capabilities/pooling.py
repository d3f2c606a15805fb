"""Pooling, resizing and sampling of images."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from harness import FLOAT32, FLOATS, Group, Sample, sample

group = Group("pooling")
IMAGES = (2, 3, 8, 9)

TWO_DIMENSIONAL = {
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "max_pool2d stride 1": lambda x: F.max_pool2d(x, 3, stride=1),
    "max_pool2d padded": lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
    "max_pool2d ceil mode": lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    "max_pool2d uneven": lambda x: F.max_pool2d(x, (3, 2), stride=(1, 2)),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "avg_pool2d padded": lambda x: F.avg_pool2d(x, 3, stride=2, padding=1),
    "avg_pool2d without the padding": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool2d ceil mode": lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
    "avg_pool2d with a divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "adaptive_avg_pool2d to one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive_avg_pool2d uneven": lambda x: F.adaptive_avg_pool2d(x, (5, 7)),
}
for name, function in TWO_DIMENSIONAL.items():
    group.dtypes(name, function, Sample(IMAGES))
    group.compare(f"{name} of one image", function, Sample(IMAGES[1:]))
    group.compare(f"{name} channels last", function, Sample(IMAGES, layout="channels last"))
    group.compare(f"{name} strided", function, Sample(IMAGES, layout="strided"))
    group.dtypes(f"gradient of {name}", function, Sample(IMAGES), dtypes=FLOATS[:2], gradient=True)

OTHERS = {
    "max_pool2d with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], IMAGES),
    "max_pool2d dilated": (lambda x: F.max_pool2d(x, 2, dilation=2), IMAGES),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (4, 3)), IMAGES),
    "max_pool1d": (lambda x: F.max_pool1d(x, 2), (2, 3, 9)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), (2, 3, 9)),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 4), (2, 3, 9)),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), (2, 3, 4, 6, 6)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), (2, 3, 4, 6, 6)),
    "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, 1), (2, 3, 4, 6, 6)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), IMAGES),
    "interpolate nearest": (lambda x: F.interpolate(x, scale_factor=2), IMAGES),
    "interpolate bilinear": (lambda x: F.interpolate(x, size=(5, 6), mode="bilinear"), IMAGES),
    "interpolate bilinear aligned": (
        lambda x: F.interpolate(x, size=(11, 6), mode="bilinear", align_corners=True),
        IMAGES,
    ),
    "interpolate bicubic": (lambda x: F.interpolate(x, size=(5, 6), mode="bicubic"), IMAGES),
    "interpolate linear": (lambda x: F.interpolate(x, size=5, mode="linear"), (2, 3, 9)),
    "grid_sample": (
        lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1) / 3, align_corners=False),
        (2, 3, 6, 6),
    ),
}
for name, (function, shape) in OTHERS.items():
    group.dtypes(name, function, Sample(shape), dtypes=FLOAT32)
for name in (
    "max_pool2d with indices",
    "adaptive_avg_pool1d",
    "avg_pool1d",
    "interpolate nearest",
    "interpolate bilinear",
):
    function, shape = OTHERS[name]
    group.compare(f"gradient of {name}", function, Sample(shape), gradient=True)
group.compare("max_pool2d of no images", lambda x: F.max_pool2d(x, 2), sample(0, 3, 8, 8))
group.compare("max_pool2d with -inf", lambda x: F.max_pool2d(x.log(), 2), sample(2, 3, 8, 8, low=0, high=1))


# Where the maxima were is told in a form of the device's own: only the CPU's places can be compared.
VALUES, PLACES = F.max_pool2d(Sample(IMAGES).base(), 2, return_indices=True)
group.compare(
    "max_unpool2d", lambda x, places: F.max_unpool2d(x, places, 2, output_size=IMAGES), VALUES, PLACES
)


if __name__ == "__main__":
    group.main()
