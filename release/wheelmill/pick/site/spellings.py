"""What the script of the page reads its address with: the patterns of the command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wheelmill.matrix.model import Matrix
from wheelmill.matrix.versions import ARCH_NAMES, GLIBC, PYTHON, SDK, SDK_PREFIX
from wheelmill.pick import request
from wheelmill.pick.model import COSTS

# A version of PEP 440 as JavaScript reads it; the command has it from `packaging`.
VERSION = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE | re.ASCII,
)
# The script reads all of them without regard to case, with classes of ASCII.
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "version": VERSION,
    "other_torch": request.OTHER_TORCH,
    "cann": SDK,
    "cann_prefix": SDK_PREFIX,
    "short_cann": request.SHORT_SDK,
    "python": PYTHON,
    "glibc": GLIBC,
    "ldd": request.LDD,
    "system": request.SYSTEM,
    "chip": request.CHIP,
    "chip_prefix": request.CHIP_PREFIX,
    "branch": request.BRANCH,
    "date": request.DAY,
}


def spellings(matrix: Matrix) -> dict[str, Any]:
    """The patterns, names, systems and costs, ready for JSON."""
    return {
        "patterns": {name: one.pattern for name, one in PATTERNS.items()},
        "arches": dict(ARCH_NAMES),
        "musl": list(request.MUSL),
        "systems": [[one.name, one.version, one.glibc] for one in matrix.document.systems],
        "longest": request.LONGEST,
        "costs": dict(COSTS),
    }
