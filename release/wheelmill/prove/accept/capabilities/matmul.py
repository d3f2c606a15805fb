"""Products of vectors, matrices and batches of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOAT32, FLOATS, Group, Sample, sample

group = Group("matmul")
TOLERANCE = {torch.float32: (1e-3, 1e-3), torch.float16: (1e-2, 1e-2), torch.bfloat16: (5e-2, 5e-2)}

PRODUCTS = {
    "mm": (torch.mm, (4, 6), (6, 5)),
    "matmul of matrices": (torch.matmul, (4, 6), (6, 5)),
    "matmul of a vector and a matrix": (torch.matmul, (6,), (6, 5)),
    "matmul of a matrix and a vector": (torch.matmul, (4, 6), (6,)),
    "matmul of vectors": (torch.matmul, (6,), (6,)),
    "matmul of batches": (torch.matmul, (3, 4, 6), (3, 6, 5)),
    "matmul of a batch and a matrix": (torch.matmul, (3, 4, 6), (6, 5)),
    "matmul of a matrix and a batch": (torch.matmul, (4, 6), (3, 6, 5)),
    "matmul broadcasts batches": (torch.matmul, (2, 1, 4, 6), (3, 6, 5)),
    "bmm": (torch.bmm, (3, 4, 6), (3, 6, 5)),
    "mv": (torch.mv, (4, 6), (6,)),
    "dot": (torch.dot, (6,), (6,)),
    "outer": (torch.outer, (4,), (5,)),
    "linear": (F.linear, (4, 6), (5, 6)),
    "linear with a bias": (F.linear, (4, 6), (5, 6), (5,)),
    "linear of a batch": (F.linear, (2, 3, 6), (5, 6), (5,)),
    "linear of a vector": (F.linear, (6,), (5, 6), (5,)),
    "bilinear": (F.bilinear, (4, 3), (4, 2), (5, 3, 2)),
    "addmm": (torch.addmm, (4, 5), (4, 6), (6, 5)),
    "addmm of a vector": (torch.addmm, (5,), (4, 6), (6, 5)),
    "addmm with factors": (lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2), (4, 5), (4, 6), (6, 5)),
    "addmm without the addend": (lambda c, a, b: torch.addmm(c, a, b, beta=0), (4, 5), (4, 6), (6, 5)),
    "addmv": (torch.addmv, (4,), (4, 6), (6,)),
    "addbmm": (torch.addbmm, (4, 5), (3, 4, 6), (3, 6, 5)),
    "baddbmm": (torch.baddbmm, (3, 4, 5), (3, 4, 6), (3, 6, 5)),
    "baddbmm with factors": (
        lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5, alpha=2),
        (3, 4, 5),
        (3, 4, 6),
        (3, 6, 5),
    ),
    "addr": (torch.addr, (4, 5), (4,), (5,)),
    "einsum of a product": (lambda a, b: torch.einsum("ij,jk->ik", a, b), (4, 6), (6, 5)),
    "einsum of attention": (lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k), (2, 3, 4, 5), (2, 3, 6, 5)),
    "einsum of a trace": (lambda a: torch.einsum("ii->", a), (4, 4)),
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=2), (2, 3, 4), (3, 4, 5)),
    "chain_matmul": (lambda a, b, c: torch.linalg.multi_dot([a, b, c]), (4, 6), (6, 5), (5, 3)),
    "matrix_power": (lambda a: torch.linalg.matrix_power(a, 3), (4, 4)),
    "cdist": (torch.cdist, (4, 6), (5, 6)),
    "cross": (lambda a, b: torch.linalg.cross(a, b), (4, 3), (4, 3)),
    "inner": (torch.inner, (4, 6), (5, 6)),
    "vecdot": (torch.linalg.vecdot, (4, 6), (4, 6)),
}
for name, (function, *shapes) in PRODUCTS.items():
    dtypes = FLOAT32 if name in ("cdist", "cross", "bilinear") else FLOATS
    for dtype in dtypes:
        inputs = [Sample(shape, dtype, seed=number) for number, shape in enumerate(shapes)]
        group.dtypes(name, function, *inputs, dtypes=(dtype,), tolerance=TOLERANCE[dtype])

# How operands lie in memory: a transposed operand needs no copy, others do
LAYOUTS = ("contiguous", "transposed", "strided", "offset")
for first in LAYOUTS:
    for second in LAYOUTS:
        group.compare(
            f"mm {first} by {second}",
            torch.mm,
            sample(4, 6, layout=first),
            sample(6, 5, layout=second, seed=1),
            tolerance=TOLERANCE[torch.float32],
        )
for layout in ("transposed", "strided", "offset"):
    pair = sample(3, 4, 6, layout=layout), sample(3, 6, 5, layout=layout, seed=1)
    group.compare(f"bmm {layout}", torch.bmm, *pair, tolerance=TOLERANCE[torch.float32])
    weights = sample(5, 6, layout=layout, seed=1), sample(5, seed=2)
    group.compare(f"linear with {layout} weights", F.linear, sample(4, 6), *weights, tolerance=(1e-3, 1e-3))
group.compare(
    "mm of expanded operands", torch.mm, sample(4, 6, layout="expanded"), sample(6, 5), tolerance=(1e-3, 1e-3)
)

# Sizes at the edges
for m, k, n in ((0, 6, 5), (4, 0, 5), (4, 6, 0), (1, 1, 1), (1, 64, 1), (65, 33, 17), (128, 256, 64)):
    group.compare(f"mm {m} x {k} x {n}", torch.mm, sample(m, k), sample(k, n, seed=1), tolerance=(1e-3, 1e-3))
group.compare("bmm of no batches", torch.bmm, sample(0, 4, 6), sample(0, 6, 5))
group.compare("linear of no rows", F.linear, sample(0, 6), sample(5, 6), sample(5))
group.compare(
    "mm into out", lambda a, b, out: torch.mm(a, b, out=out), sample(4, 6), sample(6, 5), sample(4, 5)
)
group.compare("addmm_ in place", lambda c, a, b: c.addmm_(a, b), sample(4, 5), sample(4, 6), sample(6, 5))
group.compare(
    "baddbmm_ in place", lambda c, a, b: c.baddbmm_(a, b), sample(3, 4, 5), sample(3, 4, 6), sample(3, 6, 5)
)

# Gradients
for name in (
    "mm",
    "matmul of batches",
    "matmul of a batch and a matrix",
    "bmm",
    "mv",
    "dot",
    "linear with a bias",
    "linear of a batch",
    "addmm",
    "baddbmm",
    "einsum of attention",
    "outer",
):
    function, *shapes = PRODUCTS[name]
    for dtype in FLOATS:
        inputs = [Sample(shape, dtype, -1, 1, seed=number) for number, shape in enumerate(shapes)]
        group.dtypes(
            f"gradient of {name}",
            function,
            *inputs,
            dtypes=(dtype,),
            gradient=True,
            tolerance=TOLERANCE[dtype],
        )

# Attention is products and a softmax; every way that PyTorch offers it
HEADS = [sample(2, 3, 5, 8, seed=number) for number in range(3)]
for causal in (False, True):
    name = "causal attention" if causal else "attention"
    for gradient in (False, True):
        group.dtypes(
            f"gradient of {name}" if gradient else name,
            lambda q, k, v, c=causal: F.scaled_dot_product_attention(q, k, v, is_causal=c),
            *HEADS,
            gradient=gradient,
            tolerance=(3e-2, 3e-2),
        )
group.compare(
    "attention with a mask",
    lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m > 0),
    *HEADS,
    torch.eye(5) + 1,
    tolerance=(1e-3, 1e-3),
)
group.compare(
    "attention with a bias",
    lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
    *HEADS,
    torch.eye(5),
    tolerance=(1e-3, 1e-3),
)

if __name__ == "__main__":
    group.main()
