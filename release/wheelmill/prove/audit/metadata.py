"""Rules about METADATA, WHEEL and the row stamp."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import ExceptionGroup, RawMetadata
from packaging.metadata import Metadata as Validated
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmill.errors import Finding
from wheelmill.limits import parse_json
from wheelmill.make.sbom import SUFFIX as CYCLONEDX
from wheelmill.make.sbom import faults as sbom_faults
from wheelmill.make.sbom import sbom_path
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import specifiers
from wheelmill.prove.audit.rules import Case, error, note, required, some
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import RECIPE, SBOMS
from wheelmill.wheel.metadata import parse_metadata, parse_wheel
from wheelmill.wheel.name import count_tags, tag_python

# In all SBOMs of a wheel: a list is compared item with item, so that ten times as many take a hundred times.
MAX_OBJECTS = 5000
_PYTHON_CLASSIFIER = "Programming Language :: Python :: "


def _metadata(case: Case) -> RawMetadata:
    """METADATA as read leniently; empty when there is none, or none that can be read."""
    raw = case.wheel.text("METADATA")
    try:
        return {} if raw is None else parse_metadata(raw).fields
    except WheelError:  # metadata-valid tells of it
        return {}


@rule()
def dist_info(case: Case) -> Iterator[Finding]:
    """There is one .dist-info directory, named like the wheel, with METADATA and WHEEL."""
    found = {entry.name.split("/")[0] for entry in case.wheel.entries}
    homes = {name for name in found if name.endswith(".dist-info")}
    if homes != {case.wheel.dist_info}:
        listed = ", ".join(sorted(homes)) or "none"
        yield error("", f"has the directories {listed}; its name asks for {case.wheel.dist_info}")
    for name in ("METADATA", "WHEEL"):
        if f"{case.wheel.dist_info}/{name}" not in case.wheel.names:
            yield error(f"{case.wheel.dist_info}/{name}", "is missing")


@rule()
def metadata_valid(case: Case) -> Iterator[Finding]:
    """METADATA is valid by the core metadata specification."""
    raw = case.wheel.text("METADATA")
    if raw is None:
        return
    try:
        metadata = parse_metadata(raw)
    except WheelError as unread:
        yield error(_file(case), unread.message)
        return
    for field in sorted(metadata.unparsed):
        yield error(_file(case), f"the field {field} is unknown, repeated, or cannot be read")
    try:
        Validated.from_raw(metadata.fields, validate=True)
    except ExceptionGroup as group:
        for fault in group.exceptions:
            # setuptools wrote License-File for years before a version of the metadata had it.
            early = str(fault).startswith("license-file introduced")
            yield (required(case) if early else error)(_file(case), str(fault))


@rule()
def name_and_version(case: Case) -> Iterator[Finding]:
    """Name and Version are those of the file name and of the matrix row; the version is canonical PEP 440."""
    if _unread(case):
        return
    metadata = _metadata(case)
    name, version = metadata.get("name", ""), metadata.get("version", "")
    if canonicalize_name(name) != case.wheel.name.project:
        yield error(_file(case), f"Name is {name or 'not set'}, the file name says {case.wheel.name.project}")
    try:
        canonical = str(Version(version))
    except ValueError:
        yield error(_file(case), f"Version is {version!r}, which is not a PEP 440 version")
        return
    written = case.wheel.name.written
    for where, text in ((_file(case), version), ("", written)):
        if text != canonical and (case.expected.house or not where):
            yield error(where, f"the version {text} is not in its canonical form {canonical}")
    if canonical != case.wheel.name.version:
        yield error(_file(case), f"Version is {version}, the file name says {case.wheel.name.version}")
    for what, found, wanted in (
        ("project", case.wheel.name.project, case.expected.project),
        ("version", case.wheel.name.version, case.expected.version),
    ):
        if wanted is not None and found != wanted:
            yield error("", f"the {what} is {found}, the matrix row says {wanted}")


@rule()
def requires_python(case: Case) -> Iterator[Finding]:
    """Requires-Python is set and admits the Python of the tag."""
    if _unread(case):
        return
    text = _metadata(case).get("requires_python")
    if not text:
        yield required(case)(
            _file(case),
            "Requires-Python is not set",
            "Without it pip takes this version for every Python and fails late, or takes the wrong file.",
        )
        return
    try:
        admitted = specifiers(text)
    except ValueError:
        yield error(_file(case), f"Requires-Python is {text!r}, which is not a version specifier")
        return
    for python in sorted(_tagged(case).union(case.expected.pythons or ()), key=Version):
        if not admitted.contains(python):
            yield error(_file(case), f"Requires-Python is {text}, which leaves out {python}")


def _tagged(case: Case) -> set[str]:
    """The minor versions that the tag names; none for a py3 wheel."""
    tagged = {tag_python(tag.interpreter, tag.abi) for tag in case.wheel.name.tags}
    return {python for python in tagged if python}


@rule()
def python_tag(case: Case) -> Iterator[Finding]:
    """The Python tag is the one asked for."""
    wanted = case.expected.python
    if wanted is not None and _tagged(case) != {wanted}:
        yield error("", f"tagged {some(map(str, case.wheel.name.tags))}, it is to be for Python {wanted}")


@rule()
def torch_pin(case: Case) -> Iterator[Finding]:
    """torch is required exactly as the line has it, without a local version, marker or wildcard.

    That is torch==X.Y.Z, or a range of the torches with which the build is proven.
    """
    if not case.expected.asks("torch-pin"):
        return
    pins = [r for r in _requirements(case) if canonicalize_name(r.name) == "torch"]
    if not pins and case.expected.torch is None:
        return
    if len(pins) != 1:
        yield error(_file(case), f"has {len(pins)} Requires-Dist for torch instead of one")
        return
    specifiers = list(pins[0].specifier)
    wanted = case.expected.torch
    as_wanted = wanted is not None and pins[0].specifier == SpecifierSet(wanted)
    one = [s.operator for s in specifiers] == ["=="] and not specifiers[0].version.endswith(".*")
    hint = f"Write torch{wanted or '==X.Y.Z'}: the native files are proven with no other torch."
    if not (one or as_wanted) or pins[0].marker or pins[0].extras or pins[0].url:
        yield error(_file(case), f"Requires-Dist: {pins[0]} does not pin one torch", hint)
    elif any("+" in s.version for s in specifiers):
        yield error(
            _file(case), f"Requires-Dist: {pins[0]} pins a local version, which PyPI does not have", hint
        )
    elif wanted is not None and not as_wanted:
        yield error(_file(case), f"Requires-Dist: {pins[0]}, the line has torch{wanted}", hint)


@rule()
def library_brought(case: Case) -> Iterator[Finding]:
    """A needed library of another project comes with a project that Requires-Dist names."""
    if _unread(case):
        return
    # What an extra asks for is not there for everybody.
    always = {canonicalize_name(r.name) for r in _requirements(case) if "extra" not in str(r.marker)}
    inside = {PurePosixPath(native.name).name for native in case.wheel.loaded}
    for native in case.wheel.loaded:
        for name in native.needed:
            listed = (one.projects for one in case.expected.allowed if fnmatchcase(name, one.pattern))
            projects = next(listed, ())
            if not projects or always.intersection(projects) or name in inside:
                continue
            # One of the others may ask for it: that is in their metadata, not here.
            yield (note if always else error)(
                native.name,
                f"needs {name}, which {projects[0]} brings, and no Requires-Dist names {projects[0]}",
                f"Add Requires-Dist: {projects[0]}, with the versions that the file was built for.",
                library=name,
                project=projects[0],
            )


@rule()
def library_by_hand(case: Case) -> Iterator[Finding]:
    """What brings a needed library, and no Requires-Dist can name, is told."""
    inside = {PurePosixPath(native.name).name for native in case.wheel.loaded}
    for native in case.wheel.loaded:
        needed: dict[str, list[str]] = defaultdict(list)
        for name in native.needed:
            listed = (one.by_hand for one in case.expected.allowed if fnmatchcase(name, one.pattern))
            if name not in inside and (brings := next(listed, "")):
                needed[brings].append(name)
        for brings, names in needed.items():
            yield note(
                native.name,
                f"needs {some(names)}, which {brings} brings and no Requires-Dist can name",
                f"Say in the description which {brings} it was built for.",
                libraries=names,
            )


def _requirements(case: Case) -> Iterator[Requirement]:
    for text in _metadata(case).get("requires_dist", []):
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue  # metadata-valid tells of it


@rule()
def license_expression(case: Case) -> Iterator[Finding]:
    """The license is an SPDX expression in its canonical form, with the license's text in the wheel."""
    if _unread(case):
        return
    metadata = _metadata(case)
    text = metadata.get("license_expression")
    told = required(case, "license-expression")
    if not text:
        hint = "Name the SPDX identifier, as in BSD-3-Clause."
        yield told(_file(case), "License-Expression is not set", hint)
        return
    try:
        canonical = canonicalize_license_expression(text)
    except InvalidLicenseExpression as fault:
        yield error(_file(case), f"License-Expression: {fault}")
        return
    if canonical != text:
        yield told(_file(case), f"License-Expression is {text}, its SPDX form is {canonical}")
    files = metadata.get("license_files", [])
    if not files:
        hint = "Put LICENSE into the .dist-info's licenses directory."
        yield told(_file(case), "no License-File is named", hint)
    for name in files:
        if f"{case.wheel.dist_info}/licenses/{name}" not in case.wheel.names:
            yield error(f"{case.wheel.dist_info}/licenses/{name}", "is named as License-File and missing")


@rule()
def sbom(case: Case) -> Iterator[Finding]:
    """A wheel that was made here has its SBOM, and every CycloneDX document in a wheel is a valid one."""
    name = case.wheel.name
    wanted = sbom_path(name.dist_info.partition("-")[0], name.version)
    if f"{name.dist_info}/{RECIPE}" in case.wheel.names and wanted not in case.wheel.names:
        yield error(wanted, "is missing", "A wheel with a recipe says what is in it; build it again.")
    objects = 0
    for path, document in case.wheel.texts.items():
        if path.startswith(f"{name.dist_info}/{SBOMS}/") and path.endswith(CYCLONEDX):
            objects += document.count(b"{") + document.count(b"[")
            if objects > MAX_OBJECTS:
                yield required(case)(
                    path, f"is not held to its schema: no more than {MAX_OBJECTS} objects are"
                )
                return
            fault = sbom_faults(document)
            if fault is not None:
                yield required(case)(path, f"is not valid CycloneDX: {fault}", "Build the wheel again.")


@rule()
def classifiers(case: Case) -> Iterator[Finding]:
    """The classifiers name the tag's Python and none that the version has no wheel for, and no license."""
    listed = _metadata(case).get("classifiers", [])
    named = {c.removeprefix(_PYTHON_CLASSIFIER) for c in listed if c.startswith(f"{_PYTHON_CLASSIFIER}3.")}
    for python in sorted(_tagged(case) - named if case.expected.asks("classifiers") else (), key=Version):
        yield error(_file(case), f"the classifiers leave out Python {python}, which the tag is for")
    if case.expected.pythons is not None:
        for python in sorted(named.difference(case.expected.pythons), key=Version):
            yield error(_file(case), f"the classifiers name Python {python}, which it has no wheel for")
    if any(c.startswith("License :: ") for c in listed) and _metadata(case).get("license_expression"):
        yield error(_file(case), "has both License-Expression and a License classifier, which indexes refuse")


@rule()
def wheel_tags(case: Case) -> Iterator[Finding]:
    """The Tag lines of WHEEL are the file name's, and Root-Is-Purelib fits the contents."""
    raw = case.wheel.text("WHEEL")
    if raw is None:
        return
    file = f"{case.wheel.dist_info}/WHEEL"
    try:
        wheel = parse_wheel(raw)
    except WheelError as fault:
        yield error(file, fault.message)
        return
    written: set[Tag] = set()
    for line in map(str, wheel.get_all("Tag", [])):
        if line.count("-") == 2 and line.isascii() and all(line.split("-")):
            try:
                count_tags(line)
                written |= parse_tag(line)
            except (WheelError, ValueError) as fault:
                reason = fault.message if isinstance(fault, WheelError) else fault
                yield error(file, f"has a Tag line that cannot be read: {reason}")
        else:
            yield error(file, f"has a Tag line {line!r}, which is not a tag such as py3-none-any")
    for tag in sorted(map(str, case.wheel.name.tags - written)):
        yield error(
            file,
            f"has no Tag line for {tag}, which is in the file name",
            "Retag file name and WHEEL together.",
        )
    for tag in sorted(map(str, written - case.wheel.name.tags)):
        yield error(
            file,
            f"has a Tag line {tag}, which is not in the file name",
            "Retag file name and WHEEL together.",
        )
    build = str(wheel.get("Build", ""))
    if build != case.wheel.name.build:
        named = case.wheel.name.build or "none"
        yield error(file, f"Build is {build or 'not set'}, the build tag of the file name is {named}")
    if not (version := str(wheel.get("Wheel-Version", ""))).startswith("1."):
        yield error(file, f"Wheel-Version is {version or 'not set'}; installers take 1.x")
    root = any(not n.name.startswith(f"{case.wheel.name.data}/") for n in case.wheel.loaded)
    if root and str(wheel.get("Root-Is-Purelib", "")).lower() != "false":
        yield error(file, "Root-Is-Purelib is not false, though the wheel holds native files")


@rule()
def row_stamp(case: Case) -> Iterator[Finding]:
    """The stamped matrix row is the row that was asked for."""
    if case.expected.row is None:
        return
    file = "torch_npu/_row.json"
    raw = case.wheel.texts.get(file)
    if raw is None:
        yield error(file, "is missing", "The adapter reads it to tell a user whose CANN does not match.")
        return
    try:
        stamped = parse_json(raw)
    except ValueError as fault:
        yield error(file, f"is not JSON: {fault}")
        return
    if not isinstance(stamped, dict):
        yield error(file, f"is a {type(stamped).__name__} instead of an object")
        return
    for key, wanted in case.expected.row.items():
        if stamped.get(key) != wanted:
            yield error(file, f"{key} is {stamped.get(key)!r}, the matrix row says {wanted!r}")
    if not stamped.get("recipe"):
        yield note(file, "names no recipe: what built this wheel cannot be looked up")


def _unread(case: Case) -> bool:
    """Whether METADATA cannot be read; that is told once, by dist-info, zip-framing or metadata-valid."""
    return not _metadata(case)


def _file(case: Case) -> str:
    return f"{case.wheel.dist_info}/METADATA"
