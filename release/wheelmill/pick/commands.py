"""The exact commands that install one cell, step by step."""

from __future__ import annotations

import shlex

from wheelmill.matrix.model import Cell, Matrix
from wheelmill.pick.model import Step

SET_ENV = "/usr/local/Ascend/ascend-toolkit/set_env.sh"
LOCAL_INDEX = ".wheelmill/publish/index/simple/"


def steps(matrix: Matrix, cell: Cell) -> tuple[Step, ...]:
    """Torch, its companions, the adapter's wheel, and CANN's environment."""
    dependencies = cell.line.torch.dependencies
    return (
        _torch(matrix, cell),
        Step(
            "Install what torch_npu depends on",
            tuple(f"pip3 install {shlex.quote(one)}" for one in dependencies),
        ),
        _adapter(cell),
        Step(f"Load CANN {cell.line.cann} (its default place)", (f"source {SET_ENV}",)),
    )


def _torch(matrix: Matrix, cell: Cell) -> Step:
    """On x86_64 the build without CUDA, which published adapter wheels ask for by its `+cpu`."""
    torch = cell.line.torch
    command = f"pip3 install torch=={torch.version}"
    if cell.arch == "x86_64":
        command += f"+cpu --index-url {matrix.document.torch_cpu_index}"
    wheel = torch.wheel(cell.python, cell.arch)
    link = wheel.url if wheel is not None else None
    fallback = (f"pip3 install {shlex.quote(f'{link}#sha256={wheel.sha256}')}",) if wheel and link else ()
    return Step(f"Install PyTorch {torch.version}", (command,), fallback)


def _adapter(cell: Cell) -> Step:
    line = cell.line
    title = f"Install torch_npu {line.adapter}"
    if line.on_index:
        return Step(title, (f"pip3 install torch_npu=={line.adapter}",))
    if line.download is not None:
        name = f"torch_npu-{line.adapter}-{cell.python_tag}-{cell.abi_tag}-linux_{cell.arch}.whl"
        return Step(title, (f"wget {line.download}/{name}", f"pip3 install {name}"))
    build = f"nox -s build-{cell.name} -- --line {line.branch}"
    install = f"pip3 install --no-deps --index-url file://$PWD/{LOCAL_INDEX} torch_npu=={line.adapter}"
    return Step(
        f"Build torch_npu {line.adapter} in a clone of this project, and install it", (build, install)
    )
