"""Tensors that share memory: views, their strides, writes through them, and shapes changed by a copy."""

from __future__ import annotations

import torch
from harness import FLOATS, Group, Sample, sample

group = Group("views")


def described(view: torch.Tensor) -> tuple:
    """A view's values, and how it lies in memory."""
    return view, view.stride(), view.storage_offset(), view.is_contiguous()


VIEWS = {
    "view": lambda x: x.view(6, 4),
    "view with -1": lambda x: x.view(-1, 2),
    "view as another": lambda x: x.view_as(torch.empty(2, 12)),
    "reshape": lambda x: x.reshape(3, 8),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (2, 3)),
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "permute": lambda x: x.view(2, 2, 6).permute(2, 0, 1),
    "movedim": lambda x: x.view(2, 2, 6).movedim(-1, 0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.view(4, 1, 6).squeeze(1),
    "squeeze all": lambda x: x.view(1, 4, 1, 6).squeeze(),
    "expand": lambda x: x[:1].expand(5, 6),
    "broadcast_to": lambda x: x.broadcast_to(2, 4, 6),
    "narrow": lambda x: x.narrow(1, 2, 3),
    "select": lambda x: x.select(0, 2),
    "slice": lambda x: x[1:3, 2:],
    "slice with a step": lambda x: x[::2, 1::3],
    "negative index": lambda x: x[-1],
    "ellipsis and None": lambda x: x[..., None, 0],
    "diagonal": lambda x: x.diagonal(),
    "diagonal with an offset": lambda x: x.diagonal(1),
    "unfold": lambda x: x.unfold(1, 3, 2),
    "as_strided": lambda x: x.as_strided((2, 3), (6, 2), 1),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "chunk": lambda x: x.chunk(3, 1)[1],
    "split": lambda x: x.split(2)[1],
    "split by sizes": lambda x: x.split([1, 3])[1],
    "tensor_split": lambda x: x.tensor_split(4, 1)[3],
    "unbind": lambda x: x.unbind(1)[4],
    "detach": lambda x: x.detach(),
    "view as another dtype of the size": lambda x: x.view(torch.int32),
}
for name, function in VIEWS.items():
    group.compare(name, lambda x, f=function: described(f(x)), sample(4, 6))
    group.compare(f"{name}, then arithmetic", lambda x, f=function: f(x) * 2, sample(4, 6))
for name in ("transpose", "slice", "slice with a step", "select", "diagonal", "permute", "narrow", "unbind"):
    group.dtypes(f"write through {name}", lambda x, f=VIEWS[name]: f(x).mul_(2), sample(4, 6))
    group.dtypes(f"copy through {name}", lambda x, f=VIEWS[name]: f(x).zero_(), sample(4, 6))
for name in (
    "transpose",
    "slice with a step",
    "diagonal",
    "expand",
    "permute",
    "select",
    "narrow",
    "split",
    "unfold",
):
    group.compare(f"gradient through {name}", VIEWS[name], sample(4, 6), gradient=True)

# Shapes that need a copy
COPIES = {
    "cat": lambda x, y: torch.cat([x, y]),
    "cat of columns": lambda x, y: torch.cat([x, y], 1),
    "stack": lambda x, y: torch.stack([x, y], 1),
    "hstack": lambda x, y: torch.hstack([x, y]),
    "vstack": lambda x, y: torch.vstack([x, y]),
    "repeat": lambda x, y: x.repeat(2, 3),
    "tile": lambda x, y: x.tile(2),
    "repeat_interleave": lambda x, y: x.repeat_interleave(2, 1),
    "flip": lambda x, y: x.flip(0, 1),
    "roll": lambda x, y: x.roll((1, -2), (0, 1)),
    "rot90": lambda x, y: x.rot90(),
    "reshape of a transposed tensor": lambda x, y: x.t().reshape(3, 8),
    "flatten of a slice": lambda x, y: x[:, 1:4].flatten(),
    "tril": lambda x, y: x.tril(1),
    "triu": lambda x, y: x.triu(-1),
    "pad with a constant": lambda x, y: torch.nn.functional.pad(x, (1, 2, 0, 1), value=0.5),
    "pad by reflection": lambda x, y: torch.nn.functional.pad(x[None], (1, 2), mode="reflect"),
    "pad by replication": lambda x, y: torch.nn.functional.pad(x[None], (1, 2), mode="replicate"),
    "pixel_shuffle": lambda x, y: torch.nn.functional.pixel_shuffle(x.reshape(1, 4, 2, 3), 2),
    "block_diag": lambda x, y: torch.block_diag(x, y),
    "kron": lambda x, y: torch.kron(x, y),
}
for name, function in COPIES.items():
    group.dtypes(name, function, sample(4, 6), sample(4, 6, seed=1))
for name in ("cat", "stack", "repeat", "flip", "roll", "pad with a constant"):
    group.compare(
        f"{name} of strided tensors",
        COPIES[name],
        sample(4, 6, layout="strided"),
        sample(4, 6, layout="transposed"),
    )
    group.compare(f"gradient of {name}", COPIES[name], sample(4, 6), sample(4, 6, seed=1), gradient=True)
group.compare("cat with an empty tensor", lambda x: torch.cat([x, x[:0], x]), sample(4, 6))
group.compare(
    "cat of mixed dtypes", lambda x, y: torch.cat([x, y]), sample(4, 6), sample(4, 6, dtype=torch.float16)
)
for dtype in (torch.int32, torch.int64, torch.bool, torch.uint8):
    group.compare(
        f"cat {dtype}".replace("torch.", ""),
        COPIES["cat"],
        *[Sample((4, 6), dtype, 0, 9, seed=n) for n in (0, 1)],
    )
group.dtypes(
    "cat of many", lambda *x: torch.cat(x, 1), *[sample(3, n + 1, seed=n) for n in range(9)], dtypes=FLOATS
)


@group.check
def views_share_memory() -> None:
    x = torch.zeros(4, 6, device=group.device)
    x[1:3, ::2].add_(1)
    x.view(-1)[0] = 5
    assert x.sum().item() == 11, x
    assert x.t().data_ptr() == x.data_ptr()


@group.check
def reshape_without_need_is_a_view() -> None:
    x = torch.zeros(4, 6, device=group.device)
    assert x.reshape(24).data_ptr() == x.data_ptr()
    assert x.t().reshape(24).data_ptr() != x.data_ptr()


@group.check
def resize_and_set() -> None:
    x = torch.arange(6.0, device=group.device)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    y = torch.empty(0, device=group.device).set_(x)
    assert y.data_ptr() == x.data_ptr()


if __name__ == "__main__":
    group.main()
