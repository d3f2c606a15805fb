"""Rules about torch releases and their wheels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from wheelmill.errors import Finding
from wheelmill.matrix.forms import https_url, requirement
from wheelmill.matrix.model import Torch, TorchWheel
from wheelmill.matrix.rules.base import Subject, hit, out_of_order, readable
from wheelmill.matrix.rules.cells import ordered_pythons
from wheelmill.matrix.rules.frame import rule
from wheelmill.matrix.versions import version

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}")
_POLICY = re.compile(r"manylinux_2_[1-9][0-9]?")


@rule()
def torch_version(subject: Subject) -> Iterator[Finding]:
    """Torch versions are releases X.Y.Z, newest first"""
    torches = subject.matrix.document.torches
    for torch in torches:
        if not _RELEASE.fullmatch(torch.version):
            yield hit(
                torch.at.of("version"), f"torch {torch.version!r} is not a release", "write X.Y.Z, no +cpu"
            )
    clean = [torch for torch in torches if not readable(version, torch.version)]
    for above, below in out_of_order(clean, key=lambda torch: version(torch.version)):
        message = f"torch {below.version} stands below {above.version}"
        yield hit(below.at.of("version"), message, f"move it above torch {above.version}")


@rule()
def torch_facts(subject: Subject) -> Iterator[Finding]:
    """A torch names its Pythons, C++ standard, libstdc++ ABI and manylinux policy per arch"""
    for torch in subject.matrix.document.torches:
        at = torch.at
        if not torch.pythons or not ordered_pythons(torch.pythons):
            yield hit(
                at.of("pythons"),
                f"torch {torch.version}: pythons {list(torch.pythons)}",
                "list them ascending",
            )
        if torch.cxx_standard not in (11, 14, 17, 20, 23):
            yield hit(
                at.of("cxx_standard"), f"torch {torch.version}: C++{torch.cxx_standard}", "write 14, 17 or 20"
            )
        if set(torch.policies) != set(torch.cxx11_abi) or not torch.policies:
            message = f"torch {torch.version}: policies and cxx11_abi do not name the same architectures"
            yield hit(at.of("policies"), message, "give both for every arch that the torch has wheels for")
        for arch, policy in torch.policies.items():
            if not _POLICY.fullmatch(policy):
                message = f"torch {torch.version}: policy {policy!r} of {arch}"
                yield hit(at.of("policies"), message, "write it as manylinux_2_28")


@rule()
def served_torches(subject: Subject) -> Iterator[Finding]:
    """A torch serves later ones, ascending and without a gap in the matrix; what is proven is among them"""
    releases = [torch.version for torch in subject.matrix.document.torches]
    for torch in subject.matrix.document.torches:
        known = [one for one in (*torch.serves, *torch.proven) if not _RELEASE.fullmatch(one)]
        if known or not _RELEASE.fullmatch(torch.version):
            if known:
                message = f"torch {torch.version} serves {known[0]!r}, which is not a release"
                yield hit(torch.at.of("serves"), message, "write X.Y.Z, no +cpu")
            continue
        for field in ("serves", "proven"):
            named = [version(one) for one in getattr(torch, field)]
            if named != sorted(set(named)) or (named and named[0] <= version(torch.version)):
                message = f"torch {torch.version}: {field} {list(getattr(torch, field))}"
                yield hit(torch.at.of(field), message, f"write torches after {torch.version}, ascending")
        if unserved := [one for one in torch.proven if one not in torch.serves]:
            message = f"torch {torch.version} is proven with {unserved[0]}, which it does not serve"
            yield hit(torch.at.of("proven"), message, "add it to serves:")
        for other in _passed_over(torch, releases):
            message = f"torch {torch.version} serves torches before and after {other}, which is left out"
            yield hit(torch.at.of("serves"), message, f"add {other}, or serve none after it")


def _passed_over(torch: Torch, releases: list[str]) -> Iterator[str]:
    """Torches of the matrix between a torch and the last that it serves, which it does not."""
    if torch.serves:
        first, last = version(torch.version), max(map(version, torch.serves))
        for other in filter(_RELEASE.fullmatch, releases):
            if first < version(other) < last and other not in torch.serves:
                yield other


@rule()
def wheel_within_torch(subject: Subject) -> Iterator[Finding]:
    """A torch wheel is for a Python and arch of its torch, and stands there once"""
    for torch in subject.matrix.document.torches:
        seen: dict[tuple[str, str, str], TorchWheel] = {}
        for wheel in torch.wheels:
            name = f"torch {torch.version} {wheel.python}-{wheel.arch} ({wheel.build})"
            if wheel.python not in torch.pythons or wheel.arch not in torch.policies:
                yield hit(
                    wheel.at.line, f"{name} is not among its pythons and policies", "correct one of them"
                )
            other = seen.setdefault((wheel.python, wheel.arch, wheel.build), wheel)
            if other is not wheel:
                yield hit(wheel.at.line, f"{name} is already on line {other.at.line}", "keep one of the two")


@rule()
def sha256_form(subject: Subject) -> Iterator[Finding]:
    """A sha256 has 64 lower-case hexadecimal digits, and no two wheels share one"""
    seen: dict[str, TorchWheel] = {}
    for torch in subject.matrix.document.torches:
        for wheel in torch.wheels:
            line = wheel.at.of("sha256")
            if not _SHA256.fullmatch(wheel.sha256):
                message = f"torch {torch.version} {wheel.python}-{wheel.arch}: sha256 {wheel.sha256!r}"
                yield hit(line, message, "copy it from the package index: 64 hexadecimal digits")
            other = seen.setdefault(wheel.sha256, wheel)
            if other is not wheel:
                message = f"the sha256 is that of the wheel on line {other.at.line} too"
                yield hit(line, message, "copy each wheel's own from the package index")


@rule()
def plain_requirements(subject: Subject) -> Iterator[Finding]:
    """What a torch needs is named as PEP 508 has it: no address, no option, each once"""
    for torch in subject.matrix.document.torches:
        for one in torch.dependencies:
            if wrong := readable(requirement, one):
                message = f"torch {torch.version}: {wrong}"
                yield hit(torch.at.of("dependencies"), message, "write a name and versions: numpy<2")
        if len(set(torch.dependencies)) < len(torch.dependencies):
            message = f"torch {torch.version}: a dependency stands twice"
            yield hit(torch.at.of("dependencies"), message, "keep one of the two")


@rule()
def url_names_wheel(subject: Subject) -> Iterator[Finding]:
    """The file that a wheel's URL ends with is for its torch, build, Python and arch"""
    for torch in subject.matrix.document.torches:
        for wheel in torch.wheels:
            yield from _url_hits(torch, wheel)


def _url_hits(torch: Torch, wheel: TorchWheel) -> Iterator[Finding]:
    if wheel.url is None:
        if wheel.build == "cpu":
            yield hit(
                wheel.at.line, f"torch {torch.version}: a cpu build without url", "add url:, no index has it"
            )
        return
    line = wheel.at.of("url")
    if wrong := readable(https_url, wheel.url):
        yield hit(line, wrong, "write it as https://host/folder/FILE.whl; the hash stands in sha256:")
        return
    name = unquote(urlsplit(wheel.url).path).rpartition("/")[2]
    local = "+cpu" if wheel.build == "cpu" else ""
    tag = "cp" + wheel.python.replace(".", "")
    start = f"torch-{torch.version}{local}-{tag}-{tag}"
    if not name.startswith(f"{start}-") or not name.endswith(f"_{wheel.arch}.whl"):
        message = (
            f"{name} is not the {wheel.build} build of torch {torch.version} for {wheel.python}-{wheel.arch}"
        )
        yield hit(line, message, f"give the file {start}-..._{wheel.arch}.whl")
