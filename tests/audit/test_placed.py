"""Rules about what an installation leaves on a machine: wheels that break each, and wheels that do not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from wheelmill.prove.audit import RULES, Terms, audit, judge

from tests.audit.conftest import Compile, promised
from tests.wheels import Draft

HEADERS = ["License-Expression: MIT", "License-File: LICENSE", "Requires-Python: >=3.8"]
INFO = "demo-1.0.dist-info"
DATA = "demo-1.0.data"


def pure(project: str = "demo", **more: bytes) -> Draft:
    info = f"{project}-1.0.dist-info"
    return Draft(
        project=project,
        headers=list(HEADERS),
        files={f"{project}/__init__.py": b"", f"{info}/licenses/LICENSE": b"MIT", **more},
    )


def findings(draft: Draft, folder: Path) -> dict[str, list[str]]:
    """Rule -> what it found, notes too."""
    wheel = draft.write(folder)
    told: dict[str, list[str]] = {}
    for finding in audit(wheel, promised(wheel)).findings:
        told.setdefault(finding.rule, []).append(f"{finding.severity} {finding.file}: {finding.message}")
    return told


BROKEN: list[tuple[str, str, dict[str, bytes], str]] = [
    # rule, project, files, what is told
    ("data-schemes", "demo", {f"{DATA}/stray.txt": b"1"}, "is in none of purelib, platlib"),
    ("data-schemes", "demo", {f"{DATA}/etc/x.conf": b"1"}, "is in none of purelib, platlib"),
    ("data-schemes", "demo", {"other-2.0.data/purelib/x.py": b""}, "the wheel's own is demo-1.0.data"),
    ("data-schemes", "demo", {f"{DATA}/data/lib/python3.11/site-packages/x.py": b""}, "scheme for data"),
    (
        "one-place-each",
        "demo",
        {f"{DATA}/purelib/demo/__init__.py": b"evil"},
        "is installed as demo/__init__.py",
    ),
    ("one-place-each", "demo", {"demo/__init__.py/x.py": b""}, "is a file of the wheel"),
    ("foreign-files", "demo", {"torch/__init__.py": b""}, "belongs to torch"),
    ("foreign-files", "demo", {f"{DATA}/platlib/torch/__init__.py": b""}, "belongs to torch"),
    ("foreign-files", "demo", {"yaml/__init__.py": b""}, "belongs to pyyaml"),
    ("foreign-files", "demo", {"torch-9.dist-info/METADATA": b""}, "another project's record"),
    ("start-hooks", "demo", {"demo.pth": b"/tmp/elsewhere\n"}, "outside of site-packages"),
    ("start-hooks", "demo", {"sitecustomize.py": b""}, "is run by every Python"),
    ("start-hooks", "demo", {"usercustomize/__init__.py": b""}, "is run by every Python"),
    ("scripts", "demo", {f"{DATA}/scripts/pip": b"#!python\n"}, "the command pip takes the place"),
    ("scripts", "demo", {f"{DATA}/data/bin/python3": b"#!python\n"}, "the command python3 takes the place"),
    ("scripts", "demo", {f"{INFO}/entry_points.txt": b"[console_scripts]\npip3.11 = demo:main\n"}, "pip3.11"),
    (
        "scripts",
        "demo",
        {f"{INFO}/entry_points.txt": b"[console_scripts]\n../../evil = demo:main\n"},
        "leads out",
    ),
    (
        "entry-points",
        "demo",
        {f"{INFO}/entry_points.txt": b"[console_scripts]\ndemo = demo\n"},
        "no function",
    ),
    (
        "entry-points",
        "demo",
        {f"{INFO}/entry_points.txt": b"[torch.backends\ndemo = demo:x\n"},
        "cannot be read",
    ),
    ("entry-points", "demo", {f"{INFO}/entry_points.txt": b"[x]\na = os; system\n"}, "names no object"),
    ("entry-points", "demo", {f"{INFO}/entry_points.txt": b"[x]\na = \xff\n"}, "cannot be read"),
    ("entry-points", "demo", {f"{INFO}/entry_points.txt": b"[x]\na = b\na = c\n"}, "cannot be read"),
]


@pytest.mark.parametrize(("rule", "project", "files", "said"), BROKEN, ids=lambda value: str(value)[:40])
def test_what_breaks_a_rule_is_an_error_that_names_it(
    tmp_path: Path, rule: str, project: str, files: dict[str, bytes], said: str
) -> None:
    told = findings(pure(project, **files), tmp_path)
    assert any(said in text and text.startswith("error") for text in told.get(rule, [])), told


@pytest.mark.parametrize(
    ("project", "files"),
    [
        (
            "demo",
            {f"{DATA}/purelib/other.py": b"", f"{DATA}/data/share/demo/x": b"", f"{DATA}/headers/x.h": b""},
        ),
        ("demo", {f"{DATA}/scripts/demo-tool": b"#!python\n"}),
        ("torch", {"torchgen/__init__.py": b""}),
        (
            "pip",
            {"pip-1.0.dist-info/entry_points.txt": b"[console_scripts]\npip = pip:main\npip3 = pip:main\n"},
        ),
        (
            "demo",
            {"demo/sub/torch/__init__.py": b"", "demo/sitecustomize.py": b"", "demo/x.pth": b"import x\n"},
        ),
        ("demo", {f"{INFO}/entry_points.txt": b"[torch.backends]\ndemo = demo:_autoload\n"}),
        ("demo", {f"{INFO}/entry_points.txt": b"[x.y]\nA.b = demo.sub : Class.method [extra]\nc = demo\n"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_keeps_the_rules_has_no_finding(tmp_path: Path, project: str, files: dict[str, bytes]) -> None:
    assert findings(pure(project, **files), tmp_path) == {}


def test_a_path_file_inside_site_packages_is_noted(tmp_path: Path) -> None:
    told = findings(pure(**{"demo.pth": b"# of demo\ndemo/plugins\n"}), tmp_path)
    assert told == {"start-hooks": ["note demo.pth: adds 'demo/plugins' to every Python's path"]}


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o104755, "it runs as its owner"),
        (0o102755, "it runs as its owner"),
        (0o020644, "is a device"),
        (0o060644, "is a device"),
        (0o010644, "is a pipe"),
        (0o140644, "a socket"),
        (0o040755, "marked as a folder"),
        (0o100755, None),
        (0o100600, None),
        (0, None),
    ],
    ids=str,
)
def test_modes_that_give_rights_away_are_errors(tmp_path: Path, mode: int, said: str | None) -> None:
    draft = pure()
    draft.modes["demo/__init__.py"] = mode
    told = findings(draft, tmp_path)
    assert [said in text for text in told.get("file-modes", [])] == [True] * (said is not None), told
    assert set(told) <= {"file-modes"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("demo/\u202egnp.py", "direction of writing"),
        ("demo/a\u200bb.py", "direction of writing"),
        ("demo/cafe\u0301.py", "composed form"),
        ("demo/con.py", "Windows"),
        ("demo/LPT1", "Windows"),
        ("demo/x. ", "Windows"),
        ("demo/\x7f.py", "control"),
        ("demo/" + "x" * 300, "longer than 255"),
        ("/".join(["demo", *["x" * 200] * 6]), "longer than 255"),
        ("demo/\u00e9t\u00e9.py", None),
        ("demo/\u6a21\u578b.py", None),
        ("demo/console.py", None),
    ],
    ids=ascii,
)
def test_names_that_read_as_others_are_errors(tmp_path: Path, name: str, said: str | None) -> None:
    told = findings(pure(**{name: b""}), tmp_path)
    assert [said in text for text in told.get("zip-names", [])] == [True] * (said is not None), told
    assert said is not None or told == {}


def test_a_build_tag_and_build_differ(tmp_path: Path) -> None:
    draft = pure()
    draft.wheel = "Wheel-Version: 1.0\nBuild: 1\nRoot-Is-Purelib: true\nTag: py3-none-any"
    wheel = draft.write(tmp_path / "x")
    for tag, good in (("1", True), ("2", False), (None, False)):
        renamed = tmp_path / ("-".join(filter(None, ("demo-1.0", tag, "py3-none-any"))) + ".whl")
        renamed.write_bytes(wheel.read_bytes())
        told = [f.message for f in audit(renamed, promised(renamed)).findings]
        assert (told == []) == good, told


def test_a_house_rule_is_asked_of_what_was_made_here_alone(tmp_path: Path) -> None:
    """The recipe in the .dist-info tells; a foreign wheel without a license expression gets a note."""
    draft = pure()
    draft.headers = ["Requires-Dist: torch>=2.4"]
    told = findings(draft, tmp_path / "foreign")
    assert {text.split()[0] for texts in told.values() for text in texts} == {"note"}
    draft.files["demo.pth"] = b"import demo\n"
    draft.modes["demo/__init__.py"] = 0o100777
    told = findings(draft, tmp_path / "allowed")
    assert {text.split()[0] for texts in told.values() for text in texts} == {"note"}
    assert {"start-hooks", "file-modes"} <= set(told)
    draft.files[f"{INFO}/recipe.json"] = b"{}"
    draft.files["other.py"] = b""
    told = findings(draft, tmp_path / "own")
    assert {rule for rule, texts in told.items() if texts[0].startswith("error")} == {
        *("requires-python", "torch-pin", "license-expression", "foreign-files", "sbom"),
        *("start-hooks", "file-modes"),
    }


def test_a_project_is_held_to_the_rules_that_its_file_names(tmp_path: Path) -> None:
    draft = pure()
    draft.headers = ["Requires-Python: >=3.8", "Requires-Dist: torch>=2.4"]
    draft.files["other.py"] = b""
    wheel = draft.write(tmp_path)

    def errors(*rules: str, project: str = "demo") -> set[str]:
        return {one.rule for one in judge(wheel, terms=Terms(project, frozenset(rules))).errors}

    assert errors() == set()
    assert errors("torch-pin") == {"torch-pin"}
    assert errors("license-expression") == {"license-expression"}
    assert errors("one-package") == {"foreign-files"}
    assert errors("torch-pin", project="else") == set(), "the wheel of another project"


# ------------------------------------------------------------------------------------- native files, placed
LIBRARY = "int k(void) { return 2; }"
BARE = ("-nostdlib", "-Wl,-z,relro", "-Wl,-z,noexecstack")
PLATFORM = "py3-none-manylinux_2_17_x86_64"


def native(files: dict[str, bytes], tag: str = PLATFORM, project: str = "demo") -> Draft:
    draft = pure(project, **files)
    draft.tag, draft.purelib = tag, False
    return draft


def test_libraries_are_looked_for_where_they_are_installed(tmp_path: Path, compile_library: Compile) -> None:
    k = compile_library(LIBRARY, *BARE, name="libk.so")
    user = compile_library(
        "int k(void); int f(void) { return k(); }",
        *BARE,
        "-Wl,-rpath,$ORIGIN/libs",
        name="x.so",
        needs={"libk.so": k},
    )
    placed = native({f"{DATA}/platlib/demo/x.so": user, "demo/libs/libk.so": k})
    assert findings(placed, tmp_path / "good") == {}
    beside = native({f"{DATA}/platlib/other/x.so": user, "demo/libs/libk.so": k})
    assert "RUNPATH does not look" in findings(beside, tmp_path / "bad")["elf-needed"][0]


@pytest.mark.parametrize(
    ("name", "path", "good"),
    [
        ("demo/lib/x.so", "$ORIGIN/../../../../lib", False),
        (f"{DATA}/platlib/demo/x.so", "$ORIGIN/../../../evil", False),
        (f"{DATA}/platlib/demo/x.so", "$ORIGIN/../libs", True),
        (f"{DATA}/scripts/x.so", "$ORIGIN/../lib/demo", True),
        (f"{DATA}/scripts/x.so", "$ORIGIN/../../lib", False),
    ],
)
def test_a_run_path_is_judged_where_the_file_is_installed(
    tmp_path: Path, compile_library: Compile, name: str, path: str, good: bool
) -> None:
    library = compile_library(LIBRARY, *BARE, f"-Wl,-rpath,{path}", name="x.so")
    told = findings(native({name: library}), tmp_path)
    assert ("run-path" not in told) == good, told


def test_native_files_under_a_pure_tag_are_errors(tmp_path: Path, compile_library: Compile) -> None:
    told = findings(
        native({"demo/k.so": compile_library(LIBRARY, *BARE, name="k.so")}, "py3-none-any"), tmp_path
    )
    assert told == {
        "platform-tag": ["error demo/k.so: is built for x86_64, and the tag `any` promises every machine"]
    }


@pytest.mark.parametrize(
    ("name", "tag", "said"),
    [
        ("_c.cpython-310-x86_64-linux-gnu.so", "cp311-cp311-manylinux_2_17_x86_64", "for Python 3.10 alone"),
        (
            "_c.cpython-311-aarch64-linux-gnu.so",
            "cp311-cp311-manylinux_2_17_x86_64",
            "for aarch64 by its name",
        ),
        ("_c.cpython-311-x86_64-linux-musl.so", "cp311-cp311-manylinux_2_17_x86_64", "for musl by its name"),
        ("_c.cpython-313-x86_64-linux-gnu.so", "cp313-cp313t-manylinux_2_17_x86_64", "for Python 3.13 alone"),
        ("_c.cpython-311-x86_64-linux-gnu.so", "py3-none-manylinux_2_17_x86_64", "for Python 3.11 alone"),
        ("_c.cpython-311-x86_64-linux-gnu.so", "cp311-cp311-manylinux_2_17_x86_64", None),
        ("_c.cpython-313t-x86_64-linux-gnu.so", "cp313-cp313t-manylinux_2_17_x86_64", None),
        ("_c.abi3.so", "cp311-abi3-manylinux_2_17_x86_64", None),
        ("_c.so", "cp311-cp311-manylinux_2_17_x86_64", None),
    ],
)
def test_an_extension_of_another_python_is_named(
    tmp_path: Path, compile_library: Compile, name: str, tag: str, said: str | None
) -> None:
    library = compile_library(LIBRARY, *BARE, name="k.so")
    told = findings(native({f"demo/{name}": library}, tag), tmp_path)
    assert [name in text and said in text for text in told.get("extension-tags", [])] == [True] * (
        said is not None
    ), told


@pytest.mark.parametrize(
    ("flags", "rule", "said"),
    [
        (("-Wl,--audit=/tmp/evil.so",), "loader-hooks", "DT_AUDIT /tmp/evil.so"),
        (("-Wl,--depaudit=/tmp/evil.so",), "loader-hooks", "DT_DEPAUDIT /tmp/evil.so"),
        (("-Wl,-f,/tmp/evil.so",), "loader-hooks", "DT_AUXILIARY /tmp/evil.so"),
        (("-Wl,-F,libother.so",), "loader-hooks", "DT_FILTER libother.so"),
        (("-Wl,--omagic",), "writable-code", "both written and executed"),
        ((), None, ""),
    ],
)
def test_what_makes_the_loader_do_more_is_an_error(
    tmp_path: Path, compile_library: Compile, flags: tuple[str, ...], rule: str | None, said: str
) -> None:
    told = findings(native({"demo/k.so": compile_library(LIBRARY, *BARE, *flags, name="k.so")}), tmp_path)
    assert rule is None or said in told[rule][0], told
    assert rule is not None or told == {}


def test_relocations_in_code_are_an_error(tmp_path: Path, compile_library: Compile) -> None:
    source = 'int k(void); __asm__(".text\\n.globl k\\nk: ret\\n.quad k\\n");'
    library = compile_library(source, *BARE, "-Wl,-z,notext", name="k.so")
    assert "relocations in its code" in findings(native({"demo/k.so": library}), tmp_path)["writable-code"][0]


TABLE = "static int a, b, c; int *t[] = {&a, &b, &c}; int *g(int i) { return t[i]; }"


def test_packed_relocations_that_no_symbol_tells_of_need_a_new_loader(
    tmp_path: Path, compile_library: Compile
) -> None:
    library = compile_library(TABLE, *BARE, "-Wl,-z,pack-relative-relocs", name="k.so")
    told = findings(native({"demo/k.so": library}, "py3-none-manylinux_2_28_x86_64"), tmp_path / "old")
    assert "manylinux_2_36_x86_64" in told["tag-matches-symbols"][0]
    told = findings(native({"demo/k.so": library}, "py3-none-musllinux_1_2_x86_64"), tmp_path / "musl")
    assert "linux_x86_64" in told["tag-matches-symbols"][0]
    assert findings(native({"demo/k.so": library}, "py3-none-manylinux_2_36_x86_64"), tmp_path / "new") == {}


def test_a_function_that_musl_lacks_is_named(tmp_path: Path, compile_library: Compile) -> None:
    source = "int backtrace(void **, int); int f(void **a) { return backtrace(a, 1); }"
    library = compile_library(source, *BARE, name="k.so")
    told = findings(native({"demo/k.so": library}, "py3-none-musllinux_1_2_x86_64"), tmp_path / "musl")
    assert "uses backtrace" in told["musl-symbols"][0]
    assert "musl-symbols" not in findings(native({"demo/k.so": library}), tmp_path / "glibc")


@pytest.fixture
def object_file(tmp_path: Path) -> bytes:
    import subprocess

    (tmp_path / "k.c").write_text("int f(void) { return 1; }")
    subprocess.run(["gcc", "-c", "-o", "k.o", "k.c"], cwd=tmp_path, check=True)
    return (tmp_path / "k.o").read_bytes()


def test_an_object_file_is_data_and_no_library(
    tmp_path: Path, compile_library: Compile, object_file: bytes
) -> None:
    library = compile_library(LIBRARY, *BARE, name="k.so")
    assert findings(native({"demo/k.so": library, "demo/kernels/k.o": object_file}), tmp_path / "o") == {}
    told = findings(native({"demo/k.so": library, "demo/l.so": object_file}), tmp_path / "so")
    assert "is named as a library" in told["elf-readable"][0]


def test_a_musl_tag_on_files_for_glibc_is_refused_with_the_reason(
    tmp_path: Path, compile_library: Compile
) -> None:
    library = compile_library("int atoi(char *); int f(char *a) { return atoi(a); }", name="k.so")
    told = findings(native({"demo/k.so": library}, "py3-none-musllinux_1_2_x86_64"), tmp_path)
    assert "needs libc.so.6" in told["elf-needed"][0]
    assert "elf-readable" not in told


def test_every_rule_has_a_test_that_breaks_it() -> None:
    """By its name: a rule that no test names is one whose failure nobody would see."""
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [rule.name for rule in RULES if rule.name not in texts] == []


def test_folders_in_an_archive_are_no_files(tmp_path: Path) -> None:
    wheel = pure().write(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(zipfile.ZipInfo("demo/"), b"")
    assert audit(wheel, promised(wheel)).findings == ()
