"""npu_fusion_attention: numbers, gradients, masks, dropout and what is refused, compared with the CPU."""

import pytest
import torch
import torch_npu

pytestmark = pytest.mark.usefixtures("no_fallback")

BATCH, HEADS, ROWS, COLUMNS, WIDTH = 2, 4, 6, 6, 8
SCALE = 0.3
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}

#: The mask that CANN reads tile by tile in the causal modes.
TILES = torch.ones(2048, 2048, dtype=torch.bool).triu(1)


def operands(rows=ROWS, columns=COLUMNS, heads=HEADS, shared=HEADS, dtype=torch.float32, seed=0):
    """Query, key and value as [batch, heads, sequence, width]."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((heads, rows), (shared, columns), (shared, columns))
    return [torch.randn(BATCH, *shape, WIDTH, generator=generator).to(dtype) for shape in shapes]


def in_layout(x, layout):
    """A tensor of [batch, heads, sequence, width] in another layout."""
    if layout == "BNSD":
        return x
    if layout == "BSND":
        return x.transpose(1, 2)
    flat = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)
    return flat if layout == "BSH" else flat.transpose(0, 1)


def attention(query, key, value, left_out=None, pse=0):
    """The same on the CPU, step by step and in float32; `left_out` is True where there is no score."""
    groups = query.shape[1] // key.shape[1]
    query, key, value = query.float(), key.float(), value.float()
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query @ key.transpose(-1, -2) + pse) * SCALE
    if left_out is not None:
        scores = scores.masked_fill(left_out, float("-inf"))
    return scores.softmax(-1) @ value


def with_gradients(function, tensors):
    """The result of `function`, and the gradients of `tensors` for a gradient that is 1, 2, 3, ..."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    out = function(*leaves)
    grad = torch.arange(out.numel()).reshape(out.shape).to(out.dtype) / out.numel()
    return [out.detach(), *torch.autograd.grad(out, leaves, grad.to(out.device))]


def moved(options):
    """The same options with every tensor on the device."""
    return {
        name: value.npu() if isinstance(value, torch.Tensor) else value for name, value in options.items()
    }


def assert_same(actual, expected, dtype=torch.float32):
    limit = TOLERANCE[dtype]
    for one, other in zip(actual, expected, strict=False):
        torch.testing.assert_close(one.cpu().float(), other.float(), rtol=limit, atol=limit)


def fused(query, key, value, heads=HEADS, layout="BNSD", **options):
    return torch_npu.npu_fusion_attention(query, key, value, heads, layout, scale=SCALE, **options)[0]


@pytest.mark.parametrize("dtype", sorted(TOLERANCE, key=str))
@pytest.mark.parametrize("layout", ["BNSD", "BSND", "BSH", "SBH"])
def test_numbers_and_gradients_in_every_layout(layout, dtype):
    """Two heads of queries share one of keys, and there are more keys than queries."""
    tensors = operands(columns=9, shared=2, dtype=dtype)

    def on_device(*leaves):
        return fused(*(in_layout(leaf, layout).npu() for leaf in leaves), layout=layout)

    def on_cpu(*leaves):
        return in_layout(attention(*leaves), layout).to(dtype)

    assert_same(with_gradients(on_device, tensors), with_gradients(on_cpu, tensors), dtype)


@pytest.mark.skipif(
    not hasattr(torch.nn.functional, "scaled_dot_product_attention"), reason="torch has it from 2.0 on"
)
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_scaled_dot_product_attention(causal):
    tensors = operands()
    options = {"atten_mask": TILES.npu(), "sparse_mode": 2} if causal else {}

    def on_device(*leaves):
        on_npu = [leaf.npu() for leaf in leaves]
        return torch_npu.npu_fusion_attention(*on_npu, HEADS, "BNSD", scale=WIDTH**-0.5, **options)[0]

    def on_cpu(*leaves):
        return torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=causal)

    assert_same(with_gradients(on_device, tensors), with_gradients(on_cpu, tensors))


def band(rows, columns, corner, before, after):
    """True outside of a band along the diagonal from the upper left, or to the lower right corner."""
    distance = torch.arange(columns) - torch.arange(rows).unsqueeze(1) - (columns - rows if corner else 0)
    return (distance < -before) | (distance > after)


CHECKS = (torch.arange(4).unsqueeze(1) + torch.arange(7)) % 3 == 0
ONE_OF_EACH = torch.stack([CHECKS.roll(i, 1) for i in range(BATCH * HEADS)]).reshape(BATCH, HEADS, 4, 7)
MASKS = {
    "mask": ({"atten_mask": CHECKS}, CHECKS),
    "mask in bytes": ({"atten_mask": CHECKS.to(torch.uint8)}, CHECKS),
    "mask of each head": ({"atten_mask": ONE_OF_EACH}, ONE_OF_EACH),
    "mask of each batch": ({"atten_mask": ONE_OF_EACH[:, :1]}, ONE_OF_EACH[:, :1]),
    "tokens count with a mask": (
        {"atten_mask": CHECKS, "pre_tockens": 2, "next_tockens": 1},
        CHECKS | band(4, 7, False, 2, 1),
    ),
    "tokens count for nothing without": ({"pre_tockens": 0, "next_tockens": 0}, None),
    "mode 1": ({"atten_mask": CHECKS, "sparse_mode": 1, "pre_tockens": 1, "next_tockens": 0}, CHECKS),
    "mode 2": ({"atten_mask": TILES, "sparse_mode": 2}, band(4, 7, False, 9, 0)),
    "mode 3": ({"atten_mask": TILES, "sparse_mode": 3}, band(4, 7, True, 9, 0)),
    "mode 4": (
        {"atten_mask": TILES, "sparse_mode": 4, "pre_tockens": 3, "next_tockens": 1},
        band(4, 7, True, 3, 1),
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_what_a_mask_leaves_out(name):
    options, left_out = MASKS[name]
    on_npu = moved(options)
    tensors = operands(rows=4, columns=7)

    def on_device(*leaves):
        return fused(*(leaf.npu() for leaf in leaves), **on_npu)

    assert_same(
        with_gradients(on_device, tensors),
        with_gradients(lambda *leaves: attention(*leaves, left_out), tensors),
    )


@pytest.mark.parametrize("shape", [(BATCH, HEADS, ROWS, COLUMNS), (1, HEADS, 1, COLUMNS)])
def test_pse_is_added_before_scaling(shape):
    pse = torch.randn(shape)
    tensors = operands()

    def on_device(*leaves):
        return fused(*(leaf.npu() for leaf in leaves), pse=pse.npu())

    assert_same(
        with_gradients(on_device, tensors),
        with_gradients(lambda *leaves: attention(*leaves, pse=pse), tensors),
    )


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, lambda rows, columns: None),
        ({"atten_mask": TILES, "sparse_mode": 3}, lambda rows, columns: band(rows, columns, True, 9, 0)),
        ({"atten_mask": CHECKS[:, :5]}, lambda rows, columns: CHECKS[:rows, :columns]),
    ],
    ids=["all", "causal", "mask"],
)
def test_sequences_of_several_lengths(options, left_out):
    """TND: each attends to itself alone; the second has no rows and takes no part."""
    rows, columns = [3, 0, 4], [4, 2, 5]
    query = torch.randn(sum(rows), HEADS, WIDTH)
    key, value = torch.randn(2, sum(columns), 2, WIDTH)
    options = moved(options)
    ends = {
        "actual_seq_qlen": torch.tensor(rows).cumsum(0).tolist(),
        "actual_seq_kvlen": torch.tensor(columns).cumsum(0).tolist(),
    }

    def on_device(*leaves):
        return fused(*(leaf.npu() for leaf in leaves), layout="TND", **ends, **options)

    def on_cpu(*leaves):
        parts = zip(
            *(leaf.split(sizes) for leaf, sizes in zip(leaves, (rows, columns, columns), strict=False)),
            strict=False,
        )
        outs = []
        for part in parts:
            one, two, three = (x.transpose(0, 1).unsqueeze(0) for x in part)
            out = attention(one, two, three, left_out(one.shape[2], two.shape[2]))
            outs.append(out.squeeze(0).transpose(0, 1))
        return torch.cat(outs)

    tensors = (query, key, value)
    assert_same(with_gradients(on_device, tensors), with_gradients(on_cpu, tensors))


def test_the_results_beside_the_output():
    query, key, value = operands()
    out, largest, sums, reserved, seed, offset, count = torch_npu.npu_fusion_attention(
        *(x.half().npu() for x in (query, key, value)), HEADS, "BNSD", scale=SCALE
    )
    assert out.dtype == torch.float16
    assert out.shape == query.shape
    assert largest.shape == sums.shape == (BATCH, HEADS, ROWS, 8)
    assert largest.dtype == sums.dtype == torch.float32
    assert reserved.numel() == 0
    assert (seed, offset, count) == (0, 0, BATCH * HEADS * ROWS * COLUMNS)
    scores = SCALE * query.half().float() @ key.half().float().transpose(-1, -2)
    total = (largest.cpu() + sums.cpu().log())[..., 0]
    torch.testing.assert_close(total, scores.logsumexp(-1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["BNSD", "TND"])
def test_dropout_drops_its_share_and_the_gradient_drops_the_same(layout):
    side, keep = 64, 0.75
    query, key = torch.zeros(2, HEADS, side, side).npu(), torch.zeros(2, HEADS, side, side).npu()
    value = torch.eye(side).expand(2, HEADS, -1, -1).contiguous().npu().requires_grad_()
    ends = {}

    def arranged(x):
        return x.transpose(1, 2).reshape(-1, HEADS, side) if layout == "TND" else x

    if layout == "TND":
        ends = {"actual_seq_qlen": [side, 2 * side], "actual_seq_kvlen": [side, 2 * side]}
    torch.npu.manual_seed(5)
    results = torch_npu.npu_fusion_attention(
        arranged(query), arranged(key), arranged(value), HEADS, layout, keep_prob=keep, **ends
    )
    weights = results[0]
    if layout == "TND":
        weights = weights.reshape(2, side, HEADS, side).transpose(1, 2)
    kept = weights.detach().cpu() != 0
    assert abs(kept.float().mean().item() - keep) < 0.02
    torch.testing.assert_close(weights.detach().cpu()[kept], torch.full((int(kept.sum()),), 1 / side / keep))
    assert (kept[0] != kept[1]).any(), "every batch has numbers of its own"
    grad = torch.randn(2, HEADS, side, side)
    (found,) = torch.autograd.grad(weights, value, grad.npu())
    torch.testing.assert_close(found.cpu(), weights.detach().cpu().transpose(-1, -2) @ grad)


def test_dropout_follows_the_seed_of_the_device():
    query, key, value = (x.npu() for x in operands())

    def dropped(seed):
        torch.npu.manual_seed(seed)
        first = fused(query, key, value, keep_prob=0.5).cpu()
        return first, fused(query, key, value, keep_prob=0.5).cpu()

    first, second = dropped(1)
    assert (first != second).any()
    again = dropped(1)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert (first != dropped(2)[0]).any()


def test_views_and_one_gradient_alone():
    """What is not contiguous, and a key and value that want no gradient."""
    query, key, value = operands()
    leaf = query.npu().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    out = fused(leaf, key.npu(), value.npu())
    out.sum().backward()
    expected = query.clone().requires_grad_()
    attention(expected, key, value).sum().backward()
    assert_same([out.detach(), leaf.grad], [attention(query, key, value), expected.grad])


def test_without_keys_nothing_is_attended_to():
    query, key, value = operands(columns=0)
    out = with_gradients(lambda *leaves: fused(*(leaf.npu() for leaf in leaves)), (query, key, value))
    assert [tuple(x.shape) for x in out[1:]] == [tuple(x.shape) for x in (query, key, value)]
    assert (out[0].cpu() == 0).all()


def test_a_gradient_of_the_gradient_is_an_error():
    query, key, value = (x.npu().requires_grad_() for x in operands())
    (grad,) = torch.autograd.grad(fused(query, key, value).sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match=r"not implemented"):
        grad.sum().backward()


def test_without_data_there_are_shapes():
    query, key, value = (x.to("meta") for x in operands(dtype=torch.float16))
    out, largest, *_ = torch.ops.npu.npu_fusion_attention(query, key, value, HEADS, "BNSD")
    assert (out.shape, out.dtype, out.device.type) == (query.shape, torch.float16, "meta")
    assert largest.shape == (BATCH, HEADS, ROWS, 8)


ONES = torch.ones(1)
REFUSED = {
    "another layout": ({"layout": "BHS"}, "input_layout is 'BHS'; choose BSH, SBH, BNSD, BSND or TND"),
    "layout of fewer": ({"layout": "BSH"}, r"query has the sizes \[2, 4, 6, 8\], which is not BSH"),
    "heads": ({"heads": 3}, "head_num is 3, but query has the sizes"),
    "double": ({"dtype": torch.float64}, "CANN takes float16, bfloat16 and float32"),
    "keep nothing": ({"keep_prob": 0.0}, "keep_prob is 0; it is above 0 and at most 1"),
    "padding": ({"padding_mask": ONES}, "does not have padding_mask yet"),
    "prefix": ({"prefix": [1, 2]}, "does not have prefix yet"),
    "modes with a prefix": ({"sparse_mode": 5}, "sparse_mode is 5; this adapter has 0"),
    "sink": ({"sink": ONES}, "does not have sink yet"),
    "softmax_layout": ({"softmax_layout": "TND"}, "does not have softmax_layout yet"),
    "a mask of dropout": ({"dropout_mask": ONES}, "does not have dropout_mask yet"),
    "a seed": ({"seed": 3}, "torch.npu.manual_seed decides"),
    "no mask": ({"sparse_mode": 2}, r"sparse_mode 2 needs an atten_mask: torch.ones\(2048, 2048\)"),
    "mask of numbers": ({"atten_mask": torch.zeros(ROWS, COLUMNS)}, "atten_mask is Float; make it bool"),
    "small mask": ({"atten_mask": TILES[:4, :4]}, r"takes \[6, 6\] and one of each batch and head"),
    "large mask": (
        {"atten_mask": TILES[:6, :6], "sparse_mode": 3},
        r"sparse_mode 3 with BNSD takes \[2048, 2048\]",
    ),
    "pse": ({"pse": torch.zeros(BATCH, HEADS, 2, COLUMNS)}, r"it takes \[2, 4, 6, 6\]"),
    "ends": ({"actual_seq_qlen": [6], "actual_seq_kvlen": [6]}, "are for TND, and input_layout is BNSD"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_before_it_is_queued(name):
    options, message = REFUSED[name]
    options = moved(options)
    query, key, value = (x.npu() for x in operands(dtype=options.pop("dtype", torch.float32)))
    with pytest.raises((RuntimeError, ValueError, TypeError), match=message):
        fused(query, key, value, **options)
    torch.npu.synchronize()  # nothing of it failed on the device


def test_operands_that_do_not_fit_are_named():
    query, key, value = (x.npu() for x in operands())
    for keys, values, message in [
        (key.half(), value, "key is Half and query Float"),
        (key[:, :3], value[:, :3], "each head of key serves the same number"),
        (key, value[..., :4], "key has the sizes .* and value"),
        (key[:1], value[:1], "batches of different sizes"),
        (key[..., :4], value[..., :4], "heads must be of one width"),
    ]:
        with pytest.raises((RuntimeError, ValueError, TypeError), match=message):
            fused(query, keys, values)
    tokens = query.reshape(-1, HEADS, WIDTH)
    for ends in ([], [10], [12, 5], [14]):
        with pytest.raises((RuntimeError, ValueError), match=r"it grows up to 12"):
            fused(tokens, tokens, tokens, layout="TND", actual_seq_qlen=ends, actual_seq_kvlen=[12])


def test_pse_has_no_gradient():
    query, key, value = (x.npu() for x in operands())
    pse = torch.zeros(BATCH, HEADS, ROWS, COLUMNS).npu().requires_grad_()
    with pytest.raises((RuntimeError, NotImplementedError), match=r"give it pse.detach\(\)"):
        fused(query, key, value, pse=pse)
    assert fused(query, key, value, pse=pse.detach()).shape == query.shape


def test_the_name_that_programs_import():
    from torch_npu import npu_fusion_attention, npu_fusion_attention_grad

    for imported, packet in (
        (npu_fusion_attention, torch.ops.npu.npu_fusion_attention),
        (npu_fusion_attention_grad, torch.ops.npu.npu_fusion_attention_grad),
    ):
        assert imported is getattr(packet, "default", packet)  # torch 1 has no packets


def test_a_name_that_is_not_there_yet_says_so():
    for name in ("npu_lstm_cell", "_npu_flash_attention", "asd", "dynamo"):
        assert not hasattr(torch_npu, name)
        with pytest.raises(AttributeError, match=rf"{name}.*this adapter does not have it yet"):
            getattr(torch_npu, name)
    with pytest.raises(AttributeError, match=r"module 'torch_npu' has no attribute 'nothing'$"):
        torch_npu.nothing  # noqa: B018
