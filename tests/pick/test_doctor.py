"""`wheelmill doctor`: machines that go wrong the way the field's do, and what it says of each."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from wheelmill.cli import cli
from wheelmill.pick.doctor.checks import Found, Patient, diagnose
from wheelmill.pick.doctor.facts import Facts
from wheelmill.pick.doctor.look import CANN_LIBRARIES, Options, _there, look
from wheelmill.pick.doctor.machine import cann_version
from wheelmill.pick.doctor.report import render, rows, severity, to_json, words
from wheelmill.pick.failures import SymbolTable, explain, failures
from wheelmill.pick.failures.toolkit import own_commands
from wheelmill.pick.shelf import Shelf
from wheelmill.project import find_project

from tests.matrix.small import COMPAT

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 22)
HERE = f"cp{sys.version_info.major}{sys.version_info.minor}"
ARCH = os.uname().machine
CPU = "+cpu" if ARCH == "x86_64" else ""


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    """What can be had by the matrix and the committed catalogue."""
    here = find_project(COMPAT)
    return Shelf(here.matrix(), here.catalogue(), TODAY)


@dataclass
class Machine:
    """A machine in a folder: a Python environment with made-up packages; CANN and a driver below `root`."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def python(self) -> str:
        return str(self.folder / "env" / "bin" / "python")

    @property
    def site(self) -> Path:
        return next((self.folder / "env" / "lib").glob("python3*")) / "site-packages"

    def package(
        self,
        name: str,
        version: str,
        *requires: str,
        code: str = "",
        tag: str | None = None,
        record: bool = True,
    ) -> None:
        """Install a package: its module, whose `__init__.py` holds `code`, and its record."""
        module = self.site / name.replace("-", "_")
        module.mkdir(exist_ok=True)
        (module / "__init__.py").write_text(f"from .version import __version__\n{code}")
        (module / "version.py").write_text(f"__version__ = '{version}'\n")
        if record:
            info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            asked = "".join(f"Requires-Dist: {one}\n" for one in requires)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asked}"
            )
            (info / "WHEEL").write_text(
                f"Wheel-Version: 1.0\nTag: {tag or f'{HERE}-{HERE}-manylinux_2_17_{ARCH}'}\n"
            )

    def torch(self, version: str, **more: Any) -> None:
        more.setdefault("code", "class npu:\n    is_available = staticmethod(lambda: False)\n")
        self.package("torch", version, **more)

    def file(self, path: str, text: str = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def cann(
        self, version: str, place: str = "usr/local/Ascend/ascend-toolkit/latest", *, source: bool = True
    ) -> None:
        self.file(
            f"{place}/{ARCH}-linux/ascend_toolkit_install.info",
            f"package_name=Ascend-cann-toolkit\nversion={version}\n",
        )
        for library in CANN_LIBRARIES:
            self.file(f"{place}/lib64/{library}")
        self.file(f"{Path(place).parent}/set_env.sh")
        self.file(f"{place}/opp/built-in/op_impl/ai_core/tbe/kernel/ascend910b/x")
        if source:
            home = self.root / place
            before = self.environment.get("LD_LIBRARY_PATH", "")
            self.environment |= {
                "ASCEND_HOME_PATH": str(home),
                "LD_LIBRARY_PATH": f"{home}/lib64:{before}".strip(":"),
            }

    def npus(self, count: int, chip: str = "910B3", *, npu_smi: str | None = None) -> None:
        for name in ("davinci_manager", "devmm_svm", "hisi_hdc", *(f"davinci{at}" for at in range(count))):
            self.file(f"dev/{name}")
        self.file("usr/local/Ascend/driver/version.info", "Version=24.1.rc3\n")
        self.file("usr/local/Ascend/driver/lib64/driver/libascend_hal.so")
        table = "".join(
            f"| {at}     {chip}               | OK            | 93.0  48  0 / 0 |\n" for at in range(count)
        )
        tool = self.file(
            "usr/local/bin/npu-smi", f"#!/bin/sh\ncat <<'X'\n{npu_smi if npu_smi is not None else table}\nX\n"
        )
        tool.chmod(0o755)

    def look(self, *, imports: bool = False, seconds: float = 60) -> Facts:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **self.environment}
        return look(Options(self.python, imports, self.root, seconds), environment)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine") / "env"
    venv.create(folder, symlinks=True)
    return folder


@pytest.fixture
def machine(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    subprocess.run(["cp", "-a", str(empty), str(tmp_path / "env")], check=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    one = Machine(tmp_path)
    for name in (
        "attrs",
        "absl-py",
        "cffi",
        "cython",
        "decorator",
        "pathlib2",
        "protobuf",
        "requests",
        "pip",
        "psutil",
        "scipy",
        "sympy",
        "pyyaml",
        "setuptools",
    ):
        one.package(name, "1.0")
    one.package("numpy", "1.26.4")
    return one


def found(machine: Machine, shelf: Shelf, *, no_fit: str | None = None, **more: Any) -> dict[str, Found]:
    facts = machine.look(**more)
    failed = explain(facts.imported.output, failures(), SymbolTable(), {}, own_commands(shelf.matrix))
    listed = diagnose(Patient(facts, shelf, no_fit, failed))
    for one in listed:  # every value is filled in, in both languages
        for lang in ("en", "zh"):
            for part in ("title", "detail"):
                said = words(one, part, lang)
                assert "{" not in said, said
    assert json.dumps(to_json(facts, listed))
    assert render(facts, listed, "zh")
    return {one.id: one for one in listed}


def wrong(findings: Mapping[str, Found]) -> set[str]:
    return {name for name, one in findings.items() if severity(one) != "note"}


def good(machine: Machine) -> None:
    """The newest published row, installed as its instructions say, on a machine with eight NPUs."""
    machine.torch(f"2.12.0{CPU}")
    machine.package(
        "torch-npu", "2.12.0", "torch==2.12.0", "numpy", "pyyaml", tag=f"{HERE}-{HERE}-manylinux_2_28_{ARCH}"
    )
    machine.cann("9.1.0")
    machine.npus(8)


# ------------------------------------------------------------------------------------------------ all is well
def test_a_machine_in_order_has_no_findings(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    code = "class npu:\n is_available = staticmethod(lambda: True)\n device_count = staticmethod(lambda: 8)\n"
    machine.torch(f"2.12.0{CPU}", record=False, code=code)
    facts = machine.look(imports=True)
    assert found(machine, shelf, imports=True) == {}
    assert facts.cann is not None
    assert (facts.cann.version, facts.driver.chips, facts.driver.version) == (
        "9.1.0",
        ("910B3",) * 8,
        "24.1.rc3",
    )
    assert (facts.imported.ended, facts.imported.devices) == ("ok", 8)
    assert "Nothing is wrong." in render(facts, (), "en")


def test_an_empty_machine_is_not_wrong(machine: Machine, shelf: Shelf) -> None:
    assert set(found(machine, shelf)) == {"no-npu", "not-installed"}


# --------------------------------------------------------------------------------------------------- packages
def test_torch_of_another_version(machine: Machine, shelf: Shelf) -> None:
    """sglang#28628: the image that pairs torch_npu with a torch of four releases later."""
    good(machine)
    for folder in machine.site.glob("torch-2*"):
        subprocess.run(["rm", "-r", str(folder)], check=True)
    machine.torch(f"2.8.0{CPU}")
    findings = found(machine, shelf)
    assert wrong(findings) == {"torch-for-adapter"}
    mends = findings["torch-for-adapter"].commands
    assert f"-m pip install torch==2.12.0{CPU}" in mends[0]
    assert "install 'torch-npu==2.8.0.*'" in mends[1]


def test_torch_npu_alone(machine: Machine, shelf: Shelf) -> None:
    machine.package("torch-npu", "2.7.1", "torch==2.7.1+cpu")
    assert "adapter-without-torch" in found(machine, shelf)


def test_a_cuda_build(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    for name in ("cublas", "cudnn", "nccl", "cufft"):
        machine.package(f"nvidia-{name}-cu12", "12.8")
    assert wrong(found(machine, shelf)) == {"cuda-build"}


@pytest.mark.parametrize("tag", [f"cp38-cp38-manylinux_2_17_{ARCH}", f"{HERE}-{HERE}-linux_riscv64"])
def test_a_wheel_for_another_python_or_arch(machine: Machine, shelf: Shelf, tag: str) -> None:
    good(machine)
    (machine.site / "torch_npu-2.12.0.dist-info" / "WHEEL").write_text(f"Tag: {tag}\n")
    assert wrong(found(machine, shelf)) == {"wheel-tags"}


def test_a_wheel_for_a_newer_glibc(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    (machine.site / "torch_npu-2.12.0.dist-info" / "WHEEL").write_text(
        f"Tag: {HERE}-{HERE}-manylinux_2_99_{ARCH}\n"
    )
    findings = found(machine, shelf)
    assert findings["glibc-too-old"].values["needed"] == "2.99"


def test_torch_npu_that_something_replaced(machine: Machine, shelf: Shelf) -> None:
    """Two records in one environment; and files that are not those of the record."""
    good(machine)
    machine.package("torch-npu", "2.12.0", record=False)
    (machine.site / "torch_npu" / "version.py").write_text("__version__ = '2.7.1.post2+gitabc1234'\n")
    assert wrong(found(machine, shelf)) == {"files-of-another-version"}
    machine.package("torch-npu", "2.7.1.post2", "torch==2.12.0")
    assert "installed-twice" in found(machine, shelf)


def test_a_folder_in_the_working_directory_comes_first(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    Path("torch_npu").mkdir()
    Path("torch_npu/__init__.py").touch()
    assert wrong(found(machine, shelf)) == {"shadowed"}


def test_packages_that_pin_different_torches(machine: Machine, shelf: Shelf) -> None:
    """vllm-ascend#12404: one pins torch N, the other N-1."""
    good(machine)
    machine.package("vllm", "0.13.0", "torch==2.13.0", 'torch==1.0; platform_machine == "mips"')
    machine.package("mindspeed-rl", "0.2.0", "torch_npu==2.7.1.post2")
    findings = found(machine, shelf)
    assert wrong(findings) == {"pins-conflict"}
    said = {
        words(one, "title", "en")
        for one in diagnose(Patient(machine.look(), shelf))
        if one.id == "pins-conflict"
    }
    assert said == {
        f"vllm 0.13.0 pins torch==2.13.0, installed is torch 2.12.0{CPU}",
        "mindspeed-rl 0.2.0 pins torch_npu==2.7.1.post2, installed is torch-npu 2.12.0",
    }


def test_a_missing_requirement(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    subprocess.run(f"rm -r {machine.site}/pyyaml*", shell=True, check=True)
    findings = found(machine, shelf)
    assert wrong(findings) == {"requirement-missing"}
    assert findings["requirement-missing"].commands[0].endswith("-m pip install pyyaml")


def test_numpy_2_with_an_old_torch(machine: Machine, shelf: Shelf) -> None:
    machine.torch(f"2.1.0{CPU}")
    subprocess.run(f"rm -r {machine.site}/numpy*", shell=True, check=True)
    machine.package("numpy", "2.2.3")
    assert wrong(found(machine, shelf)) == {"numpy-2"}


# ------------------------------------------------------------------------------------------------------- CANN
def test_cann_that_is_not_sourced(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.environment.clear()
    findings = found(machine, shelf)
    assert wrong(findings) == {"cann-not-sourced"}
    assert findings["cann-not-sourced"].commands == ("source /usr/local/Ascend/ascend-toolkit/set_env.sh",)


@pytest.mark.parametrize(
    ("cann", "places"),
    [
        ("8.3.RC1", ["ascend-toolkit/set_env.sh"]), ("9.1.0", ["cann/set_env.sh"]),
        ("", ["cann/set_env.sh   # CANN 8.5.0 and newer", "ascend-toolkit/set_env.sh   # before 8.5.0"]),
    ],
)  # fmt: skip
def test_the_place_of_the_script_is_that_of_the_version(
    machine: Machine, shelf: Shelf, cann: str, places: list[str]
) -> None:
    """The toolkit moved; where its version is not known, both places are named."""
    good(machine)
    if not cann:
        subprocess.run(f"rm -r {machine.site}/torch_npu*", shell=True, check=True)
        machine.package("torch-npu", "2.12.0.post99", "torch==2.12.0")
    machine.cann(cann or "unread", source=False)
    for script in machine.root.rglob("set_env.sh"):
        script.unlink()
    home = machine.root / "usr/local/Ascend/ascend-toolkit/latest"
    machine.environment |= {"ASCEND_HOME_PATH": str(home), "LD_LIBRARY_PATH": "/usr/lib"}
    commands = found(machine, shelf)["cann-libraries-missing"].commands
    assert list(commands) == [f"source /usr/local/Ascend/{one}" for one in places]


def test_no_cann_at_all(machine: Machine, shelf: Shelf) -> None:
    machine.torch(f"2.12.0{CPU}")
    machine.package("torch-npu", "2.12.0", "torch==2.12.0")
    findings = found(machine, shelf)
    assert wrong(findings) == {"cann-missing"}
    assert "goes with CANN 9.1.0" in words(findings["cann-missing"], "detail", "en")
    assert findings["cann-missing"].commands[-1] == "source /usr/local/Ascend/cann/set_env.sh"


def test_a_cann_that_went_away(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.environment["ASCEND_HOME_PATH"] = "/nowhere/cann"
    findings = found(machine, shelf)
    assert "cann-home-gone" in wrong(findings)  # and another one lies where it is usual
    there = ("source /usr/local/Ascend/ascend-toolkit/set_env.sh",)
    assert findings["cann-home-gone"].commands == there


def test_a_library_path_that_was_replaced(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.environment["LD_LIBRARY_PATH"] = "/usr/lib"
    assert wrong(found(machine, shelf)) == {"cann-libraries-missing"}


def test_two_canns_in_one_path(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    old = machine.file("opt/cann/lib64/libascendcl.so").parent
    machine.environment["LD_LIBRARY_PATH"] += f":{old}"
    findings = found(machine, shelf)
    assert wrong(findings) == {"cann-mixed"}
    assert findings["cann-mixed"].values["others"] == str(old)


@pytest.mark.parametrize(
    ("cann", "expected"), [("9.1.0", set()), ("9.1.1", set()), ("8.5.0", {"cann-for-adapter"})]
)
def test_the_cann_of_the_row(machine: Machine, shelf: Shelf, cann: str, expected: set[str]) -> None:
    """A patch of the row's CANN is as good; another release is said, and torch_npu is the cheaper change."""
    good(machine)
    machine.environment.clear()
    machine.cann(cann)
    findings = found(machine, shelf)
    assert wrong(findings) == expected
    if expected:
        assert findings["cann-for-adapter"].commands == ("wheelmill pick --cann 8.5.0 --torch 2.12.0",)


def test_kernels_for_another_chip(machine: Machine, shelf: Shelf) -> None:
    """The A2 package on a 310P."""
    good(machine)
    machine.npus(1, "310P3")
    findings = found(machine, shelf)
    assert wrong(findings) == {"kernels-for-chip"}
    assert findings["kernels-for-chip"].values["wanted"] == "ascend310p"


def test_packages_that_the_operator_compiler_imports(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    subprocess.run(f"rm -r {machine.site}/decorator* {machine.site}/psutil*", shell=True, check=True)
    finding = found(machine, shelf)["compiler-packages"]
    assert finding.values["packages"] == "psutil, decorator"
    assert finding.commands[0].endswith("install psutil 'decorator>=4.4.0'")


def test_nnal_that_vllm_ascend_needs(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.package("vllm-ascend", "0.13.0")
    assert wrong(found(machine, shelf)) == {"nnal-missing"}
    machine.environment["ATB_HOME_PATH"] = "/usr/local/Ascend/nnal/atb/latest/atb/cxx_abi_1"
    assert wrong(found(machine, shelf)) == set()


# ----------------------------------------------------------------------------------------- driver and devices
def test_devices_that_are_not_mounted(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    (machine.root / "dev" / "hisi_hdc").unlink()
    machine.file(".dockerenv")
    findings = found(machine, shelf)
    assert wrong(findings) == {"devices-not-mounted"}
    assert "--device /dev/hisi_hdc" in findings["devices-not-mounted"].commands[0]


def test_a_driver_folder_that_is_not_mounted(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    (machine.root / "usr/local/Ascend/driver/lib64/driver/libascend_hal.so").unlink()
    assert wrong(found(machine, shelf)) == {"driver-library-missing"}


def test_npu_smi_that_fails(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.npus(1, npu_smi="dcmi module initialize failed. ret is -8005")
    findings = found(machine, shelf)
    assert wrong(findings) == {"npu-smi-failed"}
    assert "-8005" in words(findings["npu-smi-failed"], "detail", "en")


TABLE = """
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
+===========================+===============+====================================================+
| 0     910B3               | OK            | 93.0        48                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3353 / 65536         |
| 3     910B3               | {}            | 93.0        48                0    / 0             |
| 5     910B3               | Alarm         | 93.0        48                0    / 0             |
"""


def test_what_npu_smi_says_of_health(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.npus(8, npu_smi=TABLE.format("Warning"))
    findings = found(machine, shelf)
    assert wrong(findings) == {"npu-ill", "npu-warned"}
    assert words(findings["npu-ill"], "title", "en") == "npu-smi reports a fault: NPU 5: Alarm"
    assert words(findings["npu-warned"], "title", "zh") == "npu-smi 告警：NPU 3: Warning"
    assert findings["npu-ill"].commands == ("npu-smi info -t health -i 5",)


def test_npu_smi_that_hangs(machine: Machine, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where what it started holds its output, or where it cannot be killed."""
    good(machine)
    machine.npus(8)
    (machine.root / "usr/local/bin/npu-smi").write_text("#!/bin/sh\nsleep 99 &\nsleep 99\n")
    monkeypatch.setattr("wheelmill.pick.doctor.look.SMI_SECONDS", 1)
    begun = time.monotonic()
    findings = found(machine, shelf)
    assert wrong(findings) == {"npu-smi-hung"}
    assert "given up after 1 s" in words(findings["npu-smi-hung"], "detail", "en")
    assert time.monotonic() - begun < 30
    monkeypatch.setattr("os.killpg", lambda *_: None)  # as one that stands in the kernel
    monkeypatch.setattr("wheelmill.pick.doctor.look.DYING_SECONDS", 0.1)
    assert wrong(found(machine, shelf)) == {"npu-smi-hung"}
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("value", "expected"), [("0,7", set()), ("8", {"visible-devices"}), ("0,x", {"visible-devices"})]
)
def test_visible_devices(machine: Machine, shelf: Shelf, value: str, expected: set[str]) -> None:
    good(machine)
    machine.environment["ASCEND_RT_VISIBLE_DEVICES"] = value
    assert wrong(found(machine, shelf)) == expected


def test_variables(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.environment["PYTORCH_NPU_ALLOC_CONF"] = "expandable_segments:True,max_split_size:3"
    machine.environment["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
    findings = found(machine, shelf)
    assert wrong(findings) == {"alloc-conf"}
    assert findings["alloc-conf"].values["setting"] == "max_split_size:3"
    assert "autoload-off" in findings


# ------------------------------------------------------------------------------------------------- importing
def test_an_import_that_fails_is_explained(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.package("torch-npu", "2.12.0", record=False, code=(
        "raise ImportError('/x/libtorch_npu.so: undefined symbol: MsprofSysCycleTime')\n"))  # fmt: skip
    findings = found(machine, shelf, imports=True)
    assert wrong(findings) == {"import-failed"}
    assert "CANN does not have MsprofSysCycleTime" in words(findings["import-failed"], "title", "en")


def test_what_was_said_of_cann_is_not_said_again(machine: Machine, shelf: Shelf) -> None:
    machine.torch(f"2.12.0{CPU}")
    code = "raise ImportError('libhccl.so: cannot open shared object file: No such file or directory')\n"
    machine.package("torch-npu", "2.12.0", "torch==2.12.0", code=code)
    assert wrong(found(machine, shelf, imports=True)) == {"cann-missing"}


def test_an_import_that_crashes_or_is_unknown(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.package("torch-npu", "2.12.0", record=False, code="import os; os.kill(os.getpid(), 11)\n")
    findings = found(machine, shelf, imports=True)
    assert wrong(findings) == {"import-failed-unknown"}
    assert "Segmentation fault" in words(findings["import-failed-unknown"], "detail", "en")


def test_an_import_that_hangs_is_ended(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    machine.package("torch-npu", "2.12.0", record=False, code="import time; time.sleep(60)\n")
    assert wrong(found(machine, shelf, imports=True, seconds=2)) == {"import-hung"}


def test_devices_that_torch_npu_does_not_see(machine: Machine, shelf: Shelf) -> None:
    good(machine)
    assert wrong(found(machine, shelf, imports=True)) == {"no-device-seen"}


def test_torch_is_not_imported_by_the_doctor_itself() -> None:
    """It would crash or hang with what it is to diagnose."""
    modules = "wheelmill.cli.doctor, wheelmill.pick.doctor.look, wheelmill.pick.doctor.checks"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ------------------------------------------------------------------------------------------------------- rest
def test_end_of_life_and_installers(machine: Machine, shelf: Shelf) -> None:
    machine.torch(f"2.1.0{CPU}")
    machine.package("torch-npu", "2.1.0.post12", f"torch==2.1.0{CPU}")
    machine.cann("8.1.RC1")
    machine.npus(1)
    (machine.folder / ".config" / "pip").mkdir(parents=True)
    (machine.folder / ".config/pip/pip.conf").write_text(
        "[global]\nextra-index-url = https://me:secret@index.example/simple\n"
    )
    findings = found(machine, shelf)
    assert wrong(findings) == {"end-of-life"}
    assert "uv-ignores-pip" in findings
    assert "secret" not in json.dumps(to_json(machine.look(), ()))


def test_an_environment_of_uv_has_no_pip(machine: Machine, shelf: Shelf) -> None:
    """Its mending commands are uv's where uv is there, and bring pip first where it is not."""
    good(machine)
    subprocess.run(f"rm -r {machine.site}/pip* {machine.site}/pyyaml*", shell=True, check=True)
    (lacking,) = found(machine, shelf)["requirement-missing"].commands
    assert lacking == f"{machine.python} -m ensurepip && {machine.python} -m pip install pyyaml"
    tool = machine.file("tools/uv", "#!/bin/sh\n")
    tool.chmod(0o755)
    machine.environment["PATH"] = f"{tool.parent}:/usr/bin:/bin"
    (mend,) = found(machine, shelf)["requirement-missing"].commands
    assert mend == f"uv pip install --python {machine.python} pyyaml"
    for name in ("cublas", "cudnn", "nccl", "cufft"):
        machine.package(f"nvidia-{name}-cu12", "12.8")
    machine.package("torch-npu", "2.7.1.post2", "torch==2.12.0")
    findings = found(machine, shelf)
    assert " --reinstall torch==" in findings["cuda-build"].commands[0]
    assert (
        findings["installed-twice"].commands[0].split(" && ")
        == [f"uv pip uninstall --python {machine.python} torch-npu"] * 2
    )


def test_every_file_that_pip_and_uv_read(machine: Machine, tmp_path: Path) -> None:
    """In pip's own order, which `pip config debug` prints."""
    text = "[global]\nindex-url = https://index.example/{}\n"
    home, prefix = machine.folder, machine.folder / "env"
    machine.file("etc/xdg/pip/pip.conf", text.format(1))
    machine.file("etc/pip.conf", text.format(2))
    for place in (home / ".pip/pip.conf", home / ".config/pip/pip.conf", prefix / "pip.conf"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.format(3))
    machine.file("etc/xdg/uv/uv.toml", 'index-url = "https://index.example/4"\n')
    (tmp_path / "uv.toml").write_text('index-url = "https://index.example/5"\n')  # above the folder
    told = list(machine.look().installers)
    expected = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / ".pip/pip.conf"]
    expected += [home / ".config/pip/pip.conf", prefix / "pip.conf"]
    assert [one for one in told if one.startswith("pip ")] == [f"pip {one} index-url" for one in expected]
    uv = ["/etc/xdg/uv/uv.toml", tmp_path / "uv.toml"]
    assert [one for one in told if one.startswith("uv ")] == [f"uv {one} index-url" for one in uv]
    named = tmp_path / "named.conf"
    named.write_text(text.format(6))
    machine.environment |= {"PIP_CONFIG_FILE": str(named), "XDG_CONFIG_DIRS": str(tmp_path / "nowhere")}
    told = [one for one in machine.look().installers if one.startswith("pip /")]
    assert told == [f"pip {one} index-url" for one in ("/etc/pip.conf", prefix / "pip.conf", named)]
    machine.environment["PIP_CONFIG_FILE"] = os.devnull
    assert not [one for one in machine.look().installers if one.startswith("pip /")]


def test_every_finding_has_a_check_and_words_in_both_languages() -> None:
    source = (ROOT / "release/wheelmill/pick/doctor/checks.py").read_text(encoding="utf-8")
    for name, row in rows().items():
        assert f'"{name}"' in source, name
        assert row["severity"] in ("error", "warning", "note")
        assert all(row[part][lang] for part in ("title", "detail") for lang in ("en", "zh"))


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = ("ASCEND_", "CANN_", "VIRTUAL_ENV", "CONDA_")
    base = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", "wheelmill", "doctor", *words],
        cwd=ROOT,
        env={**base, "PYTHONPATH": str(ROOT / "release"), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command(machine: Machine) -> None:
    """Exit code 1 when something is wrong; JSON has facts, findings and the pick; zh by the locale."""
    machine.package("torch-npu", "2.12.0", "torch==2.12.0")
    done = doctor("--python", machine.python, "--json")
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    assert data["facts"]["packages"]["torch-npu"]["version"] == "2.12.0"
    assert {"adapter-without-torch", "cann-missing"} <= {one["id"] for one in data["findings"]}
    assert data["pick"]["outcome"] == "pick"
    said = doctor("--python", machine.python, LC_ALL="zh_CN.UTF-8").stdout
    assert "错误：已安装 torch_npu 2.12.0，但没有安装 torch" in said


@pytest.mark.parametrize(
    ("change", "shown", "reason"),
    [
        ('"free_threaded": false/"free_threaded": true', "t, ", "no wheel is for '3.11t'; the wheels"),
        ('"CPython"/"PyPy"', "PyPy 3.11", "no wheel is for 'PyPy 3.11'; the wheels are for CPython with"),
        ('"bits": 64/"bits": 32', "i686", "'i686' has 32 bits; there are wheels for 64 bits only"),
        (f'"{platform.machine()}"/"riscv64"', "riscv64", "no wheel is for 'riscv64'; there are wheels for"),
    ],
)
def test_another_python_than_wheels_are_for(machine: Machine, change: str, shown: str, reason: str) -> None:
    """Its tags are others, and so would be the wheel: it is told, and no wheel of CPython is offered."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if platform.machine() == "aarch64":
        shown, reason = shown.replace("i686", "armv8l"), reason.replace("i686", "armv8l")
    machine.torch(f"2.12.0{CPU}")
    program = machine.folder / "other"
    program.write_text(f"#!/bin/sh\n{machine.python} \"$@\" | sed 's/{change}/'\n", encoding="utf-8")
    program.chmod(0o755)
    done = doctor("--python", str(program), "--no-import", "--json")
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    told = {one["id"]: one for one in data["findings"]}
    assert data["pick"] is None
    assert reason.replace("3.11", version) in told["python-without-wheels"]["detail"]["en"]
    assert "wheel-tags" in told
    done = doctor("--python", str(program), "--no-import")
    assert shown.replace("3.11", version) in done.stdout.splitlines()[0]
    assert "pip3 install" not in done.stdout


def test_a_python_that_is_none() -> None:
    done = doctor("--python", "/no/such/python")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith("error: /no/such/python cannot be examined")


@pytest.mark.parametrize("printed", ["{}", "[]", '{"packages": [{}]}', "hello"])
def test_a_program_that_is_no_python(tmp_path: Path, printed: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{printed}'\n", encoding="utf-8")
    program.chmod(0o755)
    done = doctor("--python", str(program))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith(f"error: {program} cannot be examined")


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("version=8.5.2", "8.5.2"),
        ("\ufeffversion=8.5.0", "8.5.0"),
        ('Version = "8.1.rc1"', "8.1.RC1"),
        ("version=9.0.0-beta.1", "9.0.0-beta.1"),
        ("runtime_running_version=[7.1.0.5.242:8.0.RC1]", "8.0.RC1"),
        ("runtime_running_version=[7.1.T1.0.B105:8.0.RC1]", "8.0.RC1"),
        ("version=CANN-8.5.0", "8.5.0"),
        ("version=V100R001C17", None),
        ("version=8.3.t12.0.b055", None),
        ("version=", None),
    ],
)
def test_the_version_of_a_cann_is_read_or_unknown(tmp_path: Path, line: str, version: str | None) -> None:
    (tmp_path / "version.cfg").write_text(f"# about\n{line}\n", encoding="utf-8")
    assert cann_version(tmp_path, {}) == version
    assert cann_version(tmp_path, {"CANN_SIMULATOR_CANN": "foo"}) == version


def test_of_two_architectures_this_machines_cann_is_read(tmp_path: Path) -> None:
    for arch, version in (("aarch64", "8.0.RC1"), ("x86_64", "8.5.0")):
        folder = tmp_path / f"{arch}-linux"
        folder.mkdir()
        (folder / "ascend_toolkit_install.info").write_text(f"version={version}\n")
    assert cann_version(tmp_path, {}) == {"aarch64": "8.0.RC1", "x86_64": "8.5.0"}[ARCH]


def test_the_newest_cann_that_lies_there_is_found_by_its_number(tmp_path: Path) -> None:
    for version in ("9.1.0", "10.0.0", "9.1.0-beta.1"):
        folder = tmp_path / "usr/local/Ascend" / f"cann-{version}"
        folder.mkdir(parents=True)
        (folder / "version.cfg").write_text(f"version={version}\n")
    facts = look(Options(imports=False, root=tmp_path), {"PATH": os.environ["PATH"]})
    assert facts.cann is not None
    assert facts.cann.home == "/usr/local/Ascend/cann-10.0.0"


def test_places_that_may_not_be_looked_at_are_not_there(tmp_path: Path) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    long = "a" * 5000
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": long, "ASCEND_HOME_PATH": f"/{long}"}
    assert look(Options(imports=False, root=tmp_path), environment).cann is not None
    assert not _there(tmp_path, refuse)
    assert _there(tmp_path)


def test_a_machine_that_no_wheel_is_for_gets_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "loongarch64")
    cli.main(["pick", "-q"], prog_name="wheelmill", standalone_mode=False)
    assert "torch_npu" in capsys.readouterr().out
