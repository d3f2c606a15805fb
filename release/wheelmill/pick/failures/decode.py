"""The text of a file that a program or a shell wrote, whatever its encoding."""

from __future__ import annotations

_LOOKED_AT = 1 << 16  # bytes by which an encoding is told
_ENOUGH = 8  # of so many characters one has to be of ASCII, as nearly all of a log are


def decoded(data: bytes) -> str:
    """UTF-16 where it is that, as Windows PowerShell's `>` writes it; else UTF-8, and what is neither as `�`.

    A mark at the beginning says too little: a log of bytes may begin with it. The zeros beside ASCII tell.
    """
    begun = data[:_LOOKED_AT]
    high, low = begun[1::2].count(0), begun[0::2].count(0)
    if max(high, low) * _ENOUGH > len(begun) // 2 and min(high, low) * _ENOUGH <= max(high, low):
        return data.decode("utf-16-le" if high > low else "utf-16-be", "replace").removeprefix("\ufeff")
    return data.decode("utf-8", "replace").removeprefix("\ufeff")
