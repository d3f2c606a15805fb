"""Rules about the documents: printed Python tables, release notes, operating systems, the file's schema."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from wheelmill.errors import Finding
from wheelmill.matrix.forms import https_url, requirement
from wheelmill.matrix.model import Hardware
from wheelmill.matrix.rules.base import Subject, hit, readable
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import arch_name, cann_name, is_canonical

SCHEMA = 1

# How a system's maker numbers its releases, where that is a rule.
_NUMBERING = {
    "Ubuntu": (re.compile(r"([1-9]\d)\.(04|10)(\.\d)?"), "YY.04 or YY.10"),
    "OpenEuler": (re.compile(r"2\d\.(03|09)( LTS)?(-SP\d)?"), "YY.03 or YY.09"),
    "Debian": (re.compile(r"[1-9]\d?(\.\d\d?)?"), "N or N.M"),
    "CentOS": (re.compile(r"[5-8]\.\d\d?"), "N.M"),
}


@rule()
def schema_version(subject: Subject) -> Iterator[Finding]:
    """The file has the schema that this program reads; what it says of builds of torch can be read"""
    document = subject.matrix.document
    if document.schema != SCHEMA:
        yield hit(
            document.at.of("schema"), f"schema {document.schema}", f"this program reads schema {SCHEMA}"
        )
    if wrong := readable(https_url, document.torch_cpu_index):
        message = f"torch_cpu_index {wrong}"
        yield hit(document.at.of("torch_cpu_index"), message, "write it as https://host/folder")
    for arch, torch in document.torch_with_cuda.items():
        if not is_canonical(torch) or readable(arch_name, arch):
            at = document.at.of("torch_with_cuda")
            yield hit(at, f"torch_with_cuda {arch}: {torch}", "write it as aarch64: 2.11.0")
    for cann, path in document.cann_set_env.items():
        if readable(cann_name, cann) or not path.startswith("/"):
            at = document.at.of("cann_set_env")
            yield hit(
                at, f"cann_set_env {cann}: {path}", "write it as 8.5.0: /usr/local/Ascend/cann/set_env.sh"
            )


@rule()
def toolkit_installation(subject: Subject) -> Iterator[Finding]:
    """What an installation of the SDK needs stands under versions, as requirements and names of files"""
    document = subject.matrix.document
    for name, table in (
        ("cann_python", document.cann_python),
        ("cann_installers", document.cann_installers),
    ):
        for cann, words in table.items():
            at = document.at.of(name)
            if readable(cann_name, cann):
                yield hit(at, f"{name} {cann}: no version", "write the first version that it holds for")
            reads = requirement if name == "cann_python" else _installer
            for wrong in filter(None, (readable(reads, word) for word in words)):
                yield hit(at, f"{name} {cann}: {wrong}", "copy it from the installation guide")


def _installer(text: str) -> str:
    """The name of an installer's file, with fields for version and architecture."""
    if not re.fullmatch(r"[\w.-]+_\{cann\}_linux-\{arch\}\.run", text, re.ASCII):
        raise ValueError(f"{text!r} is no name such as NAME_{{cann}}_linux-{{arch}}.run")
    return text


@rule()
def printed_pythons(subject: Subject) -> Iterator[Finding]:
    """A Python table's row says what its printed words say"""
    for row in subject.matrix.document.python_support:
        words = tuple(re.findall(r"3\.\d+(?=[,.x( ]|$)", re.sub(r"\(.*?\)", "", row.published)))
        if words != row.pythons:
            message = f"torch {row.torch}: printed {', '.join(words)}; pythons {', '.join(row.pythons)}"
            yield hit(row.at.of("pythons"), message, "copy what the words say")
        for python, floor in row.floors.items():
            if python not in row.pythons or floor not in row.published:
                message = f"torch {row.torch}: floor {floor} of Python {python} is not in the printed words"
                yield hit(row.at.of("floors"), message, "copy what the words say")


@rule()
def python_table_fits_wheels(subject: Subject) -> Iterator[Finding]:
    """A printed Python table promises exactly what the wheels of its rows have"""
    tables = {(row.source, row.torch): row for row in subject.matrix.document.python_support}
    for line in subject.lines:
        table = tables.get((line.row.source or "", line.torch))
        if table is None or table.pythons == line.row.pythons:
            continue
        less = [python for python in table.pythons if python not in line.row.pythons]
        more = [python for python in line.row.pythons if python not in table.pythons]
        parts = [f"promises {', '.join(less)} without a wheel"] if less else []
        parts += [f"leaves out {', '.join(more)}"] if more else []
        message = (
            f"{line.branch}: published: the {table.source} table for torch {line.torch} {' and '.join(parts)}"
        )
        hint = f"nothing to do, held true: the wheels' own {', '.join(line.row.pythons)}"
        yield hit(table.at.of("published"), message, hint, note=True)


@rule()
def notes_cover_lines(subject: Subject) -> Iterator[Finding]:
    """A release note names the torch of every row of its series"""
    torches = defaultdict(set)
    for line in subject.lines:
        torches[line.row.series].add(line.torch)
    for note in subject.matrix.document.release_notes:
        missing = sorted(torches[note.series] - set(note.torches))
        if missing:
            message = f"release note {note.version} lacks torch {', '.join(missing)} of series {note.series}"
            yield hit(note.at.of("torches"), message, "add it, or correct the series of those rows")


@rule()
def system_version(subject: Subject) -> Iterator[Finding]:
    """Versions of operating systems are such as their makers give"""
    for note in subject.matrix.document.release_notes:
        for name, versions in note.new_systems.items():
            for wrong in _implausible(name, versions):
                yield hit(note.at.of("new_systems"), f"{note.version}: {wrong}", "correct the version")
        for hardware in note.hardware:
            yield from _system_hits(note.version, hardware)


@rule()
def printed_systems(subject: Subject) -> Iterator[Finding]:
    """A server's systems are those that were printed, or say why not"""
    for note in subject.matrix.document.release_notes:
        for hardware in note.hardware:
            printed = _printed_systems(hardware.published)
            if printed != dict(hardware.systems) and not hardware.reason:
                message = f"{note.version}: {hardware.model}: systems differ from the printed words"
                yield hit(hardware.at.of("systems"), message, "copy what the words say, or add reason:")
            if printed == dict(hardware.systems) and hardware.reason:
                message = f"{note.version}: {hardware.model}: a reason, yet nothing differs"
                yield hit(hardware.at.of("reason"), message, "remove reason:")


def _system_hits(note: str, hardware: Hardware) -> Iterator[Finding]:
    held = [wrong for name, versions in hardware.systems.items() for wrong in _implausible(name, versions)]
    for wrong in held:
        yield hit(hardware.at.of("systems"), f"{note}: {hardware.model}: {wrong}", "correct the version")
    for name, versions in _printed_systems(hardware.published).items():
        for wrong in _implausible(name, versions):
            if wrong not in held:
                hint = f"nothing to do, held true: {name} {', '.join(hardware.systems.get(name, ()))} "
                message = f"{note}: {hardware.model}: published: {wrong}"
                yield hit(hardware.at.of("published"), message, hint + f"({hardware.reason})", note=True)


def _implausible(name: str, versions: tuple[str, ...]) -> list[str]:
    form, words = _NUMBERING.get(name, (re.compile(r"\S.*"), "text"))
    return [
        f"{name} {one} is not a release of {name} ({words})" for one in versions if not form.fullmatch(one)
    ]


def _printed_systems(text: str) -> dict[str, tuple[str, ...]]:
    """`Ubuntu 18.04, 20.04/Debian 9.9/Debian 10` as name -> versions."""
    systems: dict[str, tuple[str, ...]] = {}
    for part in text.split("/"):
        name, _, versions = part.strip().partition(" ")
        systems[name] = (*systems.get(name, ()), *(version.strip() for version in versions.split(",")))
    return systems
