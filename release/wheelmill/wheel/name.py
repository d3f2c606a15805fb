"""What a wheel's file name says: project, version, build and tags."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelmill.wheel.errors import WheelError

MAX_TAGS = 1000  # simple tags that a compressed one stands for; real wheels have a dozen at most


@dataclass(frozen=True)
class WheelName:
    """`crc_demo-1.0rc1-cp38-cp38-manylinux_2_17_x86_64.manylinux2014_x86_64.whl`, read.

    `project` is normalized (crc-demo) and `version` canonical; `distribution`, `written` and `tag` are the
    parts as the name has them. `build` is "" where there is no build tag.
    """

    file: str
    distribution: str
    written: str
    build: str
    tag: str
    project: str
    version: str
    tags: frozenset[Tag]

    @property
    def dist_info(self) -> str:
        """The directory of its metadata: crc_demo-1.0rc1.dist-info."""
        return f"{self.distribution}-{self.written}.dist-info"

    @property
    def data(self) -> str:
        """The directory whose files are spread over the schemes: crc_demo-1.0rc1.data."""
        return f"{self.distribution}-{self.written}.data"

    @property
    def platforms(self) -> tuple[str, ...]:
        """Its platform tags, sorted."""
        return tuple(sorted({tag.platform for tag in self.tags}))


@lru_cache(maxsize=256)
def parse_name(file: str) -> WheelName:
    """Read a file name. Raises WheelError for what is no wheel's name."""
    parts = file.removesuffix(".whl").split("-")
    try:
        count_tags("-".join(parts[-3:]))
        project, version, _, tags = parse_wheel_filename(file)
    except (InvalidWheelFilename, WheelError, ValueError) as error:
        reason = error.message if isinstance(error, WheelError) else error
        raise WheelError(
            f"{file} is not the name of a wheel: {reason}",
            hint="A wheel is named <project>-<version>-<python>-<abi>-<platform>.whl; give the built file.",
        ) from None
    build = parts[2] if len(parts) == 6 else ""
    return WheelName(file, parts[0], parts[1], build, "-".join(parts[-3:]), project, str(version), tags)


def count_tags(tag: str) -> int:
    """How many simple tags a compressed one stands for. Raises WheelError for more than MAX_TAGS."""
    count = 1
    for part in tag.split("-"):
        count *= part.count(".") + 1
    if count > MAX_TAGS:
        raise WheelError(f"it stands for {count} tags, and no wheel needs more than {MAX_TAGS}")
    return count


def expand_tag(tag: str) -> list[str]:
    """`cp38-cp38-a.b` as `cp38-cp38-a`, `cp38-cp38-b`: the simple tags of a compressed one, sorted."""
    parts = tag.split("-")
    if len(parts) != 3 or not all(parts):
        raise WheelError(f"{tag!r} is not a wheel tag like cp38-cp38-linux_x86_64")
    count_tags(tag)
    return sorted("-".join(simple) for simple in itertools.product(*(part.split(".") for part in parts)))


def tag_arch(platform: str) -> str | None:
    """The machine of a platform tag: manylinux_2_28_x86_64 -> x86_64; None for `any`."""
    for prefix in ("linux_", "manylinux1_", "manylinux2010_", "manylinux2014_"):
        if platform.startswith(prefix):
            return platform.removeprefix(prefix)
    parts = platform.split("_", 3)
    return parts[3] if parts[0] in ("manylinux", "musllinux") and len(parts) == 4 else None


def tag_policy(platform: str) -> str | None:
    """The platform policy of a tag without its machine: manylinux_2_28_x86_64 -> manylinux_2_28."""
    arch = tag_arch(platform)
    if arch is None or platform.startswith("linux_"):
        return None
    return platform.removesuffix(f"_{arch}")


def tag_python(interpreter: str, abi: str) -> str | None:
    """The one Python minor version that a tag names: cp311-cp311 -> 3.11; None for abi3 and py3."""
    minor = interpreter.removeprefix("cp3")
    known = minor != interpreter and minor.isdecimal() and minor.isascii() and abi not in ("abi3", "abi3t")
    return f"3.{minor}" if known else None
