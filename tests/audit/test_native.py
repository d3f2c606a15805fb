"""Native rules: each finds its violation in a wheel that is good otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.prove.audit import Allowed, AuditError, Finding, Verdict, audit, judge

from tests.audit.conftest import CORE, GLUE, NEEDS_2_34, Compile, expectation
from tests.wheels import Draft

Good = Callable[..., Draft]
CORE_FILE = "torch_npu/lib/libnpu_core.so"
GLUE_FILE = "torch_npu/lib/libtorch_npu.so"


def found(verdict: Verdict, rule: str) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.rule == rule]


def rules(verdict: Verdict) -> set[str]:
    return {finding.rule for finding in verdict.findings if finding.severity == "error"}


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_good_wheel_of_either_machine_is_releasable_here(good: Good, tmp_path: Path, arch: str) -> None:
    verdict = audit(good(arch).write(tmp_path), expectation(arch))
    assert rules(verdict) == set()
    assert verdict.releasable
    assert verdict.exit_code == 0
    assert verdict.native_files == 2
    assert verdict.release_tag == f"manylinux_2_28_{arch}"


def test_a_good_wheel_has_all_its_symbols(good: Good, tmp_path: Path, sdk: Path) -> None:
    verdict = audit(good().write(tmp_path), expectation(), sdk_lib=sdk)
    assert found(verdict, "undefined-symbols") == []


def test_the_release_tag_carries_the_legacy_alias(good: Good, tmp_path: Path) -> None:
    verdict = audit(good().write(tmp_path), expectation(policy="manylinux_2_17"))
    assert verdict.release_tag == "manylinux_2_17_x86_64.manylinux2014_x86_64"


def test_a_symbol_above_the_policy_is_named_with_file_version_and_first_platform(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    draft.files[CORE_FILE] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation(policy="manylinux_2_17"))
    (finding,) = found(verdict, "platform-policy")
    assert finding.file == CORE_FILE
    assert finding.data["version"] == "GLIBC_2.34"
    assert finding.data["symbols"] == ["pthread_create"]
    assert finding.data["first_policy"] == "manylinux_2_34_x86_64"
    assert "pthread_create" in finding.message
    assert verdict.platform_tag == "manylinux_2_34_x86_64"


def test_a_wheel_above_its_policy_is_local_only(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good()
    draft.files[CORE_FILE] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation(policy="manylinux_2_28"))
    assert (verdict.ok, verdict.releasable, verdict.local_only) == (True, False, True)
    assert verdict.release_tag is None
    assert verdict.exit_code == 3


def test_a_tag_that_promises_an_older_platform_is_refused(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    draft.tag = "cp311-cp311-manylinux_2_17_x86_64"
    draft.files[CORE_FILE] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation(policy="manylinux_2_34"))
    (finding,) = found(verdict, "tag-matches-symbols")
    assert "GLIBC_2.34" in finding.message
    assert verdict.exit_code == 1


def test_the_other_machines_file_is_found(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good("aarch64")
    draft.files[CORE_FILE] = compile_library(CORE, name="libnpu_core.so", arch="x86_64")
    verdict = audit(draft.write(tmp_path), expectation("aarch64"))
    (finding,) = found(verdict, "elf-machine")
    assert (finding.file, "x86_64" in finding.message) == (CORE_FILE, True)


def test_a_wheel_tagged_for_another_machine_than_the_row_is_found(good: Good, tmp_path: Path) -> None:
    verdict = audit(good("aarch64").write(tmp_path), expectation("x86_64"))
    assert "elf-machine" in rules(verdict)
    assert not verdict.ok


def test_a_library_off_the_allow_list_is_found(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    stray = compile_library("int stray(void) { return 0; }", name="libstray.so.3")
    draft = good()
    draft.files[CORE_FILE] = compile_library(CORE, name="libnpu_core.so", needs={"libstray.so.3": stray})
    verdict = audit(draft.write(tmp_path), expectation())
    (finding,) = found(verdict, "elf-needed")
    assert finding.data["library"] == "libstray.so.3"


def test_an_allow_list_entry_that_matches_nothing_is_found(good: Good, tmp_path: Path) -> None:
    asked = expectation()
    asked = dataclasses.replace(asked, allowed=(*asked.allowed, Allowed("libascendcl.so")))
    verdict = audit(good().write(tmp_path), asked)
    (finding,) = found(verdict, "allow-list-matched")
    assert finding.data["pattern"] == "libascendcl.so"
    assert not verdict.ok


def test_an_optional_allow_list_entry_may_match_nothing(good: Good, tmp_path: Path) -> None:
    asked = expectation()
    asked = dataclasses.replace(asked, allowed=(*asked.allowed, Allowed("libascendcl.so", required=False)))
    assert audit(good().write(tmp_path), asked).ok


def test_needing_libtorch_python_is_found(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    python = compile_library("int THPVariable_Wrap(void) { return 0; }", name="libtorch_python.so")
    draft = good()
    draft.files[CORE_FILE] = compile_library(
        CORE, name="libnpu_core.so", needs={"libtorch_python.so": python}
    )
    asked = dataclasses.replace(
        expectation(), allowed=(*expectation().allowed, Allowed("libtorch_python.so"))
    )
    (finding,) = found(audit(draft.write(tmp_path), asked), "no-libpython")
    assert finding.data["libraries"] == ["libtorch_python.so"]


@pytest.mark.parametrize(
    "symbol", ["PyErr_SetString", "_Py_Dealloc", "THPVariable_Wrap", "_Z16THPVariable_Wrapv"]
)
def test_a_python_symbol_is_found_without_the_library(
    good: Good, compile_library: Compile, tmp_path: Path, symbol: str
) -> None:
    draft = good()
    source = f"int {symbol}(void); int npu_core(char *a) {{ return {symbol}(); }}"
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so")
    (finding,) = found(audit(draft.write(tmp_path), expectation()), "no-libpython")
    assert finding.data["symbols"] == [symbol]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("/builds/torch/lib", "/builds/torch/lib"),
        ("$ORIGIN/../../..", "outside"),
        ("lib", "lib"),
        ("$ORIGIN:", "empty"),
    ],
)
def test_a_run_path_that_leaks_is_found(
    good: Good, compile_library: Compile, tmp_path: Path, entry: str, told: str
) -> None:
    draft = good()
    draft.files[CORE_FILE] = compile_library(CORE, f"-Wl,-rpath,{entry}", name="libnpu_core.so")
    (finding,) = found(audit(draft.write(tmp_path), expectation()), "run-path")
    assert told in finding.message


def test_a_run_path_to_a_sibling_package_is_fine(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    flag = "-Wl,-rpath,$ORIGIN:${ORIGIN}/../../torch/lib"
    draft.files[CORE_FILE] = compile_library(CORE, flag, name="libnpu_core.so")
    assert audit(draft.write(tmp_path), expectation()).ok


def test_an_executable_stack_is_refused(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good()
    draft.files[CORE_FILE] = compile_library(CORE, "-Wl,-z,execstack", name="libnpu_core.so")
    assert found(audit(draft.write(tmp_path), expectation()), "executable-stack")[0].file == CORE_FILE


def test_missing_relro_is_noted(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good()
    draft.files[CORE_FILE] = compile_library(CORE, "-Wl,-z,norelro", name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation())
    assert [f.file for f in found(verdict, "relro")] == [CORE_FILE]
    assert verdict.ok


def test_a_source_path_of_the_build_machine_is_noted(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    source = 'const char *here = "/home/someone/adapter/core/loader.cpp";' + CORE
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so")
    (finding,) = found(audit(draft.write(tmp_path), expectation()), "build-path")
    assert finding.data["paths"] == ["/home/someone/adapter/core/loader.cpp"]


def test_a_given_build_root_is_looked_for(good: Good, compile_library: Compile, tmp_path: Path) -> None:
    draft = good()
    source = 'const char *here = "x=/srv/build-17/out";' + CORE
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so")
    asked = dataclasses.replace(expectation(), build_roots=("/srv/build-17",))
    (finding,) = found(audit(draft.write(tmp_path), asked), "build-path")
    assert finding.data["paths"] == ["/srv/build-17"]


def test_an_undefined_symbol_is_named(
    good: Good, compile_library: Compile, tmp_path: Path, sdk: Path
) -> None:
    draft = good()
    source = "int gone_from_torch(void); int npu_core(char *a) { return gone_from_torch(); }"
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so")
    (finding,) = found(audit(draft.write(tmp_path), expectation(), sdk_lib=sdk), "undefined-symbols")
    assert (finding.file, finding.data["symbols"]) == (CORE_FILE, ["gone_from_torch"])


def test_a_symbol_of_a_library_that_the_file_does_not_need_is_undefined(
    good: Good, compile_library: Compile, tmp_path: Path, sdk: Path
) -> None:
    draft = good()
    source = "int torch_function(void); int stray(void) { return torch_function(); }"
    draft.files["torch_npu/lib/libstray.so"] = compile_library(source, name="libstray.so")
    (finding,) = found(audit(draft.write(tmp_path), expectation(), sdk_lib=sdk), "undefined-symbols")
    assert (finding.severity, finding.data["symbols"]) == ("error", ["torch_function"])


@pytest.mark.parametrize("symbol", ["glue", "torch_function"])
def test_a_symbol_that_only_the_loading_file_brings_is_noted(
    good: Good, compile_library: Compile, tmp_path: Path, sdk: Path, symbol: str
) -> None:
    """libtorch_npu.so needs libnpu_core.so, so the loader looks into it and its libraries too."""
    draft = good()
    source = f"int {symbol}(void); int npu_core(char *a) {{ return {symbol}(); }}"
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so")
    verdict = audit(draft.write(tmp_path), expectation(), sdk_lib=sdk)
    (finding,) = found(verdict, "undefined-symbols")
    assert (finding.severity, finding.data["symbols"], verdict.ok) == ("note", [symbol], True)


def test_symbols_of_a_library_outside_of_the_sdk_are_not_judged(
    good: Good, compile_library: Compile, tmp_path: Path, sdk: Path
) -> None:
    draft = good()
    cann = compile_library("int aclInit(void) { return 0; }", name="libascendcl.so")
    source = "int aclInit(void); int npu_core(char *a) { return aclInit(); }"
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so", needs={"libascendcl.so": cann})
    asked = dataclasses.replace(expectation(), allowed=(*expectation().allowed, Allowed("libascendcl.so")))
    verdict = audit(draft.write(tmp_path), asked, sdk_lib=sdk)
    (finding,) = found(verdict, "undefined-symbols")
    assert (finding.severity, finding.data["symbols"]) == ("note", ["aclInit"])
    assert "libascendcl.so" in finding.message


def test_a_symbol_behind_a_needed_library_is_defined(
    good: Good,
    compile_library: Compile,
    torch_libraries: Callable[[str], dict[str, bytes]],
    tmp_path: Path,
    sdk: Path,
) -> None:
    draft = good()
    source = "int c10_function(void); int npu_core(char *a) { return c10_function(); }"
    needs = {"libtorch_cpu.so": torch_libraries("x86_64")["libtorch_cpu.so"]}
    draft.files[CORE_FILE] = compile_library(source, name="libnpu_core.so", needs=needs)
    assert found(audit(draft.write(tmp_path), expectation(), sdk_lib=sdk), "undefined-symbols") == []


def test_without_an_sdk_the_verdict_says_that_symbols_were_not_looked_up(good: Good, tmp_path: Path) -> None:
    assert found(audit(good().write(tmp_path), expectation()), "undefined-symbols")[0].severity == "note"


def test_a_directory_without_torch_is_no_sdk(good: Good, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"libc10\.so"):
        audit(good().write(tmp_path), expectation(), sdk_lib=tmp_path)


def test_a_library_out_of_reach_of_the_run_path_is_noted(
    good: Good, compile_library: Compile, torch_libraries: Callable[[str], dict[str, bytes]], tmp_path: Path
) -> None:
    draft = good()
    needs = {**torch_libraries("x86_64"), "libnpu_core.so": draft.files[CORE_FILE]}
    draft.files[GLUE_FILE] = compile_library(GLUE, name="libtorch_npu.so", needs=needs)
    (finding,) = found(audit(draft.write(tmp_path), expectation()), "elf-needed")
    assert (finding.severity, "torch_npu/lib" in finding.message) == ("note", True)


TORCH_ONLY = "needs libc10.so, which torch brings, and no Requires-Dist names torch"


@pytest.mark.parametrize(
    ("asked", "severities"),
    [
        ([], ["error"]),
        (['torch==2.13.0; extra == "torch"'], ["error"]),
        (["numpy"], ["note"]),
        (["torch==2.13.0"], []),
        (['torch>=2; python_version >= "3.9"', "numpy"], []),
        (["torch-npu==2.13.0"], []),
    ],
)
def test_a_library_of_torch_comes_with_a_requirement(
    tmp_path: Path,
    compile_library: Compile,
    torch_libraries: Callable[[str], dict[str, bytes]],
    asked: list[str],
    severities: list[str],
) -> None:
    """Without one the wheel installs, and its import ends in `libc10.so: cannot open shared object file`."""
    needs = {"libc10.so": torch_libraries("x86_64")["libc10.so"]}
    library = compile_library("int f(void) { return 1; }", "-nostdlib", name="k.so", needs=needs)
    draft = Draft(
        tag="py3-none-manylinux_2_17_x86_64",
        headers=["Requires-Python: >=3.8", *(f"Requires-Dist: {one}" for one in asked)],
        files={"demo/k.so": library},
        purelib=False,
    )
    verdict = judge(draft.write(tmp_path))
    told = found(verdict, "library-brought")
    assert [finding.severity for finding in told] == severities
    assert all(finding.message == TORCH_ONLY for finding in told)
    draft.files["demo/libc10.so"] = needs["libc10.so"]
    assert found(judge(draft.write(tmp_path)), "library-brought") == []


@pytest.mark.parametrize(
    ("library", "brings"),
    [
        ("libascendcl.so", "CANN"),
        ("libacl_op_compiler.so", "CANN"),
        ("libascend_protobuf.so.3.13.0.0", "CANN"),
        ("libhccl.so", "CANN"),
        ("libopapi_math.so", "CANN"),
        ("libpython3.11.so.1.0", "Python"),
        ("libacl.so.1", None),
        ("libgraph5.so", None),
        ("libruntime.so.4", None),
        ("libascendcl.so.1", None),
        ("libhcclx.so", None),
    ],
)
def test_a_library_of_cann_is_told_and_no_other_is_taken_for_one(
    tmp_path: Path, compile_library: Compile, library: str, brings: str | None
) -> None:
    """Nothing in the metadata can bring CANN, so its libraries are allowed by name: by their own alone."""
    needs = {library: compile_library("int g(void) { return 1; }", "-nostdlib", name=library)}
    native = compile_library("int f(void) { return 1; }", "-nostdlib", name="k.so", needs=needs)
    draft = Draft(
        tag="py3-none-manylinux_2_17_x86_64",
        headers=["Requires-Python: >=3.8"],
        files={"demo/k.so": native},
        purelib=False,
    )
    verdict = judge(draft.write(tmp_path))
    told = [one.message for one in found(verdict, "library-by-hand")]
    missing = found(verdict, "elf-needed")
    if brings is None:
        assert (told, [one.severity for one in missing]) == ([], ["error"])
    else:
        assert told == [f"needs {library}, which {brings} brings and no Requires-Dist can name"]
        assert missing == []
    draft.files[f"demo/{library}"] = needs[library]
    assert found(judge(draft.write(tmp_path)), "library-by-hand") == []


def test_an_elf_file_in_purelib_is_found(good: Good, tmp_path: Path) -> None:
    draft = good()
    draft.files["torch_npu-2.13.0.data/purelib/torch_npu/libnpu_core.so"] = draft.files[CORE_FILE]
    assert "elf-in-platlib" in rules(audit(draft.write(tmp_path), expectation()))


@pytest.mark.parametrize("keep", [20, 100, 700])
def test_a_cut_off_elf_file_is_a_finding_and_no_traceback(good: Good, tmp_path: Path, keep: int) -> None:
    draft = good()
    draft.files[CORE_FILE] = draft.files[CORE_FILE][:keep]
    assert "elf-readable" in rules(audit(draft.write(tmp_path), expectation()))


def test_a_policy_that_does_not_exist_is_one_clear_error(good: Good, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"no platform policy manylinux_2_29 .*\nKnown: .*manylinux_2_28"):
        audit(good().write(tmp_path), expectation(policy="manylinux_2_29"))


def test_a_wheel_built_again_under_its_name_is_judged_anew(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    draft = good()
    assert audit(draft.write(tmp_path), expectation()).releasable
    draft.files[CORE_FILE] = compile_library(NEEDS_2_34, name="libnpu_core.so")
    assert audit(draft.write(tmp_path), expectation()).local_only
