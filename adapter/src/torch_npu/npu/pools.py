"""Allocators of one's own. The adapter has one allocator; what would replace it says so."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, NoReturn


def get_allocator_backend() -> str:
    """The name of the allocator in use: always "native"."""
    return "native"


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"{what}: this adapter has one allocator, its own, which cannot be replaced; "
        "torch.npu.set_per_process_memory_fraction limits it and torch.npu.empty_cache empties it"
    )


class NPUPluggableAllocator:
    """An allocator from a shared library; refused."""

    def __init__(self, path_to_so_file: str, alloc_fn_name: str, free_fn_name: str) -> None:
        _refuse("NPUPluggableAllocator")


def change_current_allocator(allocator: Any) -> None:
    """Raises NotImplementedError."""
    _refuse("change_current_allocator")


class MemPool:
    """A pool of its own for some allocations; refused."""

    def __init__(self, allocator: Any = None, use_on_oom: bool = False) -> None:
        _refuse("MemPool")


class MemPoolContext:
    """See MemPool."""

    def __init__(self, pool: Any) -> None:
        _refuse("MemPoolContext")


@contextlib.contextmanager  # as torch.cuda's: torch.compile looks at what is behind the decorator
def use_mem_pool(pool: Any, device: Any = None) -> Iterator[None]:
    """Raises NotImplementedError when it is entered; see MemPool."""
    _refuse("use_mem_pool")
    yield
