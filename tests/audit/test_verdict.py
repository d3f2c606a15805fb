"""What an audit says to people and machines, and what it says of wheels that are not this project's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.prove.audit import RULES, Expectation, audit, render_text, to_json
from wheelmill.wheel.name import parse_name

from tests.audit.conftest import NEEDS_2_34, Compile, expectation, promised
from tests.wheels import Draft

Good = Callable[..., Draft]


def test_every_rule_has_a_title_of_one_sentence() -> None:
    titles = {rule.name: rule.title for rule in RULES}
    assert [name for name, title in titles.items() if not title.endswith(".")] == []
    assert len(titles) == len(RULES)


def test_text_tells_what_to_do_with_a_local_wheel(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    draft.files["torch_npu/lib/libnpu_core.so"] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    text = render_text(audit(draft.write(tmp_path), expectation()))
    assert "local only: needs manylinux_2_34_x86_64, its line is held to manylinux_2_28_x86_64" in text
    assert "GLIBC_2.34 of libc.so.6 for pthread_create: first allowed by manylinux_2_34_x86_64" in text
    assert "(1 error, " in text
    assert text.count("  error ") == 1, "as many as it says"


def test_text_of_a_good_wheel_names_its_tag(good: Good, tmp_path: Path) -> None:
    text = render_text(audit(good().write(tmp_path), expectation()))
    assert text.splitlines()[1].strip().startswith("releasable as manylinux_2_28_x86_64")


def test_json_says_all_that_text_says(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good()
    draft.files["torch_npu/lib/libnpu_core.so"] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation())
    read = json.loads(json.dumps(to_json(verdict)))
    text = render_text(verdict)
    assert all(finding["message"] in text for finding in read["findings"])
    assert len(read["findings"]) == len(verdict.findings) > 0
    assert (read["exit_code"], read["local_only"], read["platform_tag"]) == (3, True, "manylinux_2_34_x86_64")


def test_the_file_name_promises_what_a_foreign_wheel_is_held_to() -> None:
    name = "torch_npu-2.1.0-cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"
    asked = Expectation.from_name(parse_name(name))
    assert (asked.arch, asked.policy, asked.python) == ("aarch64", "manylinux2014", "3.8")
    assert (asked.project, asked.version, asked.row, asked.torch) == ("torch-npu", "2.1.0", None, None)


def test_a_pure_wheel_of_someone_else_is_releasable(tmp_path: Path) -> None:
    draft = Draft(
        headers=["License-Expression: MIT", "License-File: LICENSE", "Requires-Python: >=3.8"],
        files={"demo.py": b"", "demo-1.0.dist-info/licenses/LICENSE": b"MIT"},
    )
    wheel = draft.write(tmp_path)
    verdict = audit(wheel, promised(wheel))
    assert verdict.findings == ()
    assert (verdict.platform_tag, verdict.exit_code) == ("any", 0)


def test_a_foreign_wheel_without_a_policy_stays_local(good: Good, tmp_path: Path) -> None:
    wheel = good().write(tmp_path)
    verdict = audit(wheel, promised(wheel))
    assert (verdict.ok, verdict.local_only, verdict.policy) == (True, True, None)
    assert "held to no platform policy" in render_text(verdict)


@pytest.mark.slow
def test_the_published_wheel_gets_a_sensible_report(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(tmp_path),
    ]
    platform = ["--python-version=3.11", "--platform=manylinux_2_28_x86_64", "--abi=cp311"]
    done = subprocess.run(
        [*command, *platform, "torch_npu==2.13.0"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = f"the configured index does not give torch_npu 2.13.0: {done.stderr.splitlines()[-1:]}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    (wheel,) = tmp_path.glob("*.whl")
    verdict = audit(wheel, promised(wheel))
    told = {(f.rule, f.file.split("/")[-1]) for f in verdict.errors}
    noted = {(f.rule, f.file.split("/")[-1]) for f in verdict.notes}
    assert ("requires-python", "METADATA") in noted
    assert told == set()
    # It is what its tag says in all that its tag can say.
    assert verdict.platform_tag == "manylinux_2_28_x86_64"
