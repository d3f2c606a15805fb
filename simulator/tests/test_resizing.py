"""Bilinear resizing takes both scales where they give the output's size, else neither, as CANN does."""

import pytest
import torch
from acl import AclError

HEIGHT, WIDTH = 4, 5
SIZE = [7, 8]
#: Of 4 x 5 pixels, 7 x 8. With 1 an adapter says that the program named no scale; with 0, too.
NEITHER = [(0.0, 0.0), (1.0, 1.0), (1.9, 0.0), (0.0, 1.7), (1.9, 1.0), (1.9, 1.5), (2.0, 2.0)]
BOTH = [(1.9, 1.7), (1.75, 1.6)]
PAIRS = [*[(pair, (None, None)) for pair in NEITHER], *[(pair, pair) for pair in BOTH]]
every_pair = pytest.mark.parametrize(("given", "taken"), PAIRS, ids=[f"{h}-{w}" for (h, w), _ in PAIRS])


def image():
    return torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def resized(x, scales):
    return torch.ops.aten.upsample_bilinear2d(x, SIZE, False, *scales)


def gradients(scales):
    """What comes back, and the gradient of the image."""
    x = image().requires_grad_()
    out = resized(x, scales)
    grad = out.detach() ** 2
    return grad, torch.autograd.grad(out, x, grad)[0]


def test_the_scales_make_a_difference():
    assert not torch.allclose(resized(image(), BOTH[0]), resized(image(), (None, None)))


@every_pair
def test_forward(simulator, given, taken):
    out = simulator.room(2, 3, *SIZE)
    simulator.run("UpsampleBilinear2d", simulator.put(image()), SIZE, False, *given, out)
    torch.testing.assert_close(simulator.get(out), resized(image(), taken))


@pytest.mark.parametrize("name", ["UpsampleBilinear2dBackward", "UpsampleBilinear2dBackwardV2"])
@every_pair
def test_backward(simulator, name, given, taken):
    """The older of the two operators takes no scale."""
    grad, wanted = gradients(taken if name.endswith("V2") else (None, None))
    out = simulator.room(*image().shape)
    simulator.run(name, simulator.put(grad), SIZE, list(image().shape), False, *given, out)
    torch.testing.assert_close(simulator.get(out), wanted)


@pytest.mark.parametrize("size", [[], [7], [7, 8, 9]])
def test_a_size_of_other_than_two_numbers_is_refused_at_the_call(simulator, size):
    out = simulator.room(2, 3, *SIZE)
    with pytest.raises(AclError):
        simulator.prepare("UpsampleBilinear2d", simulator.put(image()), size, False, 1.9, 1.7, out)
