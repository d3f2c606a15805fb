"""Rules about the native files of a wheel."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase

from wheelmill.errors import Finding
from wheelmill.matrix.rules.frame import rule
from wheelmill.prove.audit.model import AuditError
from wheelmill.prove.audit.platforms import MANYLINUX, MUSL, MUSL_1_1, family_of, platform_of, policies_for
from wheelmill.prove.audit.rules import Case, error, note, some
from wheelmill.prove.audit.symbols import scope
from wheelmill.wheel.elf import SYSTEMS, ElfFacts, Requirement
from wheelmill.wheel.name import tag_arch, tag_policy

_LOADER = re.compile(r"ld-linux[\w.-]*|ld64\.so\.[12]")
_PYTHON_LIBRARY = re.compile(r"libpython[\w.]*|libtorch_python\.so.*")
# C names of CPython (PyErr_SetString, _Py_Dealloc) and of libtorch_python (THPVariable_Wrap, also mangled).
_PYTHON_SYMBOL = re.compile(r"_?Py[A-Z_]\w*|(?:_Z\w*\d)?THP[A-Z]\w*")
_EXTENSION = re.compile(r"[^.]+\.cpython-3(?P<minor>\d{1,3})(?P<threads>t?)d?-(?P<machine>[\w-]+)\.so")
_TRIPLETS = ("x86_64", "aarch64")
_GLIBC_ONLY = re.compile(
    r"__\w+_chk|__isoc23_\w+|__cxa_thread_atexit_impl|__libc_(?:alloca_cutoff|single_threaded)"
    r"|gnu_get_libc_\w+|backtrace(?:_symbols(?:_fd)?)?|mallinfo2?|malloc_(?:info|trim)|__register_atfork"
)
# Functions that musl has since 1.2, by its release notes.
_MUSL_1_2 = re.compile(
    r"_Fork|reallocarray|gettid|tc[gs]etwinsize|qsort_r|pthread_getname_np|statx|p(?:read|write)v2|renameat2"
)
_TORCH_LIBRARY = re.compile(r"lib(torch|c10)(_\w+)?\.so.*")
_ORIGIN = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})(?=/|$)")


@rule()
def elf_readable(case: Case) -> Iterator[Finding]:
    """Every native file can be read."""
    for file, reason in case.wheel.damaged.items():
        yield error(file, f"begins like an ELF file and is none: {reason}", "Build the wheel again.")
    for file, start in case.wheel.imposters.items():
        text = f"begins with {start}" if start != "''" else "is empty"
        yield error(file, f"is a native library by its name and no ELF file: it {text}", "Build it again.")
    for native in case.wheel.loaded:
        if native.system not in SYSTEMS:
            yield error(
                native.name, f"is for the system {native.system.removeprefix('ELFOSABI_')}, not for Linux"
            )
    if case.platform is not None and case.platform.failure is not None:
        yield error("", f"auditwheel cannot judge it: {case.platform.failure}")


@rule()
def elf_machine(case: Case) -> Iterator[Finding]:
    """Native files are for the machine of the tag and of the matrix row."""
    tagged = sorted({arch for t in case.wheel.name.tags if (arch := tag_arch(t.platform))})
    if case.expected.arch and case.wheel.loaded and tagged != [case.expected.arch]:
        names = some(t.platform for t in case.wheel.name.tags)
        yield error("", f"tagged {names}, but the wheel is to be for {case.expected.arch}")
    wanted = case.expected.arch or next(iter(tagged), None)
    for native in case.wheel.loaded if wanted else ():  # platform-tag tells of those in a pure wheel
        if native.machine != wanted:
            yield error(
                native.name,
                f"is built for {native.machine}, the wheel is for {wanted}",
                "The host's compiler or the host's torch was taken in a cross build; see the toolchain file.",
            )


@rule()
def platform_tag(case: Case) -> Iterator[Finding]:
    """A tag that names a platform is for Linux, and there are native files for that platform."""
    platforms = sorted({tag.platform for tag in case.wheel.name.tags} - {"any"})
    for platform in platforms:
        if tag_arch(platform) is None:
            yield error("", f"tagged {platform}, which is not a Linux platform with an architecture")
    if not platforms:
        for native in case.wheel.loaded:
            yield error(
                native.name,
                f"is built for {native.machine}, and the tag `any` promises every machine",
                "Tag the wheel with its platform and set Root-Is-Purelib to false.",
            )
    if platforms and not case.wheel.loaded:
        hint = "The native files got lost or are damaged; a wheel without any is tagged `any`."
        yield error("", f"tagged {some(platforms)}, and holds no native file that can be read", hint)


@rule()
def elf_in_platlib(case: Case) -> Iterator[Finding]:
    """Native files are not installed among pure Python files."""
    for native in case.wheel.loaded:
        if ".data/purelib/" in native.name:
            yield error(native.name, "is in purelib", "Set Root-Is-Purelib to false and move it to platlib.")


@rule()
def no_libpython(case: Case) -> Iterator[Finding]:
    """No native file needs libpython or libtorch_python, nor a symbol of theirs."""
    if not case.expected.asks("no-libpython"):
        return
    hint = "One binary has to serve every Python: keep Python.h and torch/extension.h out of native code."
    for native in case.wheel.loaded:
        libraries = [name for name in native.needed if _PYTHON_LIBRARY.fullmatch(name)]
        symbols = sorted(name for name in native.referenced if _PYTHON_SYMBOL.fullmatch(name))
        if libraries:
            yield error(native.name, f"needs {some(libraries)}", hint, libraries=libraries)
        if symbols:
            yield error(native.name, f"uses {some(symbols)}", hint, symbols=symbols)


@rule()
def elf_needed(case: Case) -> Iterator[Finding]:
    """Needed libraries are in the wheel, on the allow-list, or on every manylinux machine."""
    if case.policies is None:
        return  # of no platform: platform-tag tells of native files there
    homes: dict[str, set[str]] = defaultdict(set)
    for native in case.wheel.loaded:
        root, folder = case.wheel.places[native.name].directory
        homes[posixpath.basename(native.name)].add(posixpath.join(root, folder))
    for native in case.wheel.loaded:
        for name in native.needed:
            yield from _needed(case, native, name, homes.get(name, set()))


def _needed(case: Case, native: ElfFacts, name: str, homes: set[str]) -> Iterator[Finding]:
    if homes:
        if not homes & set(_search_directories(case, native)):
            yield note(
                native.name,
                f"needs {name}, which is in {some(homes)}, where its RUNPATH does not look",
                "It loads only after something else has loaded that file; a RUNPATH from $ORIGIN fixes it.",
            )
        return
    listed = any(fnmatchcase(name, allowed.pattern) for allowed in case.expected.allowed)
    if not (listed or _on_every_machine(case, name)):
        yield error(
            native.name,
            f"needs {name}: not in the wheel, not on the allow-list, and no {_family(case)} platform has it",
            "Link it statically or not at all, or allow it and require the package that brings it.",
            library=name,
        )


def _family(case: Case) -> str:
    return case.policies.family if case.policies is not None else MANYLINUX


@rule()
def allow_list_matched(case: Case) -> Iterator[Finding]:
    """Every required library of the allow-list is needed by some file."""
    needed = {name for native in case.wheel.loaded for name in native.needed}
    for allowed in case.expected.allowed:
        if allowed.required and not any(fnmatchcase(name, allowed.pattern) for name in needed):
            yield error(
                "",
                f"{allowed.pattern} is on the allow-list and no file needs it",
                f"A link got lost or the pattern is mistyped. Needed are: {some(needed, 12) or 'none'}.",
                pattern=allowed.pattern,
            )


@rule()
def run_path(case: Case) -> Iterator[Finding]:
    """RPATH and RUNPATH stay inside the installed packages."""
    hint = "Set the RUNPATH to $ORIGIN; a build directory there is searched on the user's machine too."
    for native in case.wheel.loaded:
        for entry in native.search_path:
            if not _ORIGIN.match(entry):
                what = f"searches {entry}" if entry else "has an empty RUNPATH entry: the working directory"
                yield error(native.name, what, hint, entry=entry)
        for directory in _search_directories(case, native):
            if directory.startswith("..") or "/../" in f"{directory}/":
                yield error(native.name, f"searches {directory}, outside of what is installed", hint)


def _search_directories(case: Case, native: ElfFacts) -> Iterator[str]:
    """The $ORIGIN-relative RUNPATH entries as installed directories; "" is site-packages."""
    root, home = case.wheel.places[native.name].directory
    for entry in native.search_path:
        if match := _ORIGIN.match(entry):
            directory = posixpath.normpath(posixpath.join(home, entry[match.end() :].lstrip("/")))
            yield posixpath.join(root, "" if directory == "." else directory)


@rule()
def loader_hooks(case: Case) -> Iterator[Finding]:
    """No native file has the loader load other libraries beside or instead of those that it needs."""
    for native in case.wheel.loaded:
        for tag, library in native.hooks:
            yield error(native.name, f"has {tag} {library}: the loader loads it for the file's user unasked")


@rule()
def writable_code(case: Case) -> Iterator[Finding]:
    """No segment is written and executed, and no code is changed when it is loaded."""
    for native in case.wheel.loaded:
        if native.writable_code:
            hint = "Link without -z rwx or -N, and keep code and data in sections of their own."
            yield error(native.name, "has a segment that is both written and executed", hint)
        if native.text_relocations:
            hint = "Compile all of it with -fPIC and link with -z text."
            yield error(
                native.name, "has relocations in its code, so that code is written at its start", hint
            )


@rule()
def extension_tags(case: Case) -> Iterator[Finding]:
    """The file names of extension modules are for the Python, machine and C library of the tag."""
    for name, place in case.wheel.places.items():
        found = _EXTENSION.fullmatch(place.path.rpartition("/")[2])
        if found is None:
            continue
        python, threads = f"cp3{found['minor']}", found["threads"]
        if not any(
            t.interpreter == python and t.abi in ("none", python + threads) for t in case.wheel.name.tags
        ):
            tags = some(map(str, case.wheel.name.tags))
            yield error(name, f"is for Python 3.{found['minor']}{threads} alone, the wheel is tagged {tags}")
        machine, _, system = found["machine"].partition("-")
        if case.expected.arch in _TRIPLETS and machine != case.expected.arch:
            yield error(name, f"is for {machine} by its name, the wheel is for {case.expected.arch}")
        if system == "linux-musl" and not any(MUSL in t.platform for t in case.wheel.name.tags):
            yield error(name, "is for musl by its name, and the wheel is not tagged for it")


@rule()
def musl_symbols(case: Case) -> Iterator[Finding]:
    """A wheel for musl uses no function that only glibc or a newer musl has."""
    platforms = case.wheel.name.platforms
    if not any(MUSL in platform for platform in platforms):
        return
    old = any(platform.startswith(MUSL_1_1) for platform in platforms)
    own = {name for native in case.wheel.loaded for name in native.defined}
    for native in case.wheel.loaded:
        asked = native.undefined - own
        alien = sorted(name for name in asked if _GLIBC_ONLY.fullmatch(name))
        if alien:
            hint = "Build it in a musllinux image."
            yield error(
                native.name, f"uses {some(alien)}, which glibc has and musl has not", hint, symbols=alien
            )
        newer = sorted(name for name in asked if old and _MUSL_1_2.fullmatch(name))
        if newer:
            hint = "Build it in a musllinux_1_1 image, or tag it musllinux_1_2."
            yield error(native.name, f"uses {some(newer)}, which musl 1.1 has not", hint, symbols=newer)


@rule()
def executable_stack(case: Case) -> Iterator[Finding]:
    """No native file asks for an executable stack."""
    for native in case.wheel.loaded:
        if native.executable_stack:
            yield error(
                native.name,
                "asks for an executable stack; glibc 2.41 and newer refuse to load it",
                "Add a .note.GNU-stack section to assembler sources, or link with -z noexecstack.",
            )


@rule()
def relro(case: Case) -> Iterator[Finding]:
    """Relocations are read-only after start."""
    for native in case.wheel.loaded:
        if not native.relro:
            yield note(native.name, "has no RELRO segment", "Link with -z relro -z now.")


@rule()
def build_path(case: Case) -> Iterator[Finding]:
    """No path of the build machine is left in native files."""
    for file, paths in case.wheel.source_paths.items():
        if paths:
            yield note(
                file,
                f"holds paths of the machine that built it: {some(paths, 2)}",
                "Compile with -ffile-prefix-map=<root>=. to get the same bytes in every directory.",
                paths=list(paths),
            )


@rule()
def undefined_symbols(case: Case) -> Iterator[Finding]:
    """Symbols without a version are defined by the wheel or by the torch it was built for."""
    if case.sdk is None:
        if any(_TORCH_LIBRARY.fullmatch(name) for native in case.wheel.loaded for name in native.needed):
            yield note(
                "", "undefined symbols were not looked up: no SDK was given", "Name torch/lib of the SDK."
            )
        return
    own = {native.soname or posixpath.basename(native.name): native for native in case.wheel.loaded}
    scopes = [scope(native, own, case.sdk) for native in case.wheel.loaded]
    for native, alone in zip(case.wheel.loaded, scopes, strict=True):
        # A library also finds what the file defines that it was loaded for.
        loaders = [found for found in scopes if native in found.libraries]
        missing = alone.resolve(native.undefined)
        rest = missing
        for loader in loaders:
            rest = loader.resolve(rest)
        unseen = {name for loader in loaders for name in loader.unseen if not _on_every_machine(case, name)}
        if rest:
            yield _undefined(native, sorted(rest), unseen)
        elif missing:
            text = f"finds {some(missing)} only when another file of the wheel loads it"
            yield note(native.name, text, symbols=sorted(missing))


def _undefined(native: ElfFacts, symbols: list[str], unseen: set[str]) -> Finding:
    """An error, unless a library that could not be looked into may define the symbols."""
    if unseen:
        text = f"{len(symbols)} symbols were not found; {some(unseen)}, not in the SDK, may define them"
        return note(native.name, text, symbols=symbols)
    return error(
        native.name,
        f"no library that it needs defines {some(symbols)}",
        "The import would end in `undefined symbol`: link the library or build against this torch.",
        symbols=symbols,
    )


def _on_every_machine(case: Case, name: str) -> bool:
    """Whether the platform brings a library: the loader itself, or one that a manylinux policy promises."""
    promised = case.policies is not None and case.policies.first_with_library(name) is not None
    return promised or _LOADER.fullmatch(name) is not None


@rule()
def platform_policy(case: Case) -> Iterator[Finding]:
    """Symbol versions and libraries are those of the line's platform policy."""
    if case.expected.policy is None or case.policies is None or case.platform is None:
        return
    policy = case.policies.full_name(case.expected.policy)
    if case.policies.meets(case.platform.tag, policy):
        return
    found = [*_too_recent(case, policy), *_too_new_libraries(case, policy)]
    yield from found
    limits = [(tag, cause) for tag, cause in case.platform.limits if not case.policies.meets(tag, policy)]
    # A library that only a newer platform has is auditwheel's ref_policy too; it was told with its name.
    told = any("library" in finding.data and "version" not in finding.data for finding in found)
    for tag, cause in limits:
        if not (told and "libraries" in cause):
            yield error("", f"meets {tag} and not {policy}: {cause}")
    if not found and not limits:
        reason = case.platform.failure or "auditwheel gives no reason"
        yield error("", f"meets {case.platform.tag} and not {policy}: {reason}")


def _too_recent(case: Case, policy: str) -> Iterator[Finding]:
    for native in case.wheel.loaded:
        for requirement, first in _above(case, native, policy):
            users = some(requirement.symbols) if requirement.symbols else "the file as a whole"
            allowed = f"first allowed by {first}" if first else "allowed by no policy"
            yield error(
                native.name,
                f"{requirement.version} of {requirement.library} for {users}: {allowed}; held to {policy}",
                f"Build in an image or with a sysroot of {case.expected.policy}.",
                library=requirement.library,
                version=requirement.version,
                symbols=list(requirement.symbols),
                first_policy=first,
            )


def _above(case: Case, native: ElfFacts, policy: str) -> Iterator[tuple[Requirement, str | None]]:
    """The file's symbol versions that `policy` lacks, each with the oldest platform that has it."""
    assert case.policies is not None
    for requirement in native.requirements:
        # The loader's own versions come with libc's, and auditwheel leaves them out for that.
        if not _LOADER.fullmatch(requirement.library):
            first = case.policies.first_allowing(requirement.version)
            if first is None or not case.policies.meets(first, policy):
                yield requirement, first


def _too_new_libraries(case: Case, policy: str) -> Iterator[Finding]:
    assert case.policies is not None
    for native in case.wheel.loaded:
        for name in native.needed:
            first = case.policies.first_with_library(name)
            if first is not None and not case.policies.meets(first, policy):
                yield error(
                    native.name,
                    f"needs {name}: first promised by {first}; held to {policy}",
                    library=name,
                    first_policy=first,
                )


@rule()
def tag_matches_symbols(case: Case) -> Iterator[Finding]:
    """The platform tag promises no older platform than the files need."""
    if case.policies is None or case.platform is None:
        return
    for platform in sorted(t.platform for t in case.wheel.name.tags):
        if (promised := tag_policy(platform)) is None:
            continue
        try:
            held = _held_to(case, promised)
            assert held.policies is not None
            standing = held.policies.standing(promised)
            policy = held.policies.full_name(standing)
        except AuditError as fault:
            yield error("", f"tagged {platform}: {fault.message}", fault.hint or "")
            continue
        if standing != promised:
            yield note("", f"tagged {platform}: auditwheel has no such policy, so it is held to {policy}")
            yield from _beyond(held, promised, platform)
        assert held.platform is not None
        tag = held.platform.tag
        if held.policies.meets(tag, policy):
            continue
        worst = {r.version for native in case.wheel.loaded for r, _ in _above(held, native, policy)}
        why = f": {some(worst)}" if worst else ""
        yield error(
            "",
            f"tagged {platform}, but the oldest platform its files run on is {tag}{why}",
            f"Tag it {tag}; a wheel above its policy keeps linux_{held.policies.arch}.",
        )


def _beyond(case: Case, promised: str, platform: str) -> Iterator[Finding]:
    """Symbol versions that the policy in the tag's stead has, and the machines of the tag have not."""
    assert case.policies is not None
    for native in case.wheel.loaded:
        late = {
            requirement.version
            for requirement in native.requirements
            if not _LOADER.fullmatch(requirement.library)
            and case.policies.beyond(promised, requirement.version)
        }
        if late:
            yield error(native.name, f"needs {some(late)}, and the wheel is tagged {platform}")


def _held_to(case: Case, promised: str) -> Case:
    """The case for a tag of the other C library, where a file name has tags of both."""
    assert case.policies is not None
    family = family_of(promised)
    if family == case.policies.family:
        return case
    policies = policies_for(case.policies.arch, family)
    platform = platform_of(case.wheel, policies, case.expected)
    return dataclasses.replace(case, policies=policies, platform=platform)
