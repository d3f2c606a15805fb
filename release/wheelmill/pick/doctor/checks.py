"""What is wrong on a machine: one function per topic, pure; the words are in findings.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from packaging.requirements import Requirement
from packaging.version import Version

from wheelmill.console import shell_line
from wheelmill.matrix.versions import cann_key, specifiers
from wheelmill.pick.commands import sourcing, toolkit_imports, torch_without_cuda
from wheelmill.pick.doctor.facts import Facts, Package
from wheelmill.pick.failures import Explanation
from wheelmill.pick.model import Offer, Words
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.words import Value

# The settings of torch_npu's allocator.
ALLOC_CONF = {
    "max_split_size_mb", "garbage_collection_threshold", "expandable_segments", "base_addr_aligned_kb",
    "roundup_power2_divisions", "page_size", "large_segment_size_mb", "segment_size_mb",
    "multi_stream_lazy_reclaim", "per_process_memory_fraction", "max_non_split_rounding_mb",
    "release_lock_on_npumalloc", "throw_on_npumalloc_oom", "pin_memory_expandable_segments",
}  # fmt: skip
# Packages that need NNAL.
NEED_NNAL = ("vllm-ascend",)
# npu-smi's names of chips, as far as they are certain, and the folders of their kernels in CANN.
CHIPS: tuple[tuple[str, str], ...] = (
    (r"(?:Ascend)?310P", "ascend310p"),
    (r"(?:Ascend)?310B", "ascend310b"),
    (r"(?:Ascend)?910B\d", "ascend910b"),
)
# Options of pip that uv has under another name.
_OF_UV = {"--force-reinstall": "--reinstall"}
# npu-smi's words for an NPU that cannot be relied on.
ILL = ("ALARM", "CRITICAL", "OFFLINE")
DRIVER_MOUNTS = (
    "docker run --device /dev/davinci0 --device /dev/davinci_manager --device /dev/devmm_svm "
    "--device /dev/hisi_hdc -v /usr/local/dcmi:/usr/local/dcmi "
    "-v /usr/local/bin/npu-smi:/usr/local/bin/npu-smi -v /usr/local/Ascend/driver:/usr/local/Ascend/driver "
    "-v /etc/ascend_install.info:/etc/ascend_install.info IMAGE"
)


@dataclass(frozen=True)
class Found:
    """A finding: its row in findings.yaml, the values in its words, and the commands that mend it."""

    id: str
    values: Mapping[str, Value] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patient:
    """What the checks look at: the facts, what can be had today, why nothing fits, what an import died of."""

    facts: Facts
    shelf: Shelf
    no_fit: Words | None = None
    failed: Explanation | None = None

    @property
    def adapter(self) -> Package | None:
        """The installed torch_npu."""
        return self.facts.package("torch-npu")

    @property
    def torch(self) -> Package | None:
        """The installed torch."""
        return self.facts.package("torch")

    @cached_property
    def known(self) -> tuple[Offer, ...]:
        """What is known of the installed torch_npu's version, whether it can be had or not."""
        wanted = _version(self.adapter.version) if self.adapter is not None else None
        offers = (*self.shelf.offers, *self.shelf.records)
        return tuple(one for one in offers if wanted is not None and _version(one.adapter) == wanted)

    @property
    def canns(self) -> list[str]:
        """The CANNs that the installed torch_npu goes with."""
        return list(dict.fromkeys(one.cann for one in self.known if one.cann is not None))

    def pip(self, verb: str, *words: str) -> str:
        """The command that does something to the examined Python: its pip's, or uv's where it has no pip.

        With neither, pip is brought first.
        """
        python, has_pip = self.facts.interpreter.executable, self.facts.package("pip") is not None
        if not has_pip and self.facts.interpreter.uv:
            words = tuple(_OF_UV.get(word, word) for word in words if word != "-y")
            return shell_line("uv", "pip", verb, "--python", python, *words)
        command = shell_line(python, "-m", "pip", verb, *words)
        return command if has_pip else f"{shell_line(python, '-m', 'ensurepip')} && {command}"

    def install(self, *words: str) -> str:
        """The command that installs something into the examined Python."""
        return self.pip("install", *words)


def diagnose(patient: Patient) -> tuple[Found, ...]:
    """Every finding, in the order in which to mend them."""
    return tuple(found for check in CHECKS for found in check(patient))


# ------------------------------------------------------------------------------------------------- packages
def no_wheel(patient: Patient) -> Iterator[Found]:
    """Nothing fits this Python, architecture and C library."""
    if patient.no_fit is not None:
        yield Found("python-without-wheels", {"reason": patient.no_fit}, ("wheelmill pick",))


def torch_and_adapter(patient: Patient) -> Iterator[Found]:
    """torch is the one that torch_npu was built for, and not a CUDA build."""
    adapter, torch = patient.adapter, patient.torch
    if adapter is None:
        return
    wanted = _wanted_torch(patient)
    if torch is None:
        asked = f"torch {wanted}" if wanted else "torch"
        commands = (_install_torch(patient, wanted),) if wanted else ()
        yield Found("adapter-without-torch", {"adapter": adapter.version, "requirement": asked}, commands)
        return
    if wanted and not _same_release(torch.version, wanted):
        series = f"torch-npu=={_release(torch.version)}.*"
        back = patient.install(series, "--extra-index-url", _cpu_index(patient))
        values = {"adapter": adapter.version, "torch": torch.version, "wanted": wanted}
        yield Found("torch-for-adapter", values, (_install_torch(patient, wanted), back))
    nvidia = [name for name in patient.facts.interpreter.packages if name.startswith("nvidia-")]
    if "+cu" in torch.version or len(nvidia) > 3:
        values = {"torch": torch.version, "nvidia": str(len(nvidia))}
        again = _install_torch(patient, wanted or _release(torch.version), force=True)
        yield Found("cuda-build", values, (again,))


def wheel_tags(patient: Patient) -> Iterator[Found]:
    """The wheels of torch and torch_npu are for this Python, architecture and glibc."""
    interpreter = patient.facts.interpreter
    for package in filter(None, (patient.torch, patient.adapter)):
        tags = [tag.split("-") for tag in package.tags if tag.count("-") == 2]
        if not tags:
            continue
        fits = [
            (py, platform)
            for py, abi, platform in tags
            if interpreter.loads(py, abi) and platform.endswith(("any", interpreter.arch))
        ]
        again = patient.install("--force-reinstall", "--no-deps", f"{package.name}=={package.version}")
        if not fits:
            values = {"package": package.name, "tag": package.tags[0], "python": interpreter.kind}
            yield Found("wheel-tags", {**values, "arch": interpreter.arch}, (again,))
            continue
        floors = [floor for _, platform in fits if (floor := _floor(platform)) is not None]
        glibc = _numbers(interpreter.libc[1]) if interpreter.libc[0] == "glibc" else None
        if floors and glibc and min(floors) > glibc:
            needed = ".".join(map(str, min(floors)))
            values = {"package": package.name, "needed": needed, "glibc": interpreter.libc[1]}
            yield Found("glibc-too-old", {**values, "tag": package.tags[0]}, ("wheelmill pick",))


def overwritten(patient: Patient) -> Iterator[Found]:
    """Each package has one record, its own files, and is what an import loads."""
    interpreter = patient.facts.interpreter
    for name in ("torch", "torch-npu"):
        package = interpreter.packages.get(name)
        if package is None:
            continue
        module = name.replace("-", "_")
        clean = " && ".join([patient.pip("uninstall", "-y", name)] * 2)
        again = patient.install("--no-deps", f"{name}=={package.version}")
        if name in interpreter.twice:
            values = {"package": name, "versions": ", ".join(interpreter.twice[name])}
            yield Found("installed-twice", values, (clean, again))
        elif package.own_version and not _same_files(package.own_version, package.version):
            values = {"package": name, "version": package.version, "own": package.own_version}
            yield Found("files-of-another-version", values, (clean, again))
        origin = interpreter.origins.get(module, "")
        elsewhere = module in interpreter.origins and not (origin or "").startswith(package.folder)
        # A development install lies elsewhere too; it has no files of its own in the environment.
        if elsewhere and (package.own_version is not None or origin is None):
            shown = origin or f"a folder {module} without __init__.py"
            yield Found("shadowed", {"package": module, "origin": shown}, ("cd /", "echo $PYTHONPATH"))


def pins(patient: Patient) -> Iterator[Found]:
    """Installed packages agree on torch and torch_npu."""
    interpreter = patient.facts.interpreter
    for name in ("torch", "torch-npu"):
        installed = interpreter.packages.get(name)
        if installed is None:
            continue
        pinning = [
            (package, requirement)
            for package in interpreter.packages.values()
            for requirement in _requirements(package, interpreter.markers())
            if _normal(requirement.name) == name
            and any(one.operator == "==" for one in requirement.specifier)
        ]
        said = ", ".join(f"{package.name} {package.version}: {asked}" for package, asked in pinning)
        for package, asked in pinning:
            if package is patient.adapter or _satisfied(asked, installed.version):
                continue  # torch_npu's own pin is torch_and_adapter's
            values = {"package": package.name, "version": package.version, "pinned": str(asked), "name": name}
            state = {"installed": f"{name} {installed.version}", "all": said}
            yield Found("pins-conflict", {**values, **state}, (patient.pip("show", package.name),))


def requirements(patient: Patient) -> Iterator[Found]:
    """What torch and torch_npu ask for is there."""
    interpreter = patient.facts.interpreter
    for package in filter(None, (patient.torch, patient.adapter)):
        for asked in _requirements(package, interpreter.markers()):
            name = _normal(asked.name)
            there = interpreter.packages.get(name)
            if name == "torch" or name.startswith("nvidia-") or (there and _satisfied(asked, there.version)):
                continue
            state: Value = {"en": "missing", "zh": "缺失"} if there is None else there.version
            if there is not None:
                state = {"en": f"installed as {there.version}", "zh": f"为 {there.version}"}
            values: dict[str, Value] = {"package": package.name, "requirement": str(asked), "state": state}
            yield Found("requirement-missing", values, (patient.install(_bare(asked)),))
    yield from _numpy(patient)


def _numpy(patient: Patient) -> Iterator[Found]:
    """Torches from before NumPy 2 say nowhere that they cannot use it."""
    numpy, torch = patient.facts.package("numpy"), patient.torch
    row = patient.shelf.matrix.torches.get(_release(torch.version)) if torch else None
    if numpy is None or torch is None or row is None:
        return
    for text in row.dependencies:
        asked = Requirement(text)
        if asked.name == "numpy" and not _satisfied(asked, numpy.version):
            values = {"numpy": numpy.version, "torch": torch.version, "requirement": text}
            yield Found("numpy-2", values, (patient.install(text),))


# ----------------------------------------------------------------------------------------------------- CANN
def cann(patient: Patient) -> Iterator[Found]:
    """CANN is installed, loaded, whole, and the one that torch_npu goes with."""
    here, adapter = patient.facts.cann, patient.adapter
    if here is None:
        if adapter is not None and not _needs_no_cann(patient):
            wanted: Value = ""
            if patient.canns:
                names = ", ".join(patient.canns)
                wanted = {"en": f"; this one goes with CANN {names}", "zh": f"；与之配套的是 CANN {names}"}
            commands = ("wheelmill pick", *_loading(patient))
            yield Found("cann-missing", {"adapter": adapter.version, "wanted": wanted}, commands)
        return
    if not here.exists:
        yield Found("cann-home-gone", {"home": here.home}, _loading(patient))
        return
    if not here.sourced:
        if adapter is not None:
            values = {"cann": here.version or "", "home": here.home}
            yield Found("cann-not-sourced", values, _loading(patient))
    elif here.version is None:
        yield Found("cann-version-unknown", {"home": here.home}, (shell_line("ls", here.home),))
    if here.missing:
        yield Found("cann-libraries-missing", {"libraries": ", ".join(here.missing)}, _loading(patient))
    if here.others:
        values = {"home": here.home, "others": ", ".join(here.others)}
        yield Found("cann-mixed", values, ("env -i HOME=$HOME bash -l", *_loading(patient)))
    yield from _pair(patient, here.version)


def _pair(patient: Patient, version: str | None) -> Iterator[Found]:
    """The loaded CANN is that of a line of this torch_npu, up to patches."""
    adapter, canns = patient.adapter, patient.canns
    if adapter is None or version is None or not canns or any(_near(version, one) for one in canns):
        return
    values = {"adapter": adapter.version, "wanted": ", ".join(canns), "cann": version}
    torch = ["--torch", _release(patient.torch.version)] if patient.torch else []
    yield Found("cann-for-adapter", values, (shell_line("wheelmill", "pick", "--cann", version, *torch),))


def kernels(patient: Patient) -> Iterator[Found]:
    """CANN has kernels for the chip that is here, and its compiler and NNAL what they need."""
    here, facts = patient.facts.cann, patient.facts
    if here is None:
        return
    for chip in dict.fromkeys(facts.driver.chips):
        wanted = next((folder for pattern, folder in CHIPS if re.match(pattern, chip)), None)
        if wanted and here.kernels and wanted not in here.kernels:
            values = {"kernels": ", ".join(here.kernels), "chip": chip, "wanted": wanted}
            yield Found(
                "kernels-for-chip",
                values,
                ("npu-smi info", shell_line("ls", f"{here.home}/opp/built-in/op_impl/ai_core/tbe/kernel")),
            )
    for name in NEED_NNAL:
        if facts.package(name) is not None and "ATB_HOME_PATH" not in facts.variables:
            nnal = here.nnal or "/usr/local/Ascend/nnal/atb"
            yield Found("nnal-missing", {"package": name}, (_source(f"{nnal}/set_env.sh"),))
    lacking = {one.name: _bare(one) for one in _imports(patient) if facts.package(_normal(one.name)) is None}
    if patient.adapter is not None and lacking and not _simulated(facts):
        values = {"packages": ", ".join(lacking)}
        yield Found("compiler-packages", values, (patient.install(*lacking.values()),))


def _imports(patient: Patient) -> Iterator[Requirement]:
    """What the Python packages of the toolkit that is there import, in the examined Python.

    Without what torch and torch_npu ask for: whether that is there, `requirements` says.
    """
    here, markers = patient.facts.cann, patient.facts.interpreter.markers()
    told = {
        _normal(asked.name)
        for package in filter(None, (patient.torch, patient.adapter))
        for asked in _requirements(package, markers)
    }
    for text in toolkit_imports(patient.shelf.matrix, here.version if here is not None else None):
        asked = Requirement(text)
        here_too = asked.marker is None or asked.marker.evaluate(dict(markers))
        if here_too and _normal(asked.name) not in told:
            yield asked


# ---------------------------------------------------------------------------------------- driver and devices
def driver(patient: Patient) -> Iterator[Found]:
    """The NPUs can be reached."""
    here, facts = patient.facts.driver, patient.facts
    if here.absent:
        values = {"devices": ", ".join(here.devices), "absent": ", ".join(here.absent)}
        yield Found("devices-not-mounted", values, (DRIVER_MOUNTS,))
    if here.forbidden:
        yield Found(
            "devices-forbidden",
            {"devices": ", ".join(here.forbidden)},
            ("sudo usermod -aG HwHiAiUser $USER", "newgrp HwHiAiUser"),
        )
    if here.devices and here.library is None:
        commands = (DRIVER_MOUNTS,) if facts.container else ("ls /usr/local/Ascend/driver/lib64",)
        yield Found("driver-library-missing", {}, commands)
    if here.npu_smi is not None and here.said is not None and (here.devices or facts.container):
        yield Found(
            "npu-smi-failed",
            {"said": here.said.replace("\n", " ")[:300] or "-", "cause": ""},
            (DRIVER_MOUNTS,) if facts.container else ("npu-smi info",),
        )
    if here.hung is not None:
        yield Found("npu-smi-hung", {"seconds": str(here.hung)}, ("sudo dmesg | tail -50",))
    yield from _health(facts)
    yield from _visible(facts)


def _health(facts: Facts) -> Iterator[Found]:
    """What npu-smi says of NPUs that are not well."""
    for name, wanted in (("npu-ill", True), ("npu-warned", False)):
        some = {
            number: word for number, word in facts.driver.health.items() if (word.upper() in ILL) == wanted
        }
        if some:
            said = ", ".join(f"NPU {number}: {word}" for number, word in some.items())
            commands = tuple(shell_line("npu-smi", "info", "-t", "health", "-i", number) for number in some)
            yield Found(name, {"said": said}, commands)


def _visible(facts: Facts) -> Iterator[Found]:
    value = facts.variables.get("ASCEND_RT_VISIBLE_DEVICES")
    count = len(facts.driver.devices)
    if value is None or not count:
        return
    numbers = value.split(",") if value else []
    if any(not one.strip().isdigit() or int(one) >= count for one in numbers):
        yield Found(
            "visible-devices", {"value": value, "count": str(count)}, ("export ASCEND_RT_VISIBLE_DEVICES=0",)
        )


def variables(patient: Patient) -> Iterator[Found]:
    """Variables hold what torch_npu understands."""
    given = patient.facts.variables
    for part in filter(None, given.get("PYTORCH_NPU_ALLOC_CONF", "").split(",")):
        name, colon, _ = part.partition(":")
        if not colon or (name.strip() not in ALLOC_CONF and not name.strip().startswith("pinned_")):
            yield Found("alloc-conf", {"setting": part.strip()}, ("unset PYTORCH_NPU_ALLOC_CONF",))
    if given.get("TORCH_DEVICE_BACKEND_AUTOLOAD") == "0" and patient.adapter is not None:
        yield Found("autoload-off", {}, ("unset TORCH_DEVICE_BACKEND_AUTOLOAD",))
    if given.get("ASCEND_LAUNCH_BLOCKING") == "1":
        yield Found(
            "slow-launches",
            {"variable": "ASCEND_LAUNCH_BLOCKING", "value": "1"},
            ("unset ASCEND_LAUNCH_BLOCKING",),
        )
    copies = patient.facts.interpreter.libgomps
    if patient.facts.interpreter.arch == "aarch64" and len(copies) > 1 and "LD_PRELOAD" not in given:
        yield Found(
            "static-tls", {"count": str(len(copies))}, (f"export LD_PRELOAD={shell_line(copies[-1])}",)
        )


def installers(patient: Patient) -> Iterator[Found]:
    """pip and uv use the same indexes."""
    settings = patient.facts.installers
    pip = [name for name in settings if name.startswith("pip ") and "index" in name.lower()]
    uv = [name for name in settings if name.startswith("uv ")]
    if pip and not uv:
        where = ", ".join(name.removeprefix("pip ") for name in pip)
        yield Found(
            "uv-ignores-pip", {"where": where}, (f"export UV_INDEX={shell_line(_cpu_index(patient))}",)
        )


def stage(patient: Patient) -> Iterator[Found]:
    """The installed torch_npu still gets fixes."""
    adapter, phases = patient.adapter, [one.phase for one in patient.known]
    if adapter is None or not phases or any(one is None or one.stage != "eol" for one in phases):
        return
    since = min((str(one.since) for one in phases if one is not None and one.since), default="-")
    yield Found("end-of-life", {"adapter": adapter.version, "since": since}, ("wheelmill pick --supported",))


# -------------------------------------------------------------------------------------------------- importing
def importing(patient: Patient) -> Iterator[Found]:
    """torch can be imported and sees the devices; what it dies of is explained as any failure."""
    imported, failed = patient.facts.imported, patient.failed
    if imported.ended == "hung":
        yield Found("import-hung", {"seconds": f"{imported.seconds:.0f}"}, ("npu-smi info",))
    elif imported.ended == "failed":
        cause = failed.cause if failed is not None else None
        if cause is None:
            said = (failed.last_error if failed else None) or imported.output.strip()[-400:]
            yield Found("import-failed-unknown", {"said": said})
            return
        loaded = patient.facts.cann is not None and patient.facts.cann.sourced
        if cause.failure.id == "cann-library-missing" and not loaded:
            return  # that CANN is not there or not loaded was said
        words: dict[str, Value] = {
            name: {lang: cause.words(texts, lang) for lang in texts}
            for name, texts in (
                ("title", cause.failure.title),
                ("cause", cause.failure.cause),
                ("cure", cause.failure.cure),
            )
        }
        yield Found("import-failed", words, tuple(one for one in cause.commands if one != "wheelmill doctor"))
    elif imported.devices == 0 and patient.facts.driver.devices:
        yield Found("no-device-seen", {"devices": ", ".join(patient.facts.driver.devices)}, ("npu-smi info",))


def remarks(patient: Patient) -> Iterator[Found]:
    """What is not there, and need not be."""
    facts = patient.facts
    if not facts.driver.devices and not _simulated(facts):
        container: Value = (
            {"en": " (in a container they must be mounted)", "zh": "（容器中需要挂载）"}
            if facts.container
            else ""
        )
        yield Found("no-npu", {"container": container})
    if patient.adapter is None:
        yield Found("not-installed", {"executable": facts.interpreter.executable})


CHECKS: tuple[Callable[[Patient], Iterator[Found]], ...] = (
    no_wheel,
    overwritten,
    wheel_tags,
    torch_and_adapter,
    requirements,
    cann,
    kernels,
    driver,
    variables,
    importing,
    pins,
    stage,
    installers,
    remarks,
)


# ---------------------------------------------------------------------------------------------------- helpers
def _wanted_torch(patient: Patient) -> str | None:
    """The torch that the installed torch_npu is built for: by its own metadata, else by the matrix."""
    if patient.adapter is None:
        return None
    for asked in _requirements(patient.adapter, patient.facts.interpreter.markers()):
        exact = [one.version.removesuffix(".*") for one in asked.specifier if one.operator == "=="]
        if _normal(asked.name) == "torch" and exact:
            return exact[0]
    return patient.known[0].torch if patient.known else None


def _install_torch(patient: Patient, wanted: str, *, force: bool = False) -> str:
    again = ["--force-reinstall"] if force else []
    matrix, arch = patient.shelf.matrix, patient.facts.interpreter.arch
    requirement, index = torch_without_cuda(matrix, _release(wanted), arch)
    return patient.install(*again, requirement, *(("--index-url", index) if index else ()))


def _loading(patient: Patient) -> tuple[str, ...]:
    """What loads the toolkit that is there; else the one that the installed torch_npu goes with."""
    here = patient.facts.cann
    if here is not None and here.set_env is not None:
        return (_source(here.set_env),)
    known = here.version if here is not None and here.version is not None else None
    wanted = patient.canns[-1] if patient.canns else None
    return sourcing(patient.shelf.matrix, known or wanted)


def _source(script: str) -> str:
    return shell_line("source", script)


def _cpu_index(patient: Patient) -> str:
    return patient.shelf.matrix.document.torch_cpu_index


def _needs_no_cann(patient: Patient) -> bool:
    """Whether torch_npu was imported without CANN, as this project's can, or runs on the simulator."""
    return patient.facts.imported.ended == "ok" or _simulated(patient.facts)


def _simulated(facts: Facts) -> bool:
    return any(name.startswith("CANN_SIMULATOR_") for name in facts.variables)


def _requirements(package: Package, markers: Mapping[str, str]) -> Iterator[Requirement]:
    """What a package asks for in an environment, without its extras; unreadable lines are passed over."""
    for line in package.requires:
        try:
            asked = Requirement(line)
            specifiers(str(asked.specifier))
        except ValueError:  # of which InvalidRequirement is one
            continue
        if asked.marker is None or asked.marker.evaluate(dict(markers)):
            yield asked


def _satisfied(asked: Requirement, version: str) -> bool:
    found = _version(version)
    return found is None or asked.specifier.contains(found, prereleases=True)


def _bare(asked: Requirement) -> str:
    return f"{asked.name}{asked.specifier}"


def _same_release(one: str, other: str) -> bool:
    """Whether two versions have the same numbers: `2.1.0a0+git1234` is as good as `2.1.0+cpu`."""
    found, wanted = _version(one), _version(other)
    if found is None or wanted is None:
        return True
    length = len(wanted.release)
    return (*found.release, 0, 0)[:length] == wanted.release


def _same_files(own: str, recorded: str) -> bool:
    """Whether a package's own version is the recorded one but for its local part (`+git1234`)."""
    return _version(_release(own)) == _version(_release(recorded))


def _release(version: str) -> str:
    return version.partition("+")[0]


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _near(one: str, other: str) -> bool:
    """Whether two CANNs are of one major.minor, as patches and release candidates are."""
    try:
        return cann_key(one)[:2] == cann_key(other)[:2]
    except (ValueError, TypeError):
        return one == other


def _floor(platform: str) -> tuple[int, ...] | None:
    """The glibc that a platform tag asks for; None for `linux_...`, which does not say."""
    old = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
    found = re.match(r"manylinux_(\d+)_(\d+)_", platform)
    return (int(found[1]), int(found[2])) if found else old.get(platform.partition("_")[0])


def _numbers(text: str) -> tuple[int, ...] | None:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None
