"""Write docs/api.md, the list of operators, from the adapter's tables; with --check only compare.

python ci/api_list.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
OPERATORS = ROOT / "cann" / "operators"
OPS = ROOT / "adapter" / "ops"
HEAD = """# List of operators

Made from `adapter/ops` by `python ci/api_list.py`; do not edit.

Three kinds of operators of PyTorch:

- **native**: they run on the device, by the CANN operators named below. The functional form and the in-place
  form come with an `out` form. "from 2.0" means: with an earlier torch the operator is of the next kind.
- **CPU fallback**: all others. They run on the CPU, after one warning for each operator;
  `TORCH_NPU_FALLBACK_CPU_DISABLE=1` turns that into an error. Operators that are made of others in PyTorch
  are as native as those. Views need no kernel.
- **refused**: operators of sparse and quantized tensors, with an error.

The dtypes are those that the CANN operator takes on the chip. What it does not take is an error of its own,
which names the operator.
"""

sys.path[:0] = [str(OPS), str(OPERATORS)]  # the generator's modules

import custom as custom_module  # noqa: E402
import rows as rows_module  # noqa: E402
import signatures as signatures_module  # noqa: E402
from made_page import keep  # noqa: E402


def since(version: tuple[int, int]) -> str:
    return "all" if version == (0, 0) else f"from {version[0]}.{version[1]}"


def lines() -> Iterator[str]:
    """The page, line by line."""
    signatures = signatures_module.parse(sorted(OPERATORS.glob("*.yaml")))
    rows = rows_module.parse(OPS / "ops.yaml", signatures)
    customs = custom_module.parse(OPS / "custom.yaml", signatures)
    yield HEAD
    yield f"## Native operators of PyTorch\n\n{len(rows)} overloads of the namespace `aten`.\n"
    yield "| overload | torch | CANN operators `aclnn...` |\n| --- | --- | --- |"
    for row in sorted(rows, key=lambda row: row.aten):
        yield f"| `{row.aten}` | {since(max(row.since, row.composed_before))} | {', '.join(row.operators)} |"
    yield f"\n## Custom operators\n\n{len(customs)} operators of the namespace `npu`: `torch_npu.NAME`.\n"
    yield "| schema | gradient | torch | CANN operators `aclnn...` |\n| --- | --- | --- | --- |"
    for one in sorted(customs, key=lambda row: row.name):
        gradient = "none" if one.gradient is None else f"`{one.gradient.operator}`"
        schema = one.schema.replace("|", "\\|")
        yield f"| `{schema}` | {gradient} | {since(one.since)} | {', '.join(one.operators)} |"
    yield ""


def main(words: list[str]) -> int:
    """Return 1 where the page is not what the tables say, and --check was given."""
    return keep(PAGE, "\n".join(lines()), words, "python ci/api_list.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
