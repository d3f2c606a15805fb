"""On a machine without CANN, importing works and the first use says what to do."""

import json

import pytest
from npu_testing import environment_without_cann, needs_autoload, output, run, stamped_copy


@pytest.fixture
def without_cann():
    return environment_without_cann()


def test_questions_are_answered_without_an_error(without_cann):
    answers = output(
        "import json, torch, torch_npu\n"
        "torch.manual_seed(1)\n"
        "npu = torch.npu\n"
        "print(json.dumps([npu.is_available(), npu.device_count(), npu.is_initialized(),\n"
        "    npu.memory_allocated(), npu.max_memory_reserved(), len(npu.default_generators)]))",
        env=without_cann,
    )
    assert json.loads(answers) == [False, 0, False, 0, 0, 0]


USES = [
    "torch.randn(2, 2).npu()",
    "torch.ones(2, device='npu')",
    "torch.nn.Linear(2, 2).npu()",
    "torch.npu.set_device(0)",
    "torch.npu.current_device()",
    "torch.npu.synchronize()",
    "torch.npu.Stream()",
    "torch.npu.get_device_name()",
    "torch.npu.mem_get_info()",
]


@pytest.fixture(scope="module")
def errors():
    """What each of USES says, one after the other in one process."""
    code = (
        "import json, torch, torch_npu\n"
        "errors = {}\n"
        f"for use in {USES!r}:\n"
        "    try:\n        eval(use)\n"
        "    except Exception as error:\n        errors[use] = [type(error).__name__, str(error)]\n"
        "print(json.dumps(errors))"
    )
    return json.loads(output(code, env=environment_without_cann()))


@pytest.mark.parametrize("use", USES)
def test_every_use_is_one_error_that_says_what_to_do(errors, use):
    kind, text = errors[use]
    assert kind == "RuntimeError"
    assert "CANN was not found" in text
    assert "set_env.sh" in text
    assert "simulator" in text


@needs_autoload
def test_torch_loads_the_backend_by_itself_and_in_silence(tmp_path):
    done = run(
        "import torch; print(torch.npu.is_available())",
        env=environment_without_cann(PYTHONPATH=stamped_copy(tmp_path)),
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "False", "")


@pytest.mark.parametrize("imports", ["import torch_npu, torch", "import torch, torch_npu"])
@pytest.mark.parametrize("autoload", ["0", "1"])
def test_both_import_orders_work_with_and_without_autoload(tmp_path, imports, autoload):
    env = environment_without_cann(
        PYTHONPATH=stamped_copy(tmp_path), TORCH_DEVICE_BACKEND_AUTOLOAD=autoload, PYTHONWARNINGS="error"
    )
    assert output(f"{imports}; print(torch.device('npu:1').type, torch.npu.__name__)", env=env) == (
        "npu torch_npu.npu"
    )
