"""`wheelmill pick`, `doctor`, `completion`: the picker's commands."""

from __future__ import annotations

import dataclasses

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.matrix import today
from wheelmill.console import Console


@click.command()
@click.option("--cann", metavar="VERSION", help="The CANN version, such as 7.0.RC1.")
@click.option("--torch", metavar="VERSION", help="The PyTorch version, such as 2.1.0.")
@click.option("--python", metavar="VERSION", help="The Python version, such as 3.8.")
@click.option("--arch", metavar="NAME", help="aarch64 (arm64) or x86_64 (amd64).")
@click.option("--adapter", metavar="VERSION", help="The torch_npu version.")
@click.option("--branch", metavar="NAME", help="The release line, such as v2.1.0-5.0.rc3.")
@output_options
def pick(
    cann: str | None,
    torch: str | None,
    python: str | None,
    arch: str | None,
    adapter: str | None,
    branch: str | None,
    console: Console,
) -> int:
    """Print the commands that install the wheel that fits, or say what blocks it and what is nearest.

    Without --python and --arch, this machine's are used if such a wheel exists. Any other option that you
    leave out is free, and the newest wheel that fits wins. Exit code 1 if nothing fits.
    """
    from wheelmill import pick as picking
    from wheelmill.pick.doctor import examine

    request = picking.parse_request(
        cann=cann, torch=torch, python=python, arch=arch, adapter=adapter, branch=branch
    )
    matrix, day = project().matrix(), today()
    here = examine()
    assumed = dataclasses.replace(
        request, python=request.python or here.python, arch=request.arch or here.arch
    )
    answer = picking.resolve(matrix, assumed, day)
    if isinstance(answer, picking.NoFit):
        assumed, answer = request, picking.resolve(matrix, request, day)
    if assumed != request:
        console.say(
            f"# For this machine: Python {assumed.python}, {assumed.arch}. --python and --arch choose others."
        )
    console.say(picking.render_text(answer))
    console.result(picking.to_json(answer))
    return 1 if isinstance(answer, picking.NoFit) else 0


@click.command()
@output_options
def doctor(console: Console) -> int:
    """Show what this machine has (Python, arch, libc, CANN, devices, torch) and which wheel fits it.

    Exit code 1 if no wheel fits.
    """
    from wheelmill import pick as picking
    from wheelmill.pick.doctor import examine

    machine = examine()
    answer = picking.resolve(project().matrix(), machine.request(), today())
    console.say(f"{machine.render()}\n\n{picking.render_text(answer)}")
    console.result({"schema": 1, "machine": machine.to_json(), "pick": picking.to_json(answer)})
    return 1 if isinstance(answer, picking.NoFit) else 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell. In bash: `eval "$(wheelmill completion bash)"`."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    Console().say(kind(root, {}, "wheelmill", "_WHEELMILL_COMPLETE").source())
