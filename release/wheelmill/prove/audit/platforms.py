"""Platform policies as auditwheel has them: which one a wheel meets, and which one allows a symbol version.

There are those of glibc (manylinux) and those of musl (musllinux); a wheel is held to the ones of its tag.
auditwheel tells the policy of a wheel but not what keeps it from an older one; its policy tables, read here,
do. The search for libraries never leaves the wheel, so an audit says the same on every machine.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from auditwheel.architecture import Architecture  # type: ignore[import-untyped]
from auditwheel.error import AuditwheelError  # type: ignore[import-untyped]
from auditwheel.libc import Libc  # type: ignore[import-untyped]
from auditwheel.policy import Policy, WheelPolicies  # type: ignore[import-untyped]
from auditwheel.wheel_abi import analyze_wheel_abi, get_wheel_elfdata  # type: ignore[import-untyped]

from wheelmill.prove.audit.model import AuditError, Expectation
from wheelmill.wheel.facts import WheelFacts, open_wheel

MANYLINUX, MUSL = "manylinux", "musllinux"
MUSL_1_1 = "musllinux_1_1"  # a valid tag (PEP 656) whose policy auditwheel has no more

# auditwheel's components of a verdict that symbol versions do not explain, and what each means.
_OTHER_LIMITS = {
    "ref_policy": "it needs libraries that no manylinux platform has and that are not on the allow-list",
    "blacklist_policy": "it uses functions that manylinux forbids, as distributions build them differently",
    "machine_policy": "it needs processor instructions beyond the architecture's baseline",
    "pyfpe_policy": "it uses the floating-point hooks that Python 3.7 removed",
}


@dataclass(frozen=True)
class PlatformAnalysis:
    """What auditwheel says of the whole wheel; names carry the arch."""

    tag: str  # the oldest platform: "manylinux_2_35_x86_64" or "linux_x86_64"
    limits: tuple[tuple[str, str], ...]  # (policy that a cause forces, the cause in words)
    failure: str | None = None  # why auditwheel gave no answer


class Policies:
    """The policies of one architecture and C library ("manylinux" or "musllinux"), oldest platform first."""

    def __init__(self, arch: str, family: str) -> None:
        self.libc = Libc.MUSL if family == MUSL else Libc.GLIBC
        try:
            with _only_the_wheel():
                policies = WheelPolicies(libc=self.libc, arch=Architecture(arch))
        except ValueError:
            raise AuditError(
                f"there are no {family} policies for {arch}",
                hint=f"Known architectures: {', '.join(sorted(a.value for a in Architecture))}.",
            ) from None
        self._policies: tuple[Policy, ...] = tuple(sorted(policies, reverse=True))
        self.arch = arch
        self.family = family

    def full_name(self, policy: str) -> str:
        """manylinux2014 -> manylinux_2_17_aarch64. Raises AuditError for a policy that does not exist."""
        return str(self._named(policy).name)

    def tag(self, policy: str) -> str:
        """The platform tag with the legacy alias, which older installers know: `<policy>.<alias>`."""
        found = self._named(policy)
        return ".".join((found.name, *found.aliases))

    def standing(self, policy: str) -> str:
        """The policy that a platform tag is held to: its own, or one in its stead where auditwheel has none.

        Of a C library between two that it knows that is the newer one's, and `beyond` says what is too new.
        It dropped musllinux_1_1, whose machines differ from those of 1_2 by functions alone: `musl_symbols`
        asks for them.
        """
        if policy == MUSL_1_1:
            return "musllinux_1_2"
        _, newer = self._around(policy)
        return str(newer.name).removesuffix(f"_{self.arch}") if newer is not None else policy

    def beyond(self, policy: str, version: str) -> bool:
        """Whether machines of a tag between two policies lack a symbol version, such as GLIBC_2.31."""
        older, _ = self._around(policy)
        family, _, number = version.partition("_")
        if older is None:
            return False
        if family == "GLIBC" and re.fullmatch(r"\d{1,3}(\.\d{1,3}){1,2}", number):
            return tuple(map(int, number.split("."))) > (_libc(policy) or ())
        first = self.first_allowing(version)
        return first is None or not self.meets(first, str(older.name))

    def _around(self, policy: str) -> tuple[Policy, Policy] | tuple[None, None]:
        """The policies next to a C library that has none of its own."""
        wanted = _libc(policy)
        known = [(number, p) for p in self._policies if (number := _libc(p.name)) is not None]
        if wanted is None:
            return None, None
        older = [p for number, p in known if number < wanted]
        newer = [p for number, p in known if number > wanted]
        if not older or not newer or len(older) + len(newer) < len(known):
            return None, None
        return older[-1], newer[0]  # they stand oldest platform first

    def first_allowing(self, version: str) -> str | None:
        """The oldest platform whose libraries have a symbol version (GLIBC_2.34); None when none has."""
        family, _, number = version.partition("_")
        for policy in self._policies:
            known = policy.symbol_versions.get(family)
            if policy.symbol_versions and (known is None or number in known):
                return str(policy.name)
        return None

    def first_with_library(self, soname: str) -> str | None:
        """The oldest platform that promises to have a library; None when none does."""
        return next((str(p.name) for p in self._policies if soname in p.whitelist), None)

    def meets(self, platform: str, policy: str) -> bool:
        """Whether files that run on `platform` run on every machine of `policy`."""
        return bool(self._named(platform).priority >= self._named(policy).priority)

    def _named(self, policy: str) -> Policy:
        wanted = {policy, f"{policy}_{self.arch}"}
        for candidate in self._policies:
            if wanted & {candidate.name, *candidate.aliases}:
                return candidate
        names = (p.name.removesuffix(f"_{self.arch}") for p in self._policies)
        known = ", ".join(name for name in names if name != "linux")
        raise AuditError(f"there is no platform policy {policy} for {self.arch}", hint=f"Known: {known}.")


def _libc(policy: str) -> tuple[int, int] | None:
    """The C library of a policy's name; manylinux2014 and others before PEP 600 are listed by both names."""
    found = re.match(r"(?:many|musl)linux_(\d{1,4})_(\d{1,4})(?:_|$)", policy)
    return (int(found[1]), int(found[2])) if found else None


def family_of(policy: str | None) -> str:
    """The family of a policy's or tag's name; manylinux where it does not say."""
    return MUSL if policy is not None and policy.startswith(MUSL) else MANYLINUX


@lru_cache(maxsize=8)
def policies_for(arch: str, family: str = MANYLINUX) -> Policies:
    """The policies of an architecture, read once. Raises AuditError for an unknown one."""
    return Policies(arch, family)


def analyze_platform(wheel: Path, policies: Policies, exclude: frozenset[str]) -> PlatformAnalysis:
    """auditwheel's verdict on a wheel whose ELF files are all of the policies' architecture.

    `exclude`: patterns of the libraries that others bring. A wheel that auditwheel cannot look at gives
    linux_<arch> and the reason.
    """
    arch = policies.arch
    # auditwheel remembers wheels by path; a wheel that was built again under its name is another wheel.
    get_wheel_elfdata.cache_clear()
    try:
        with _only_the_wheel():
            info = analyze_wheel_abi(
                policies.libc,
                Architecture(arch),
                wheel,
                exclude,
                disable_isa_ext_check=False,
                allow_graft=False,
                args_ldpaths="",
            )
    except Exception as error:  # it reads more of a file than we do, and meets damage with whatever comes
        kind = "" if isinstance(error, AuditwheelError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())
        return PlatformAnalysis(tag=f"linux_{arch}", limits=(), failure=reason)
    limits = tuple((str(getattr(info, name).name), cause) for name, cause in _OTHER_LIMITS.items())
    return PlatformAnalysis(tag=str(info.overall_policy.name), limits=limits)


def platform_of(facts: WheelFacts, policies: Policies, expectation: Expectation) -> PlatformAnalysis:
    """What a wheel of whole native files needs, by auditwheel and by what it does not look at.

    auditwheel looks for libraries where they lie in the archive, so it is given them where they are
    installed.
    """
    if policies.family == MUSL and any("libc.so.6" in native.needed for native in facts.loaded):
        return PlatformAnalysis(f"linux_{policies.arch}", ((f"linux_{policies.arch}", "it is for glibc"),))
    exclude = frozenset(allowed.pattern for allowed in expectation.allowed)
    if all(str(facts.places[native.name]) == native.name for native in facts.natives):
        found = analyze_platform(facts.path, policies, exclude)
    else:
        with tempfile.TemporaryDirectory(prefix="wheelmill-audit-") as folder:
            found = analyze_platform(_as_installed(facts, Path(folder)), policies, exclude)
    return _with_relative_relocations(facts, policies, found)


def _as_installed(facts: WheelFacts, folder: Path) -> Path:
    """A wheel of the same name with the native files where they are installed."""
    wheel = open_wheel(facts.path)
    target = folder / facts.path.name
    with zipfile.ZipFile(target, "w") as archive:
        for native in facts.natives:
            place = str(facts.places[native.name]).replace("<", "").replace(">", "")
            archive.writestr(place, wheel.content(native.name, wheel.archive.allowance))
        # auditwheel looks at what RECORD lists.
        archive.writestr(f"{facts.dist_info}/WHEEL", facts.text("WHEEL") or b"")
        names = [*archive.namelist(), f"{facts.dist_info}/RECORD"]
        archive.writestr(names[-1], "".join(f'"{name}",,\n' for name in names))
    return target


def _with_relative_relocations(
    facts: WheelFacts, policies: Policies, found: PlatformAnalysis
) -> PlatformAnalysis:
    """DT_RELR moves the floor even where no symbol version says so: older loaders leave pointers alone."""
    silent = [n.name for n in facts.loaded if n.relative_relocations and not n.states_relative_relocations]
    if not silent:
        return found
    libc, floor = (
        ("musl before 1.2.4", "linux") if policies.family == MUSL else ("glibc before 2.36", "manylinux_2_36")
    )
    tag = f"{floor}_{policies.arch}"
    cause = f"{silent[0]} has relocations in DT_RELR, which {libc} does not know, and no symbol that says so"
    oldest = tag if policies.meets(found.tag, tag) else found.tag
    return PlatformAnalysis(oldest, (*found.limits, (tag, cause)), found.failure)


@contextmanager
def _only_the_wheel() -> Iterator[None]:
    """Keep auditwheel from this machine's libraries, and its log from the user: the rules say it better."""
    log = logging.getLogger("auditwheel")
    level, paths = log.level, os.environ.pop("AUDITWHEEL_LD_LIBRARY_PATH", None)
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        if paths is not None:
            os.environ["AUDITWHEEL_LD_LIBRARY_PATH"] = paths
