"""Run by the Python that is examined: imports torch and torch_npu and counts devices."""

from __future__ import annotations

import faulthandler
import importlib
import json
import sys

faulthandler.enable()
torch = importlib.import_module("torch")
devices = None
if "torch_npu" in sys.argv[1:]:
    importlib.import_module("torch_npu")
    devices = torch.npu.device_count() if torch.npu.is_available() else 0
print("\nwheelmill " + json.dumps({"torch": torch.__version__, "devices": devices}))
