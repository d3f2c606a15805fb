"""`timm` imports torchvision, whose wheel for x86_64 wants the libraries of CUDA for its own operators.

Without them its Python files are all that these programs need. They import as soon as the operators are
declared for which they register shapes.
"""

import torch

try:
    import torchvision
except RuntimeError:
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _declared.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
