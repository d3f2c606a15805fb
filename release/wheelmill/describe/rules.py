"""What a project file must keep beyond its form: one named rule each, as for the matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelmill.describe.cells import cells, count
from wheelmill.describe.model import MAX_CELLS, ProjectFile
from wheelmill.errors import Finding
from wheelmill.matrix.decode import nearest
from wheelmill.matrix.model import Row
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import arch_name, python_name

SCHEMA = 1
_AXIS = re.compile(r"[a-z][a-z0-9_]{0,30}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,60}")
_FIELD = re.compile(r"\{([^{}]*)\}")
_POLICY = re.compile(r"(many|musl)linux_\d+_\d+|manylinux(1|2010|2014)")


@dataclass(frozen=True)
class Given:
    """A decoded file: where it lies, which torches can be built against, and the lines of its matrix."""

    file: Path
    project: ProjectFile
    matrix_file: Path
    torches: Mapping[str, tuple[str, ...]]  # version -> arches

    def error(self, row: Row, field: str, message: str, hint: str) -> Finding:
        """A finding at a field of a row."""
        file = self.matrix_file if row in self.project.lines else self.file
        return Finding("", "error", str(file), message, hint, row.at.of(field))


@rule()
def schema_known(given: Given) -> Iterator[Finding]:
    """The file is of the form that this program reads."""
    if given.project.schema != SCHEMA:
        found = f"schema is {given.project.schema}, this wheelmill reads {SCHEMA}"
        yield given.error(given.project, "schema", found, f"write schema = {SCHEMA}, or update wheelmill")


@rule()
def package_name(given: Given) -> Iterator[Finding]:
    """The package has a name that an index takes."""
    name = given.project.package
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        yield given.error(given.project, "package", f"{name!r} is no name of a package", "letters, digits, -")


@rule()
def version_written(given: Given) -> Iterator[Finding]:
    """The version, where the file gives one, is one, without a local part."""
    said = given.project.version
    if said is None:
        return
    try:
        good = str(Version(said)) == said and "+" not in said
    except ValueError:
        good = False
    if not good:
        hint = 'as in version = "1.0"; its local part stands under [wheel]'
        yield given.error(given.project, "version", f"{said!r} is no version to release", hint)


@rule()
def axes_known(given: Given) -> Iterator[Finding]:
    """Axes are named once, python and arch are among them, and every line gives values of all."""
    project = given.project
    for axis in project.axes:
        if not _AXIS.fullmatch(axis) or project.axes.count(axis) > 1 or axis == "line":
            hint = "name each axis once, in small letters, such as torch, cann, soc"
            yield given.error(project, "axes", f"{axis!r} cannot be an axis, or is named twice", hint)
    for axis in ("python", "arch"):
        if axis not in project.axes:
            yield given.error(project, "axes", f"the axes lack {axis!r}", f'add "{axis}" to axes')
    for line in project.lines:
        for axis in line.cells:
            if axis not in project.axes:
                found = f"line {line.name!r} has the axis {axis!r}, which the project has not"
                yield given.error(line, "cells", found, nearest(axis, project.axes))
        for axis in project.axes:
            if not line.cells.get(axis):
                found = f"line {line.name!r} has no value of the axis {axis!r}"
                yield given.error(line, "cells", found, f'add {axis} = ["..."] to its cells')
        for left in line.out:
            for axis in left:
                if axis not in project.axes:
                    found = f"`out` of line {line.name!r} names the axis {axis!r}"
                    yield given.error(line, "out", found, nearest(axis, project.axes))


@rule()
def axis_values(given: Given) -> Iterator[Finding]:
    """Values are plain words, Pythons are Pythons, architectures have wheels."""
    for line in given.project.lines:
        for axis, values in line.cells.items():
            for value in values:
                fault = _value_fault(axis, value)
                if fault or values.count(value) > 1:
                    found = f"line {line.name!r}: {axis} {value!r} {fault or 'is given twice'}"
                    yield given.error(line, "cells", found, "write each value once, such as 3.11 or x86_64")


def _value_fault(axis: str, value: str) -> str | None:
    if not _VALUE.fullmatch(value):
        return "is not a plain word"
    reader = {"python": python_name, "arch": arch_name}.get(axis)
    try:
        return None if reader is None or reader(value) == value else "is not written so"
    except ValueError as error:
        return f"cannot be: {error}"


@rule()
def matrix_size(given: Given) -> Iterator[Finding]:
    """The lines together have no more cells than anybody builds."""
    total = sum(map(count, given.project.lines))
    if total > MAX_CELLS:
        largest = max(given.project.lines, key=count)
        found = f"the matrix has {total:,} cells, {count(largest):,} of them on line {largest.name!r}"
        yield given.error(largest, "cells", found, f"{MAX_CELLS:,} are the most; give fewer values")


@rule()
def lines_named(given: Given) -> Iterator[Finding]:
    """There are lines, each with a name of its own, each with a cell."""
    project = given.project
    if not project.lines and project.build.how != "bundle":
        yield given.error(project, "lines", "there is no line", "add [[lines]] with name and cells")
    names = [line.name for line in project.lines]
    for line in project.lines:
        if not _VALUE.fullmatch(line.name) or names.count(line.name) > 1:
            found = f"{line.name!r} cannot be the name of a line, or is given twice"
            yield given.error(line, "name", found, "name each line once, by a plain word such as main")


@rule()
def cells_left(given: Given) -> Iterator[Finding]:
    """Of every line some cell is left, and what it leaves out is there."""
    if any(True for one in (axes_known, matrix_size) for _ in one(given)):
        return
    kept = {cell.line for cell in cells(given.project)}
    for line in given.project.lines:
        if line.name not in kept:
            yield given.error(
                line, "out", f"line {line.name!r} leaves out all of its cells", "remove an `out`"
            )
        for left in line.out:
            for axis, value in left.items():
                if value not in line.cells.get(axis, ()):
                    found = f"line {line.name!r} leaves out {axis} {value!r}, which it does not have"
                    yield given.error(line, "out", found, nearest(value, line.cells.get(axis, ())))


@rule()
def sdks_known(given: Given) -> Iterator[Finding]:
    """Every SDK has an axis with its version, and needs SDKs that are there, not itself in the end."""
    sdks = given.project.sdks
    for name, sdk in sdks.items():
        axis = sdk.axis or name
        if axis not in given.project.axes:
            found = f"the SDK {name!r} takes its version from the axis {axis!r}, which the project has not"
            yield given.error(sdk, "axis", found, nearest(axis, given.project.axes))
        for needed in sdk.needs:
            if needed not in sdks:
                found = f"the SDK {name!r} needs {needed!r}, which is not described"
                yield given.error(sdk, "needs", found, nearest(needed, sdks))
    cycle = _cycle({name: sdk.needs for name, sdk in sdks.items()})
    if cycle:
        found = f"SDKs need each other in a circle: {' -> '.join(cycle)}"
        yield given.error(sdks[cycle[0]], "needs", found, "remove one `needs`: it is what comes first")


def _cycle(needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A way from a name back to itself; empty without any."""
    done: set[str] = set()
    for start in needs:
        path = [start]
        stack = [iter(needs[start])]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                done.add(path.pop())
            elif following in path:
                return (*path[path.index(following) :], following)
            elif following in needs and following not in done:
                path.append(following)
                stack.append(iter(needs[following]))
    return ()


@rule()
def torch_known(given: Given) -> Iterator[Finding]:
    """The SDK torch is of a version whose wheels are known by their hashes."""
    sdk = given.project.sdks.get("torch")
    axis = "" if sdk is None else sdk.axis or "torch"
    for line in given.project.lines:
        for version in line.cells.get(axis, ()):
            if version not in given.torches:
                found = f"line {line.name!r}: no wheel of torch {version} is known"
                yield given.error(line, "cells", found, nearest(version, given.torches))


@rule()
def paths_inside(given: Given) -> Iterator[Finding]:
    """Folders and files of the project lie in it: nothing is taken from elsewhere, or written there."""
    project, build = given.project, given.project.build
    named: list[tuple[Row, str, str]] = [(project, "source", project.source), (build, "output", build.output)]
    if project.smoke is not None:
        named.append((project.smoke, "program", project.smoke.program))
    if project.matrix is not None:
        named.append((project, "matrix", project.matrix))
    named += [(build, "without", path) for path in build.without]
    for row, field, path in named:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or not path:
            found = f"{field} is {path!r}, which leads out of the project"
            yield given.error(row, field, found, "give a path below the folder of this file")
        elif field in ("source", "program"):
            yield from _found(given, row, field, path)
        elif field == "without" and not (given.file.parent / project.source / path).exists():
            hint = "correct the path, from the folder of the sources"
            yield given.error(row, field, f"without names {path!r}, which is not there", hint)


def _found(given: Given, row: Row, field: str, path: str) -> Iterator[Finding]:
    """Whether a folder or file is there, and is one."""
    place, kind = given.file.parent / path, "folder" if field == "source" else "file"
    if not place.exists():
        hint = f"correct the path, or make the {kind}"
        yield given.error(row, field, f"{field} is {path!r}, which is not there", hint)
    elif not (place.is_dir() if kind == "folder" else place.is_file()):
        yield given.error(row, field, f"{field} is {path!r}, which is no {kind}", f"name a {kind}")


@rule()
def build_fits(given: Given) -> Iterator[Finding]:
    """A command is there exactly where the wheel is made by one, and shared axes are axes."""
    project, build = given.project, given.project.build
    if (build.how == "command") != bool(build.command):
        found = f"how is {build.how!r}, and there is {'a' if build.command else 'no'} command"
        yield given.error(build, "how", found, 'write how = "command" and command = ["bash", "build.sh"]')
    for axis in build.shared:
        if axis not in project.axes:
            found = f"the axis {axis!r} cannot be shared"
            hint = nearest(axis, project.axes)
            yield given.error(build, "shared", found, hint)
    if build.how == "bundle" and project.matrix is None:
        yield given.error(build, "how", "a bundle needs a matrix", 'write matrix = "matrix/compat.yaml"')


@rule()
def fields_known(given: Given) -> Iterator[Finding]:
    """Words in braces are axes."""
    project = given.project
    known = (*project.axes, "line")
    texts: list[tuple[Row, str, str]] = [(project.build, "command", word) for word in project.build.command]
    texts += [(project.build, "environment", value) for value in project.build.environment.values()]
    texts += [(project.build, "requires", text) for text in project.build.requires]
    texts += [(project.wheel, "requires", text) for text in project.wheel.requires]
    texts += [(project.wheel, "local", project.wheel.local or "")]
    if project.smoke is not None:
        texts += [(project.smoke, "requires", text) for text in project.smoke.requires]
        texts += [(project.smoke, "runner", text) for text in project.smoke.runner]
    for row, field, text in texts:
        for name in _FIELD.findall(text):
            if name not in known:
                yield given.error(row, field, f"{{{name}}} in {field} is no axis", nearest(name, known))


@rule()
def requirements_read(given: Given) -> Iterator[Finding]:
    """Requirements are such that pip reads them, and the local version is one."""
    project = given.project
    rows: list[tuple[Row, str, tuple[str, ...]]] = [
        (project.build, "requires", project.build.requires),
        (project.wheel, "requires", project.wheel.requires),
    ]
    if project.smoke is not None:
        rows.append((project.smoke, "requires", project.smoke.requires))
    for row, field, texts in rows:
        for text in texts:
            try:
                Requirement(_FIELD.sub("1", text))
            except InvalidRequirement as error:
                reason = str(error).splitlines()[0]
                yield given.error(row, field, f"{text!r} is no requirement: {reason}", "as in numpy>=1.26")
    local = _FIELD.sub("1", project.wheel.local or "a")
    if not re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", local):
        found = f"local is {project.wheel.local!r}, which is no local version"
        yield given.error(project.wheel, "local", found, "small letters, digits and dots: torch{torch}")
    if project.audit.policy is not None and not _POLICY.fullmatch(project.audit.policy):
        found = f"policy is {project.audit.policy!r}"
        yield given.error(project.audit, "policy", found, "such as manylinux_2_28, without an architecture")


@rule()
def wheels_apart(given: Given) -> Iterator[Finding]:
    """No two cells give wheels of one name: what their names do not tell apart, the local version does."""
    project = given.project
    if project.build.how == "bundle":
        return
    told = {"python", "arch", *_FIELD.findall(project.wheel.local or ""), *project.build.shared}
    for axis in project.axes:
        several = {value for line in project.lines for value in line.cells.get(axis, ())}
        if axis not in told and len(several) > 1:
            found = f"wheels for {len(several)} values of {axis!r} would all have one file name"
            hint = f'under [wheel] write local = "{axis.replace("_", "")}{{{axis}}}"'
            yield given.error(project.wheel, "local", found, hint)


def distribution(name: str, project: ProjectFile) -> NormalizedName:
    """The distribution of an SDK, in its normal form."""
    return canonicalize_name(project.sdks[name].package or name)
