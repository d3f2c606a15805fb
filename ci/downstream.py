"""Tests that other projects wrote, on the simulator with a published torch_npu, held against a record.

    python ci/downstream.py [PROJECT]      # accelerate; or: nox -s weekly -- downstream

A record, `ci/downstream/PROJECT.yaml`, names the version, what its tests need, and every test that fails, by
cause. A test that fails and is not in it ends this with 1, and so does one in it that passes; the page has
the same counts. Everything lies in .wheelmill/downstream/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "ci" / "downstream"
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.console import Console  # noqa: E402


@dataclass(frozen=True)
class Record:
    """What is run, and what is known of it. `causes`: why a test cannot pass -> the tests."""

    project: str
    version: str
    adapter: str
    requires: tuple[str, ...]
    pytest: tuple[str, ...]
    environment: dict[str, str]
    passed: int
    causes: dict[str, tuple[str, ...]]

    @property
    def known(self) -> frozenset[str]:
        """All tests that are known not to pass."""
        return frozenset(test for tests in self.causes.values() for test in tests)


def load(project: str) -> Record:
    """The record of a project."""
    data: dict[str, Any] = yaml.safe_load((RECORDS / f"{project}.yaml").read_text(encoding="utf-8"))
    causes = {cause: tuple(tests) for cause, tests in data["causes"].items()}
    return Record(
        project,
        data["version"],
        data["adapter"],
        tuple(data["requires"]),
        tuple(data["pytest"]),
        data["environment"],
        data["passed"],
        causes,
    )


def prepare(record: Record, home: Path) -> Path:
    """Make an environment with the adapter, the simulator and the project; the folder with its tests."""
    environment = home / "npu"
    wheelmill = (sys.executable, "-m", "wheelmill", "accept", record.adapter, "--group", "creation")
    path = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    subprocess.run([*wheelmill, "--into", str(environment)], check=True, cwd=ROOT, env=path)
    pip = (str(environment / "bin" / "python"), "-m", "pip")
    torch = home / "torch.txt"  # held to the one that the simulator serves
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    torch.write_text("".join(f"{line}\n" for line in frozen.splitlines() if line.startswith("torch==")))
    pinned = f"{record.project}=={record.version}"
    subprocess.run([*pip, "install", "-q", "-c", str(torch), pinned, *record.requires], check=True)
    source = ("download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(home), pinned)
    subprocess.run([*pip, *source], check=True)
    (archive,) = home.glob("*.tar.gz")
    (home / "source").mkdir()
    # Not tarfile's `filter="data"`: Debian 12's Python is older than that.
    unpack = ("tar", "--no-same-owner", "-xf", str(archive), "-C", str(home / "source"))
    subprocess.run(unpack, check=True)
    (folder,) = (home / "source").iterdir()
    return folder


def run(record: Record, home: Path, source: Path) -> Path:
    """Run the tests on the simulator; their report as JUnit's XML."""
    report = home / "report.xml"
    words = ("-m", "pytest", "--cann-simulator", "-q", "-p", "no:cacheprovider", f"--junitxml={report}")
    programs = home / "npu" / "bin"  # the tests start torchrun and the project's own commands
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    environment = {**os.environ, **record.environment, "PATH": path}
    python = str(programs / "python")
    subprocess.run([python, *words, *record.pytest], cwd=source, env=environment, check=False)
    return report


def outcomes(report: Path) -> dict[str, str]:
    """Test -> passed, failed or skipped."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = f"{case.get('classname')}.{case.get('name')}"
        if found.get(name) != "failed":  # a second entry of a test is what failed while it was torn down
            found[name] = outcome
    return found


def differences(record: Record, found: dict[str, str]) -> list[str]:
    """What the record does not say."""
    failed = {test for test, outcome in found.items() if outcome == "failed"}
    new = [f"fails, and is not in the record: {test}" for test in sorted(failed - record.known)]
    old = [f"does not fail any more: {test}" for test in sorted(record.known - failed)]
    passed = Counter(found.values())["passed"]
    count = [] if passed == record.passed else [f"{passed} tests passed, the record says {record.passed}"]
    return [*new, *old, *count]


def main(words: list[str]) -> int:
    """Repeat the run of one project."""
    console, project = Console(), words[0] if words else "accelerate"
    home = ROOT / ".wheelmill" / "downstream" / project
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    record = load(project)
    found = outcomes(run(record, home, prepare(record, home)))
    for outcome, count in sorted(Counter(found.values()).items()):
        console.say(f"{count} {outcome}")
    wrong = differences(record, found)
    for line in wrong:
        console.say(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
