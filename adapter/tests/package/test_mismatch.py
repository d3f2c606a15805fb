"""A torch or a CANN that the wheel was not made for is named, with the wheel to take instead."""

import pytest
import torch
from npu_testing import environment, environment_without_cann, needs_autoload, run, stamped_copy
from torch_npu._row import (
    Row,
    cann_key,
    cann_mismatch,
    known_rows,
    required_torch,
    stamped_row,
    torch_mismatch,
    torch_unproven,
)

TORCH = torch.__version__.split("+")[0]


def row(cann="7.0.RC1", torch=TORCH, adapter="1.2.3rc1", branch="v1.2.3-5.0.rc3"):
    return {"cann": cann, "torch": torch, "adapter": adapter, "branch": branch}


def stamp(serves=(), proven=(), **changes):
    stamped = {"schema": 1, "python": "3.11", "arch": "x86_64", "recipe": "0" * 64, **row(**changes)}
    return {**stamped, "serves": list(serves), "proven": list(proven)}


NEWER = row(cann="8.0.RC1", adapter="1.2.3.post4", branch="v1.2.3-6.0.rc1")


# ---- another CANN ----------------------------------------------------------------------------


def import_under_cann(tmp_path, version, rows=None):
    env = environment(PYTHONPATH=stamped_copy(tmp_path, stamp(), rows), CANN_SIMULATOR_CANN=version)
    done = run("import torch_npu, torch; torch.ones(2).npu(); print(torch_npu.__version__)", env=env)
    assert (done.returncode, done.stdout.strip()) == (0, "1.2.3rc1"), done.stderr
    return done.stderr


def test_another_cann_is_one_warning_with_both_versions_and_the_wheel_to_take(tmp_path):
    text = import_under_cann(tmp_path, "8.0.RC1", [row(), NEWER])
    assert text.count("RuntimeWarning") == 1
    assert "made for CANN 7.0.RC1" in text
    assert "CANN 8.0.RC1 was loaded" in text
    assert "take line v1.2.3-6.0.rc1: pip install torch_npu==1.2.3.post4" in text


def test_without_a_table_the_warning_still_says_what_to_do(tmp_path):
    assert "Source CANN 7.0.RC1, or install the torch_npu whose line is made for CANN 8.0.RC1" in (
        import_under_cann(tmp_path, "8.0.RC1")
    )


@pytest.mark.parametrize("spelling", ["7.0.RC1", "7.0.0.RC1"])
def test_the_right_cann_is_silent(tmp_path, spelling):
    assert import_under_cann(tmp_path, spelling, [row(), NEWER]) == ""


def test_the_simulator_left_alone_serves_every_line(tmp_path):
    env = environment(PYTHONPATH=stamped_copy(tmp_path, stamp()), CANN_SIMULATOR_CANN=None)
    assert run("import torch_npu", env=env).stderr == ""


def test_a_cann_with_lines_for_other_torch_versions_only():
    other = Row("8.0.RC1", "9.9.0", "9.9.0.post2", "v9.9.0-6.0.rc1")
    text = cann_mismatch(Row(**row()), (Row(**row()), other), "8.0.RC1", "somewhere")
    assert f"has no line for torch {TORCH}" in text
    assert "torch_npu==9.9.0.post2 with torch==9.9.0" in text


@pytest.mark.parametrize(
    ("one", "other"),
    [("9.1.0", "9.1.0-beta.3"), ("7.0.RC1", "7.0.0.RC1"), ("8.2.RC1", "8.2.rc1.alpha003"), ("8.0", "8.0.0")],
)
def test_spellings_of_one_cann(one, other):
    assert cann_key(one) == cann_key(other) is not None


@pytest.mark.parametrize(
    ("older", "newer"),
    [("8.0.RC1", "8.0.RC2"), ("6.3.RC3", "6.3.RC3.1"), ("8.0.RC3", "8.0.0"), ("9.0.0", "9.1.0")],
)
def test_releases_of_their_own(older, newer):
    assert cann_key(older) < cann_key(newer)


@pytest.mark.parametrize("text", ["", "unknown", "V100R001"])
def test_what_is_no_cann_version_is_not_compared(text):
    assert cann_key(text) is None
    assert cann_mismatch(Row(**row()), (), text, "somewhere") is None


# ---- another torch ---------------------------------------------------------------------------

FOREIGN = {"torch": "1.2.3", "adapter": "1.2.3rc1"}


def test_another_torch_is_an_import_error_before_any_library_is_loaded(tmp_path):
    path = stamped_copy(tmp_path, stamp(**FOREIGN), [row(**FOREIGN), row(adapter="7.7.7")])
    (tmp_path / "torch_npu" / "lib").unlink()
    done = run("import torch_npu", env=environment(PYTHONPATH=path, TORCH_DEVICE_BACKEND_AUTOLOAD="0"))
    assert done.returncode == 1
    assert f"ImportError: torch_npu 1.2.3rc1 is compiled for torch 1.2.3, but torch {TORCH}" in done.stderr
    assert "pip install torch==1.2.3" in done.stderr
    assert "pip install torch_npu==7.7.7" in done.stderr


@needs_autoload
def test_import_torch_alone_survives_and_import_torch_npu_then_raises(tmp_path):
    code = (
        "import torch\n"
        "assert not hasattr(torch, 'npu')\n"
        "try:\n    import torch_npu\nexcept ImportError as error:\n    print(error)\n"
    )
    env = environment(PYTHONPATH=stamped_copy(tmp_path, stamp(**FOREIGN)), TORCH_DEVICE_BACKEND_AUTOLOAD="1")
    done = run(code, env=env)
    assert done.returncode == 0, done.stderr
    assert "compiled for torch 1.2.3" in done.stdout
    assert "RuntimeWarning: torch_npu was not loaded: torch_npu 1.2.3rc1 is compiled for" in done.stderr


def test_a_patch_release_counts_and_a_local_part_does_not():
    stamped = Row("9.1.0", "2.1.0", "2.1.0.post3", "v2.1.0-7.0.0")
    assert torch_mismatch(stamped, (), "2.1.0+cpu") is None
    assert "compiled for torch 2.1.0, but torch 2.1.2" in torch_mismatch(stamped, (), "2.1.2")


def test_of_several_wheels_for_a_torch_the_newest_is_named():
    rows = tuple(
        Row(cann, "2.2.0", adapter, "v") for cann, adapter in [("8.0.RC1", "2.2.0"), ("8.0.0", "2.2.0.post1")]
    )
    assert "pip install torch_npu==2.2.0.post1" in torch_mismatch(Row(**row(**FOREIGN)), rows, "2.2.0")


def test_a_source_build_has_no_row_and_needs_what_its_metadata_says(tmp_path):
    path = stamped_copy(tmp_path)
    assert stamped_row(tmp_path / "torch_npu") is None
    assert known_rows(tmp_path / "torch_npu") == ()
    metadata = tmp_path / "torch_npu-9.9.9.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: torch==1.2.3\n")
    done = run("import torch_npu", env=environment(PYTHONPATH=path, TORCH_DEVICE_BACKEND_AUTOLOAD="0"))
    assert "torch_npu 9.9.9 is compiled for torch 1.2.3" in done.stderr
    assert required_torch(Row(**row())) == TORCH


# ---- a torch that is served, or proven, or not known yet ---------------------------------------

BUILT = Row("9.1.0", "2.13.0", "2.13.0.post1", "v2.13.0", ("2.14.0", "2.14.1"), ("2.14.1",))
LINES = (BUILT, Row("9.2.0", "2.14.0", "2.14.0", "v2.14.0"), Row("9.1.0", "2.12.0", "2.12.0", "v2.12.0"))


@pytest.mark.parametrize("version", ["2.13.0", "2.13.0+cpu", "2.14.1", "2.14.1+cu130"])
def test_a_proven_torch_is_silent(version):
    assert torch_mismatch(BUILT, LINES, version) is None
    assert torch_unproven(BUILT, LINES, version) is None


def test_a_served_torch_that_is_not_proven_is_a_warning_with_the_wheel_to_take():
    assert torch_mismatch(BUILT, LINES, "2.14.0") is None
    text = torch_unproven(BUILT, LINES, "2.14.0+cpu")
    assert "not proven with torch 2.14.0+cpu, only with 2.13.0, 2.14.1: no symbol" in text
    assert "pip install torch==2.13.0" in text
    assert "pip install torch_npu==2.14.0" in text
    assert "nox -s adapter -- --torch 2.14.0 --wheel built-for=2.13.0" in text


@pytest.mark.parametrize("version", ["2.15.0", "2.14.2", "2.16.0.dev20261101", "3.0"])
def test_a_torch_later_than_all_that_were_known_is_a_warning(version):
    assert torch_mismatch(BUILT, LINES, version) is None
    text = torch_unproven(BUILT, LINES, version)
    assert "later than this package" in text
    assert f"--torch {version} --wheel built-for=2.13.0" in text


@pytest.mark.parametrize("version", ["2.12.0", "2.13.1", "2.1.0"])
def test_a_torch_that_is_not_served_is_an_error(version):
    assert "compiled for torch 2.13.0" in torch_mismatch(BUILT, LINES, version)
    assert torch_unproven(BUILT, LINES, version) is None


def test_a_build_for_an_earlier_generation_is_an_error_in_every_later_torch():
    older = Row("9.1.0", "2.12.0", "2.12.0", "v2.12.0")
    for version in ("2.13.0", "2.14.1", "2.15.0"):
        assert "compiled for torch 2.12.0" in torch_mismatch(older, LINES, version)


def test_importing_into_a_torch_that_is_not_proven_warns_once_and_works(tmp_path):
    early = stamp(torch="1.2.3", serves=[TORCH], proven=[])
    env = environment(PYTHONPATH=stamped_copy(tmp_path, early))
    done = run("import torch_npu, torch; print((torch.ones(2).npu() + 1).cpu().tolist())", env=env)
    assert (done.returncode, done.stdout.strip()) == (0, "[2.0, 2.0]"), done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"not proven with torch {torch.__version__}, only with 1.2.3" in done.stderr


# ---- another backend, a source tree ----------------------------------------------------------


@pytest.mark.skipif(TORCH.startswith("1."), reason="torch 1 renames no backend")
def test_a_second_backend_in_the_process_is_named():
    code = "import torch; torch.utils.rename_privateuse1_backend('other'); import torch_npu"
    done = run(code, env=environment_without_cann(TORCH_DEVICE_BACKEND_AUTOLOAD="0"))
    assert done.returncode == 1
    assert "ImportError: torch_npu cannot be used beside another accelerator" in done.stderr
    assert "other" in done.stderr


def test_the_source_tree_says_that_it_is_one(tmp_path):
    path = stamped_copy(tmp_path)
    (tmp_path / "torch_npu" / "lib").unlink()
    done = run("import torch_npu", env=environment(PYTHONPATH=path, TORCH_DEVICE_BACKEND_AUTOLOAD="0"))
    assert "ImportError" in done.stderr
    assert "source tree, not an installed package" in done.stderr


def test_a_library_for_another_torch_is_named_not_just_its_symbol(tmp_path):
    path = stamped_copy(tmp_path)
    (tmp_path / "torch_npu" / "lib").unlink()
    (tmp_path / "torch_npu" / "lib").mkdir()
    (tmp_path / "torch_npu" / "lib" / "libtorch_npu.so").write_bytes(b"no library")
    done = run("import torch_npu", env=environment(PYTHONPATH=path, TORCH_DEVICE_BACKEND_AUTOLOAD="0"))
    assert f"cannot be loaded into torch {torch.__version__}" in done.stderr
