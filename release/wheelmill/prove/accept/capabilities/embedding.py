"""Tables of vectors looked up by number, and their gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOATS, Group, Sample, label, sample

group = Group("embedding")
SHAPES = {
    "a vector": (5,),
    "a matrix": (3, 4),
    "three dims": (2, 3, 2),
    "one": (1,),
    "none": (0,),
    "0-dim": (),
}


def numbers(*shape: int, rows: int = 7, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """Which rows to look up, some of them twice."""
    return Sample(shape, dtype, 0, rows).base()


for name, shape in SHAPES.items():
    for dtype in FLOATS:
        title = f"embedding by {name} {label(dtype)}"
        group.compare(title, F.embedding, numbers(*shape), sample(7, 6, dtype=dtype))
        if shape != ():
            inputs = numbers(*shape), sample(7, 6, dtype=dtype)
            group.compare(f"gradient of {title}", F.embedding, *inputs, gradient=True)
for layout in ("transposed", "strided", "offset"):
    table = sample(7, 6, layout=layout)
    group.compare(f"embedding in a {layout} table", F.embedding, numbers(3, 4), table, gradient=True)
group.compare(
    "embedding by int32", F.embedding, numbers(3, 4, dtype=torch.int32), sample(7, 6), gradient=True
)
group.compare(
    "embedding by a transposed matrix", lambda n, t: F.embedding(n.t(), t), numbers(3, 4), sample(7, 6)
)
group.compare(
    "embedding with a padding row",
    lambda n, t: F.embedding(n, t, padding_idx=2),
    numbers(3, 4),
    sample(7, 6),
    gradient=True,
)
group.compare(
    "embedding scaled by frequency",
    lambda n, t: F.embedding(n, t, scale_grad_by_freq=True),
    numbers(3, 4),
    sample(7, 6),
    gradient=True,
)
group.compare("embedding of width one", F.embedding, numbers(3, 4), sample(7, 1), gradient=True)
group.compare(
    "embedding in a large table", F.embedding, numbers(64, 16, rows=1000), sample(1000, 32), gradient=True
)
for mode in ("sum", "mean", "max"):
    group.compare(
        f"embedding_bag {mode}",
        lambda n, t, m=mode: F.embedding_bag(n, t, mode=m),
        numbers(3, 4),
        sample(7, 6),
    )
group.compare(
    "embedding_bag with offsets",
    lambda n, t, o: F.embedding_bag(n, t, o, mode="sum"),
    numbers(6),
    sample(7, 6),
    torch.tensor([0, 2]),
)
for classes in (7, -1):
    group.compare(f"one_hot of {classes}", lambda n, c=classes: F.one_hot(n, c), numbers(3, 4))


@group.check
def an_embedding_module_learns_only_its_rows() -> None:
    module = torch.nn.Embedding(7, 4).to(group.device)
    before = module.weight.detach().cpu().clone()
    module(torch.tensor([1, 3], device=group.device)).sum().backward()
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    changed = (module.weight.detach().cpu() != before).any(1)
    assert changed.tolist() == [False, True, False, True, False, False, False], changed


@group.check
def the_tied_weights_of_a_language_model() -> None:
    torch.manual_seed(0)
    table, hidden = torch.randn(7, 4), numbers(3)
    grads = []
    for device in ("cpu", group.device):
        weight = table.to(device, copy=True).requires_grad_()
        scores = F.embedding(hidden.to(device), weight) @ weight.t()
        F.cross_entropy(scores, hidden.to(device)).backward()
        grads.append(weight.grad.cpu())
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    group.main()
