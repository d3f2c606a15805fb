"""Random number generators: one per device, usable before the device is."""

from typing import Any, Iterable, List, Tuple

import torch

from torch_npu import _native
from torch_npu.npu.devices import Device, device_count, device_index

if _native.OWN_DEVICE_TYPE:
    _default_generator = _native.default_generator
else:
    from torch_npu import _torch1

    _default_generator = _torch1.default_generator


def default_generators() -> Tuple[torch.Generator, ...]:
    """The default generator of every device, always the same objects; `torch.npu.default_generators`."""
    return tuple(_generator(index) for index in range(device_count()))


def _generator(device: Device) -> Any:
    return _default_generator(device_index(device))


def manual_seed(seed: int) -> None:
    """Seed the current device's generator; does nothing when there is no NPU."""
    if device_count():
        _generator(None).manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Seed every device's generator with the same number; `torch.manual_seed` calls this."""
    for generator in default_generators():
        generator.manual_seed(int(seed))


def seed() -> None:
    """Seed the current device's generator with a number that differs from run to run."""
    if device_count():
        _generator(None).seed()


def seed_all() -> None:
    """Seed every device's generator with one number that differs from run to run."""
    generators = default_generators()
    if generators:
        manual_seed_all(generators[0].seed())


def initial_seed() -> int:
    """The number that the current device's generator was last seeded with."""
    return int(_generator(None).initial_seed())


def get_rng_state(device: Device = "npu") -> torch.Tensor:
    """The state of one device's generator: a byte tensor on the CPU."""
    state: torch.Tensor = _generator(device).get_state()
    return state


def set_rng_state(new_state: torch.Tensor, device: Device = "npu") -> None:
    """Restore what get_rng_state returned."""
    _generator(device).set_state(new_state)


def get_rng_state_all() -> List[torch.Tensor]:
    """The states of all devices' generators."""
    return [generator.get_state() for generator in default_generators()]


def set_rng_state_all(new_states: Iterable[torch.Tensor]) -> None:
    """Restore what get_rng_state_all returned."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)
