"""`python -m torch_npu.collect_env`: what users paste into problem reports."""

import json

import torch
from npu_testing import environment_without_cann, output

REPORT_AS_JSON = """
import runpy, sys
sys.argv = ["collect_env", "--json"]
runpy.run_module("torch_npu.collect_env", run_name="__main__")
"""


def test_every_device_is_listed_with_its_name_and_memory():
    found = json.loads(output(REPORT_AS_JSON))
    assert found["torch"] == torch.__version__
    assert found["cann"]["loaded"] is True
    assert [device["name"] for device in found["devices"]] == [
        torch.npu.get_device_name(index) for index in range(torch.npu.device_count())
    ]
    assert all(device["total_memory"] > 0 for device in found["devices"])


def test_the_text_names_the_device_and_the_library():
    text = output("torch_npu.collect_env", arguments=("-m",))
    assert f"npu:0    {torch.npu.get_device_name(0)}" in text
    assert "libascendcl" in text


def test_a_missing_cann_is_reported_not_raised():
    found = json.loads(output(REPORT_AS_JSON, env=environment_without_cann()))
    assert (found["cann"]["loaded"], found["devices"]) == (False, [])
    assert "set_env.sh" in found["cann"]["error"]
