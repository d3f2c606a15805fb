"""Random numbers: seeds, states, generators."""

import pytest
import torch
from npu_testing import TORCH
from torch.utils.checkpoint import checkpoint

DRAWS = {
    "randn": lambda generator=None: torch.randn(100, device="npu", generator=generator),
    "rand": lambda generator=None: torch.rand(100, device="npu", generator=generator),
    "randint": lambda generator=None: torch.randint(0, 1000, (100,), device="npu", generator=generator),
    "bernoulli_": lambda generator=None: torch.empty(100, device="npu").bernoulli_(0.5, generator=generator),
    "normal_": lambda generator=None: torch.empty(100, device="npu").normal_(1, 2, generator=generator),
    "uniform_": lambda generator=None: torch.empty(100, device="npu").uniform_(-1, 1, generator=generator),
    "random_": lambda generator=None: torch.empty(100, device="npu").random_(0, 50, generator=generator),
}
# These have no kernel on the device: they run on the CPU.
FALLEN_BACK = {
    "randperm": lambda generator=None: torch.randperm(100, device="npu", generator=generator),
    "exponential_": lambda generator=None: torch.empty(100, device="npu").exponential_(generator=generator),
}
each_draw = pytest.mark.parametrize(
    "draw", [*DRAWS.values(), *FALLEN_BACK.values()], ids=[*DRAWS, *FALLEN_BACK]
)

makes_generators = pytest.mark.skipif(
    TORCH < (2, 1), reason="torch makes generators of its own devices only before 2.1"
)


@each_draw
def test_a_seed_repeats_the_numbers_and_the_next_differ(draw):
    torch.manual_seed(7)
    first, second = draw(), draw()
    torch.npu.manual_seed_all(7)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)


@makes_generators
@each_draw
def test_a_generator_of_its_own_repeats_too_and_leaves_the_default_alone(draw):
    state = torch.npu.get_rng_state()
    own = torch.Generator(device="npu").manual_seed(3)
    first = draw(own)
    assert torch.equal(draw(own.manual_seed(3)), first)
    assert torch.equal(torch.npu.get_rng_state(), state)


def test_dropout_follows_the_seed():
    x = torch.ones(1000, device="npu")
    torch.manual_seed(1)
    first = torch.nn.functional.dropout(x, 0.5)
    torch.manual_seed(1)
    assert torch.equal(torch.nn.functional.dropout(x, 0.5), first)
    assert 300 < (first == 0).sum().item() < 700


def test_randperm_is_a_permutation():
    torch.manual_seed(2)
    assert torch.equal(torch.randperm(50, device="npu").sort().values.cpu(), torch.arange(50))


def test_a_state_restores_where_the_generator_was():
    torch.rand(10, device="npu")
    state = torch.npu.get_rng_state()
    assert (state.device.type, state.dtype) == ("cpu", torch.uint8)
    first = torch.rand(10, device="npu")
    torch.npu.set_rng_state(state)
    assert torch.equal(torch.rand(10, device="npu"), first)


def test_states_of_all_devices():
    states = torch.npu.get_rng_state_all()
    assert len(states) == torch.npu.device_count()
    first = torch.rand(5, device="npu:1")
    torch.npu.set_rng_state_all(states)
    assert torch.equal(torch.rand(5, device="npu:1"), first)


def test_manual_seed_is_for_the_current_device_only():
    other = torch.npu.get_rng_state(1)
    torch.npu.manual_seed(99)
    assert torch.npu.initial_seed() == 99
    assert torch.equal(torch.npu.get_rng_state(1), other)


def test_seed_and_seed_all_choose_new_numbers():
    torch.npu.manual_seed_all(5)
    torch.npu.seed()
    assert torch.npu.initial_seed() != 5
    torch.npu.seed_all()
    seeds = {generator.initial_seed() for generator in torch.npu.default_generators}
    assert len(seeds) == 1
    assert seeds != {5}


def test_default_generators_are_the_same_objects_each_time():
    generators = torch.npu.default_generators
    assert len(generators) == torch.npu.device_count()
    assert generators[1].device == torch.device("npu:1")
    assert generators[0] is torch.npu.default_generators[0]


@pytest.mark.skipif(not hasattr(torch.Generator, "clone_state"), reason="torch clones generators from 2.4 on")
def test_a_clone_goes_on_from_where_its_original_was_and_by_itself():
    own = torch.Generator(device="npu").manual_seed(11)
    torch.rand(10, device="npu", generator=own)
    clone = own.clone_state()
    assert (clone.device, clone.get_offset()) == (own.device, own.get_offset())
    assert torch.equal(clone.get_state(), own.get_state())
    first = torch.rand(10, device="npu", generator=own)
    assert torch.equal(torch.rand(10, device="npu", generator=clone), first)
    assert not torch.equal(torch.rand(10, device="npu", generator=own.manual_seed(12)), first)
    assert clone.initial_seed() == 11


@makes_generators
def test_the_state_is_not_shown_as_tensors():
    generator = torch.Generator(device="npu")
    if not hasattr(generator, "philox_state"):  # from 2.14 on
        assert generator.get_state().device.type == "cpu"
        return
    with pytest.raises(NotImplementedError, match="generators of npu devices"):
        generator.philox_state(4)


@pytest.mark.skipif(TORCH < (2, 1), reason="torch forks the generators of its own devices only before 2.1")
def test_fork_rng_puts_the_state_back():
    state = torch.npu.get_rng_state()
    with torch.random.fork_rng(devices=[0], device_type="npu"):
        torch.rand(10, device="npu")
        assert not torch.equal(torch.npu.get_rng_state(), state)
    assert torch.equal(torch.npu.get_rng_state(), state)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_draws_the_same_dropout_again(use_reentrant):
    torch.manual_seed(11)
    x = torch.ones(64, 64, device="npu", requires_grad=True)
    y = checkpoint(torch.nn.functional.dropout, x, use_reentrant=use_reentrant)
    torch.rand(5, device="npu")
    state = torch.npu.get_rng_state()
    y.sum().backward()
    assert torch.equal(torch.npu.get_rng_state(), state)
    assert torch.equal(x.grad, y.detach())


def test_a_generator_of_another_device_is_refused():
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(2, device="npu", generator=torch.Generator())


def test_the_numbers_are_distributed_as_asked():
    torch.manual_seed(0)
    x = torch.randn(20000, device="npu").cpu()
    assert abs(x.mean().item()) < 0.05
    assert abs(x.std().item() - 1) < 0.05
    u = torch.rand(20000, device="npu").cpu()
    assert 0 <= u.min().item() <= u.max().item() < 1
    assert abs(u.mean().item() - 0.5) < 0.02
