"""The rule about the torches that a wheel asks for, and those in which it runs."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmill.errors import Finding, WheelmillError
from wheelmill.matrix.rules.frame import rule
from wheelmill.prove.audit.rules import Case, required, some


@rule()
def torch_window(case: Case) -> Iterator[Finding]:
    """Requires-Dist allows no recorded torch in which the native files do not run.

    One torch alone, as `==2.13.0`, is what the files are compiled for: nothing is asked about it.
    """
    from wheelmill.project import find_project
    from wheelmill.prove.abi.extension import linked, read_extension
    from wheelmill.prove.abi.kept import Shelf
    from wheelmill.prove.abi.window import judge

    if not case.wheel.whole or not any(linked(native.needed) for native in case.wheel.loaded):
        return
    try:
        shelf = Shelf(find_project().abi_folder)
        extension = read_extension(case.wheel.path)
        ranges = {name for name, text in extension.requires.items() if not text.startswith("==")}
        windows = judge(extension, shelf) if ranges and shelf.origins else ()
    except WheelmillError:
        return  # what cannot be judged is told by `wheelmill abi`
    for window in windows:
        name = window.package.replace("-", "_")
        if window.package in ranges and window.overstated:
            yield required(case)(
                f"{case.wheel.dist_info}/METADATA",
                f"Requires-Dist: {name}{window.requires} allows {some(window.overstated)}, in which the "
                "native files do not run",
                f"Write {name}{window.specifier}, or see why: wheelmill abi {case.wheel.path.name}",
            )
