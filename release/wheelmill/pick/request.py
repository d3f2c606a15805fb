"""Words of a user to a `Request` in the matrix's spelling."""

from __future__ import annotations

from collections.abc import Callable

from wheelmill.matrix.versions import arch_name, cann_name, python_name, version
from wheelmill.pick.model import LABELS, Axis, PickError, Request


def parse_request(
    *,
    cann: str | None = None,
    torch: str | None = None,
    python: str | None = None,
    arch: str | None = None,
    adapter: str | None = None,
    branch: str | None = None,
) -> Request:
    """A request from any usual spelling: `7.0.rc1`, `cp38`, `arm64`, `2.1.0.rc1`, `2.1.0+cpu`.

    Raises PickError naming the axis and what its values look like.
    """
    return Request(
        cann=_read("cann", cann_name, cann),
        torch=_read("torch", _release, torch),
        python=_read("python", python_name, python),
        arch=_read("arch", arch_name, arch),
        adapter=_read("adapter", _release, adapter),
        branch=branch.strip() if branch is not None else None,
    )


def _release(text: str) -> str:
    """Canonical and without a build's local part: `2.1.0+cpu` is torch 2.1.0."""
    return str(version(text.strip())).partition("+")[0]


def _read(axis: Axis, read: Callable[[str], str], text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        hint = "Leave the axis out to let the picker choose."
        raise PickError(f"{LABELS[axis]}: {error}.", hint=hint) from None
