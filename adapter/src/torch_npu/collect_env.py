"""`python -m torch_npu.collect_env [--json]`: what to paste into a problem report."""

import argparse
import json
import platform
import sys
from typing import Any, Dict, List, Optional

import torch

import torch_npu


def environment() -> Dict[str, Any]:
    """The versions that must fit together, the CANN that was found, each device's name and memory (bytes)."""
    from torch_npu import _native

    row = torch_npu._startup.ROW
    return {
        "torch_npu": torch_npu.__version__,
        "row": None if row is None else {"branch": row.branch, "cann": row.cann, "torch": row.torch},
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "arch": platform.machine(),
        "cann": json.loads(_native.cann_info()),
        "devices": [_device(index) for index in range(torch.npu.device_count())],
    }


def _device(index: int) -> Dict[str, Any]:
    properties = torch.npu.get_device_properties(index)
    return {"name": properties.name, "total_memory": properties.total_memory}


def _lines(found: Dict[str, Any]) -> List[str]:
    row, cann = found["row"], found["cann"]
    made_for = "source build"
    if row is not None:
        made_for = f"line {row['branch']}, CANN {row['cann']}, torch {row['torch']}"
    if cann["loaded"]:
        kind = "simulated" if cann["simulated"] else "CANN"
        cann_text = f"{kind} {cann['version'] or '(version unknown)'} from {cann['library']}"
    else:
        cann_text = f"not found: {cann['error']}"
    lines = [
        f"torch_npu  {found['torch_npu']} ({made_for})",
        f"torch      {found['torch']}",
        f"python     {found['python']}",
        f"platform   {found['platform']}",
        f"CANN       {cann_text}",
        f"devices    {len(found['devices'])}",
    ]
    for index, device in enumerate(found["devices"]):
        lines.append(f"  npu:{index}    {device['name']}, {device['total_memory'] / 2**30:.1f} GiB")
    return lines


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m torch_npu.collect_env", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    found = environment()
    print(json.dumps(found, indent=2) if parser.parse_args(arguments).json else "\n".join(_lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
