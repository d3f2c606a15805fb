"""Loss functions, forward and backward, in every reduction."""

from __future__ import annotations

from typing import Tuple

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOAT32, FLOATS, Group, offered, sample

group = Group("loss")
CLASSES = torch.tensor([1, 0, 4, 2])
WITH_IGNORED = torch.tensor([1, -100, 4, 2])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 1.5, 0.25])
SIGNS = torch.tensor([1.0, -1.0, 1.0, -1.0])

# name -> function of (scores, targets as another sample, reduction)
LOSSES = {
    "mse_loss": lambda x, y, r: F.mse_loss(x, y, reduction=r),
    "l1_loss": lambda x, y, r: F.l1_loss(x, y, reduction=r),
    "smooth_l1_loss": lambda x, y, r: F.smooth_l1_loss(x, y, reduction=r),
    "smooth_l1_loss with beta": lambda x, y, r: F.smooth_l1_loss(x, y, reduction=r, beta=0.5),
    "huber_loss": lambda x, y, r: F.huber_loss(x, y, reduction=r, delta=0.7),
    "binary_cross_entropy": lambda x, y, r: F.binary_cross_entropy(
        x.sigmoid(), y.sigmoid().detach(), reduction=r
    ),
    "binary_cross_entropy_with_logits": lambda x, y, r: F.binary_cross_entropy_with_logits(
        x, y.sigmoid().detach(), reduction=r
    ),
    "kl_div": lambda x, y, r: F.kl_div(x.log_softmax(-1), y.softmax(-1).detach(), reduction=r),
    "soft_margin_loss": lambda x, y, r: F.soft_margin_loss(x, y.sign().detach(), reduction=r),
    "poisson_nll_loss": lambda x, y, r: F.poisson_nll_loss(x, y.abs().detach(), reduction=r),
    "hinge_embedding_loss": lambda x, y, r: F.hinge_embedding_loss(x, y.sign().detach(), reduction=r),
    "gaussian_nll_loss": lambda x, y, r: F.gaussian_nll_loss(
        x, y.detach(), x.detach().abs() + 1, reduction=r
    ),
}
LOW_PRECISION = ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits")
for name, function in LOSSES.items():
    for reduction in ("mean", "sum", "none"):
        title = f"{name} {reduction}"
        pair = sample(4, 5), sample(4, 5, seed=1)
        dtypes = FLOATS if name in LOW_PRECISION else FLOAT32
        group.dtypes(title, lambda x, y, f=function, r=reduction: f(x, y, r), *pair, dtypes=dtypes)
        group.compare(
            f"gradient of {title}", lambda x, y, f=function, r=reduction: f(x, y, r), *pair, gradient=True
        )
    pair = sample(4, 5, layout="strided"), sample(4, 5, layout="transposed", seed=1)
    group.compare(
        f"{name} of strided tensors", lambda x, y, f=function: f(x, y, "mean"), *pair, gradient=True
    )

CLASSIFIERS = {
    "cross_entropy": lambda x, t, w, r: F.cross_entropy(x, t, reduction=r),
    "cross_entropy with weights": lambda x, t, w, r: F.cross_entropy(x, t, w.to(x.dtype), reduction=r),
    "cross_entropy with smoothing": lambda x, t, w, r: F.cross_entropy(
        x, t, label_smoothing=0.1, reduction=r
    ),
    "nll_loss": lambda x, t, w, r: F.nll_loss(x.log_softmax(-1), t, reduction=r),
    "nll_loss with weights": lambda x, t, w, r: F.nll_loss(x.log_softmax(-1), t, w.to(x.dtype), reduction=r),
    "multi_margin_loss": lambda x, t, w, r: F.multi_margin_loss(x, t, reduction=r),
}
for name, function in CLASSIFIERS.items():
    for reduction in ("mean", "sum", "none"):
        call = lambda x, t, w, f=function, r=reduction: f(x, t, w, r)  # noqa: E731
        dtypes = FLOATS if name == "cross_entropy" else FLOAT32
        group.dtypes(f"{name} {reduction}", call, sample(4, 5), CLASSES, WEIGHTS, dtypes=dtypes)
        group.dtypes(
            f"gradient of {name} {reduction}",
            call,
            sample(4, 5),
            CLASSES,
            WEIGHTS,
            dtypes=dtypes,
            gradient=True,
        )
for name in ("cross_entropy", "cross_entropy with weights", "nll_loss"):
    call = lambda x, t, w, f=CLASSIFIERS[name]: f(x, t, w, "mean")  # noqa: E731
    group.compare(f"{name} with ignored targets", call, sample(4, 5), WITH_IGNORED, WEIGHTS, gradient=True)

NARROW = CLASSES.int()


def with_labels_of_32_bits(
    name: str, x: torch.Tensor, labels: torch.Tensor
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient. The CPU takes 64 bits only, and so does an adapter with torch's own rules."""
    leaf = x.detach().requires_grad_()
    try:
        loss = CLASSIFIERS[name](leaf, labels.long() if x.device.type == "cpu" else labels, WEIGHTS, "mean")
    except RuntimeError as error:
        offered("Long or Byte" not in str(error), "labels of 32 bits are refused, as torch refuses them")
        raise
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


for name in ("cross_entropy", "nll_loss"):
    group.compare(
        f"{name} with labels of 32 bits",
        lambda x, t, n=name: with_labels_of_32_bits(n, x, t),
        sample(4, 5),
        NARROW,
    )

OTHERS = {
    "cross_entropy of probabilities": lambda x, y: F.cross_entropy(x, y.softmax(-1).detach()),
    "cross_entropy of images": lambda x, y: F.cross_entropy(
        x.reshape(2, 5, 2, 1), torch.tensor([[[1], [0]], [[4], [2]]], device=x.device)
    ),
    "cosine_similarity": lambda x, y: F.cosine_similarity(x, y),
    "cosine_embedding_loss": lambda x, y: F.cosine_embedding_loss(x, y, SIGNS.to(x.device)),
    "margin_ranking_loss": lambda x, y: F.margin_ranking_loss(x[:, 0], y[:, 0], SIGNS.to(x.device), 0.5),
    "triplet_margin_loss": lambda x, y: F.triplet_margin_loss(x, y, x.flip(0)),
    "pairwise_distance": lambda x, y: F.pairwise_distance(x, y),
    "multilabel_soft_margin_loss": lambda x, y: F.multilabel_soft_margin_loss(x, (y > 0).float()),
    "mse_loss broadcasts nothing": lambda x, y: F.mse_loss(x[:1], y[:1]),
    "bce with a positive weight": lambda x, y: F.binary_cross_entropy_with_logits(
        x, (y > 0).float(), pos_weight=x.new_full((5,), 2.0)
    ),
    "bce with weights": lambda x, y: F.binary_cross_entropy(x.sigmoid(), (y > 0).float(), y.abs().detach()),
}
for name, function in OTHERS.items():
    group.compare(name, function, sample(4, 5), sample(4, 5, seed=1))
    group.compare(f"gradient of {name}", function, sample(4, 5), sample(4, 5, seed=1), gradient=True)
group.compare(
    "cross_entropy of large scores", lambda x, t: F.cross_entropy(x * 1e4, t), sample(4, 5), CLASSES
)
group.compare("mse_loss 0-dim", F.mse_loss, sample(), sample(seed=1), gradient=True)

if __name__ == "__main__":
    group.main()
