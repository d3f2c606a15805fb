"""Random numbers and dropout: the seed and the offset decide them, and they are spread as asked."""

from __future__ import annotations

import pytest
import torch

SIZE = 4000


def drawn(simulator, name, *arguments, dtype=torch.float32):
    out = simulator.room(SIZE, dtype=dtype)
    simulator.run(name, out, *arguments)
    return simulator.get(out)


@pytest.mark.parametrize("name", ["InplaceRandomWithoutFromTo", "SimThreadExponential"])
def test_the_seed_and_the_offset_decide_the_numbers(simulator, name):
    options = (SIZE, 2.0) if name == "SimThreadExponential" else ()
    first = drawn(simulator, name, *options, 1, 0)
    assert torch.equal(first, drawn(simulator, name, *options, 1, 0))
    assert not torch.equal(first, drawn(simulator, name, *options, 2, 0))
    assert not torch.equal(first, drawn(simulator, name, *options, 1, 8))


def test_exponential_numbers_have_the_mean_that_was_asked_for(simulator):
    values = drawn(simulator, "SimThreadExponential", SIZE, 2.0, 1, 0)
    assert values.min() >= 0
    assert abs(values.mean() - 0.5) < 0.05


def test_whole_numbers_of_a_type_fill_its_range(simulator):
    values = drawn(simulator, "InplaceRandomWithoutFromTo", 1, 0, dtype=torch.uint8)
    assert values.min() == 0
    assert values.max() == 255


def test_a_permutation_has_every_number_once(simulator):
    out = simulator.room(100, dtype=torch.int64)
    simulator.run("Randperm", 100, 1, 0, out)
    order = simulator.get(out)
    assert order.sort().values.tolist() == list(range(100))
    assert order.tolist() != list(range(100))


def test_dropout_keeps_the_share_that_was_asked_for_and_its_mask_says_what(simulator):
    x, out = simulator.put(torch.ones(SIZE)), simulator.room(SIZE)
    mask = simulator.room(SIZE // 8, dtype=torch.uint8)
    simulator.run("DropoutV3", x, None, 0.25, 1, 0, out, mask)
    kept = simulator.get(out)
    torch.testing.assert_close(kept[kept != 0], torch.full((int((kept != 0).sum()),), 4 / 3))
    assert abs((kept > 0).float().mean() - 0.75) < 0.05
    again = simulator.room(SIZE)
    simulator.run("DropoutDoMask", x, mask, 0.25, again)
    assert torch.equal(simulator.get(again), kept)
