"""Wheels as bytes: written so that the same content always gives the same file, and retagged the same way.

Entries are sorted with .dist-info last, times and mode bits are fixed, RECORD covers every file. Nothing of
the machine (umask, clock, folder order, user) gets in. The deflate stream is zlib's, so another zlib may
compress otherwise; the content and its RECORD are the same then, too.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import WheelFile, open_wheel
from wheelmill.wheel.name import expand_tag, parse_name

Content = bytes | Path

_REGULAR = 0o100644 << 16
_EXECUTABLE = 0o100755 << 16
_UNIX = 3  # create_system: makes unzip honor the mode bits
_LEVEL = 6


@dataclass(frozen=True)
class WheelContent:
    """All that a wheel holds. `tag` may be compressed:
    `cp38-cp38-manylinux_2_17_x86_64.manylinux2014_x86_64`.

    `files` maps paths in the wheel to bytes or files; names in `executables` get mode 0755. `epoch` is in
    seconds, UTC.
    """

    name: str
    version: str
    tag: str
    metadata: str
    license: bytes
    epoch: int
    files: Mapping[str, Content]
    entry_points: str = ""
    executables: frozenset[str] = field(default=frozenset())

    @property
    def file_name(self) -> str:
        """`crc_demo-1.0rc1-cp38-cp38-linux_aarch64.whl`"""
        return f"{self.name}-{self.version}-{self.tag}.whl"


def write(content: WheelContent, folder: Path) -> Path:
    """Write the wheel into `folder` and return its path. Under its name it is complete or not there."""
    _validate(content)
    info = f"{content.name}-{content.version}.dist-info"
    entries: dict[str, Content] = dict(content.files)
    entries[f"{info}/METADATA"] = content.metadata.encode()
    entries[f"{info}/WHEEL"] = _wheel_text(content.tag).encode()
    entries[f"{info}/licenses/LICENSE"] = content.license
    if content.entry_points:
        entries[f"{info}/entry_points.txt"] = content.entry_points.encode()
    moment = time.gmtime(content.epoch)[:6]
    modes = dict.fromkeys(content.executables, _EXECUTABLE)
    return _write_archive(folder / content.file_name, info, entries, modes, moment)


def rewrite(
    wheel: Path,
    folder: Path,
    *,
    tag: str,
    build: int | None = None,
    variant: tuple[str, bytes] | None = None,
) -> Path:
    """The same wheel under another tag, in `folder`: WHEEL, RECORD and the file name change, nothing else.

    `tag` is the whole tag, `cp38-cp38-manylinux_2_17_aarch64`; `build` the build number, which tells builds
    of one version apart: installers take the highest. `variant` is a label (PEP 825), which ends the file
    name, and the variant.json that goes into the .dist-info. Rewriting equal wheels gives equal bytes. Raises
    WheelError for a file that is no wheel.
    """
    given = open_wheel(wheel)
    name, info = given.name, given.name.dist_info
    entries, modes, moment = _unpacked(given, wheel)
    if f"{info}/WHEEL" not in entries or f"{info}/RECORD" not in entries:
        raise WheelError(f"{wheel} is not a wheel: it has no {info}/WHEEL and RECORD")
    del entries[f"{info}/RECORD"]
    old = entries[f"{info}/WHEEL"]
    assert isinstance(old, bytes)
    entries[f"{info}/WHEEL"] = _retagged(old.decode(), tag, build).encode()
    label: tuple[str, ...] = ()
    if variant is not None:
        label, entries[f"{info}/variant.json"] = (variant[0],), variant[1]
    number = () if build is None else (str(build),)
    target = folder / f"{'-'.join((name.distribution, name.written, *number, tag, *label))}.whl"
    return _write_archive(target, info, entries, modes, moment)


def restamp(wheel: Path, folder: Path, *, local: str | None, requires: Sequence[str]) -> Path:
    """The same wheel with a local version (`1.0` becomes `1.0+torch2.13.0`) and with more requirements.

    A requirement without a marker replaces those of the same name; names, METADATA and RECORD change, nothing
    else. Raises WheelError for a file that is no wheel or has a local version already.
    """
    given = open_wheel(wheel)
    name = given.name
    if local is not None and "+" in name.version:
        raise WheelError(f"{wheel.name} has a local version already, and is to get {local}")
    version = name.version if local is None else f"{name.version}+{local}"
    renamed = {
        name.dist_info: f"{name.distribution}-{version}.dist-info",
        name.data: f"{name.distribution}-{version}.data",
    }

    def new(path: str) -> str:
        folder, slash, rest = path.partition("/")
        return f"{renamed.get(folder, folder)}{slash}{rest}"

    unpacked, executables, moment = _unpacked(given, wheel)
    entries = {new(path): content for path, content in unpacked.items()}
    modes = {new(path): mode for path, mode in executables.items()}
    info = f"{name.distribution}-{version}.dist-info"
    metadata = entries.get(f"{info}/METADATA")
    if not isinstance(metadata, bytes) or f"{info}/RECORD" not in entries:
        raise WheelError(f"{wheel} is not a wheel: it has no METADATA and RECORD")
    del entries[f"{info}/RECORD"]
    entries[f"{info}/METADATA"] = _restamped(metadata.decode(), version, requires).encode()
    build = (name.build,) if name.build else ()
    target_file = folder / f"{'-'.join((name.distribution, version, *build, name.tag))}.whl"
    return _write_archive(target_file, info, entries, modes, moment)


def with_files(wheel: Path, folder: Path, files: Mapping[str, bytes], epoch: int) -> Path:
    """The same wheel, in `folder`, with more files in its .dist-info; what it has already stays as it is.

    All bear the time `epoch`, in seconds: not every tool that makes wheels leaves out the time of day.
    """
    given = open_wheel(wheel)
    info = given.name.dist_info
    entries, modes, _ = _unpacked(given, wheel)
    if entries.pop(f"{info}/RECORD", None) is None:
        raise WheelError(f"{wheel} is not a wheel: it has no {info}/RECORD")
    moment = time.gmtime(epoch)[:6]
    added: dict[str, Content] = {f"{info}/{name}": data for name, data in files.items()}
    return _write_archive(folder / wheel.name, info, {**added, **entries}, modes, moment)


def _restamped(text: str, version: str, requires: Sequence[str]) -> str:
    """METADATA with another version and more requirements."""
    replaced = {canonicalize_name(Requirement(one).name) for one in requires}
    head, gap, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = []
    for line in head.split("\n"):
        field, _, value = line.partition(":")
        if field.lower() == "version":
            line = f"Version: {version}"
        if field.lower() == "requires-dist" and ";" not in value:
            try:
                if canonicalize_name(Requirement(value.strip()).name) in replaced:
                    continue
            except InvalidRequirement:
                pass  # the audit tells of it
        lines.append(line)
    # At the end, a line break after the last header; a folded header stays in one piece.
    return "\n".join([*filter(None, lines), *(f"Requires-Dist: {one}" for one in requires)]) + (
        gap + body or "\n"
    )


def _validate(content: WheelContent) -> None:
    """Refuse to write metadata that an index or installer would refuse."""
    from packaging.metadata import ExceptionGroup, Metadata

    parse_name(content.file_name)
    try:
        found = Metadata.from_email(content.metadata, validate=True)
    except ExceptionGroup as group:
        raise WheelError(f"{content.file_name}: {'; '.join(map(str, group.exceptions))}") from group
    if found.name.replace("-", "_") != content.name or str(found.version) != content.version:
        raise WheelError(f"{content.file_name}: its metadata is of {found.name} {found.version}")


def _wheel_text(tag: str) -> str:
    pure = "true" if tag.endswith("-none-any") else "false"
    head = f"Wheel-Version: 1.0\nGenerator: wheelmill\nRoot-Is-Purelib: {pure}\n"
    return head + "".join(f"Tag: {simple}\n" for simple in expand_tag(tag))


def _retagged(text: str, tag: str, build: int | None) -> str:
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith(("Tag:", "Build:"))]
    numbered = [] if build is None else [f"Build: {build}"]
    return "\n".join([*kept, *(f"Tag: {simple}" for simple in expand_tag(tag)), *numbered]) + "\n"


def _unpacked(
    given: WheelFile, wheel: Path
) -> tuple[dict[str, Content], dict[str, int], tuple[int, int, int, int, int, int]]:
    """The files of a wheel, the modes of those that can be run, and the newest time among them."""
    members = [member for member in given.archive.members if not member.is_folder]
    entries: dict[str, Content] = {
        _safe(member.name, wheel): given.content(member.name, given.archive.allowance) for member in members
    }
    modes = {member.name: _EXECUTABLE for member in members if member.mode & 0o111}
    return entries, modes, max(member.date_time for member in members)


def _safe(name: str, wheel: Path) -> str:
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise WheelError(f"{wheel}: the name {name!r} leads out of the folder it is unzipped to")
    return name


def _write_archive(
    target: Path, info: str, entries: Mapping[str, Content], modes: Mapping[str, int], moment: tuple[int, ...]
) -> Path:
    """Write sorted entries, then RECORD; .dist-info comes last, as the wheel specification advises."""
    ordered = sorted(entries, key=lambda name: (name.startswith(f"{info}/"), name))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=target.parent, prefix=".wheel-")
    try:
        with os.fdopen(descriptor, "wb") as out, zipfile.ZipFile(out, "w") as archive:
            record = []
            for name in ordered:
                content = entries[name]
                data = content if isinstance(content, bytes) else content.read_bytes()
                _add(archive, name, data, modes.get(name, _REGULAR), moment)
                record.append((name, _record_hash(data), str(len(data))))
            record.append((f"{info}/RECORD", "", ""))
            _add(archive, f"{info}/RECORD", _csv(record), _REGULAR, moment)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(target)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return target


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int, moment: tuple[int, ...]) -> None:
    year, month, day, hour, minute, second = moment
    entry = zipfile.ZipInfo(name, (year, month, day, hour, minute, second))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = mode
    archive.writestr(entry, data, compresslevel=_LEVEL)


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _csv(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
