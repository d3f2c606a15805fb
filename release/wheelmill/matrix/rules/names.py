"""Rules about what goes with the lines: other adapter versions, names of CANN, chips, systems."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmill.errors import Finding
from wheelmill.matrix.rules.base import Subject, hit, readable
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import base_version, cann_key, glibc_key, is_canonical, minor

_RELEASE = re.compile(r"\d+\.\d+\.(rc)?\d+(\.\d+)*", re.ASCII)


@rule()
def other_version_form(subject: Subject) -> Iterator[Finding]:
    """Another adapter version is canonical, in no line, and has the CANN of the line it names"""
    lines = {row.branch: row for row in subject.matrix.document.lines}
    taken = {row.adapter: row for row in lines.values()}
    for other in subject.matrix.document.other_versions:
        if not is_canonical(other.adapter):
            message = f"adapter {other.adapter!r} is not as pip writes it"
            yield hit(other.at.of("adapter"), message, "write the version that pip writes")
        if other.adapter in taken:
            message = f"adapter {other.adapter} is that of {taken[other.adapter].branch}"
            yield hit(other.at.of("adapter"), message, "remove it here")
        if (other.cann is None) != (other.source is None) or not (other.cann or other.reason):
            message = f"adapter {other.adapter}: CANN {other.cann}, source {other.source}"
            hint = "name the document that gives its CANN; without one, write cann: null and reason:"
            yield hit(other.at.of("cann"), message, hint)
        if other.cann is None:
            continue
        if wrong := readable(cann_key, other.cann):
            yield hit(other.at.of("cann"), wrong, "write the number without the word CANN")
            continue
        line = lines.get(other.branch or "")
        if line is None:
            continue
        if base_version(other.adapter) != line.torch:
            message = f"adapter {other.adapter} cannot be of {line.branch}, which has torch {line.torch}"
            yield hit(other.at.of("branch"), message, "correct the branch, or leave it out")
        if line.cann != other.cann and not other.reason:
            message = f"adapter {other.adapter} has CANN {other.cann}, its branch {line.branch} {line.cann}"
            yield hit(other.at.of("cann"), message, "correct one of them, or add reason:")


@rule()
def cann_name_leads_to_a_line(subject: Subject) -> Iterator[Finding]:
    """A further name of CANN leads to the CANN of a line, and is not one itself"""
    known = {row.cann for row in subject.matrix.document.lines}
    for named in subject.matrix.document.cann_names:
        if wrong := readable(cann_key, named.name):
            yield hit(named.at.of("name"), wrong, "write the number without the word CANN")
        if named.name in known:
            yield hit(named.at.of("name"), f"CANN {named.name} is that of a line", "remove it here")
        if named.of not in known:
            yield hit(named.at.of("of"), f"no line has CANN {named.of}", "name the CANN of a line")


@rule()
def cann_family_has_lines(subject: Subject) -> Iterator[Finding]:
    """Each version of a family of CANNs is that of a line, and in no other family"""
    known = {minor(row.cann) for row in subject.matrix.document.lines if not readable(cann_key, row.cann)}
    seen: set[str] = set()
    for family in subject.matrix.document.cann_families:
        for version in family.versions:
            if version not in known:
                yield hit(family.at.of("versions"), f"no line has a CANN {version}", "write it as 8.5")
            if version in seen:
                yield hit(family.at.of("versions"), f"CANN {version} is in two families", "join the two")
            seen.add(version)


@rule()
def chips_and_systems(subject: Subject) -> Iterator[Finding]:
    """A name of a chip means one family; releases can be read, C libraries too, with a source or reason"""
    seen: dict[str, str] = {}
    for chip in subject.matrix.document.chips:
        for name in chip.names:
            other = seen.setdefault(name.lower(), chip.name)
            if other != chip.name:
                yield hit(chip.at.line, f"{name} is also {other}", "give each name to one family")
        if chip.since is not None and not _RELEASE.fullmatch(chip.since):
            message = f"{chip.name}: since {chip.since!r}"
            yield hit(chip.at.of("since"), message, "write a release such as 6.0.rc3")
    for system in subject.matrix.document.systems:
        if wrong := readable(glibc_key, system.glibc):
            yield hit(system.at.of("glibc"), f"{system.title}: {wrong}", "write 2.28")
        if (system.source is None) == (system.reason is None):
            message = f"{system.title}: source {system.source}, reason {system.reason}"
            hint = "name the document that gives its glibc; without one, write reason:"
            yield hit(system.at.of("glibc"), message, hint)
