"""Writes the index: a whole new tree of pages beside the old one, flushed to disk, then shown by one rename.

```
index -> .index.trees/<digest of its manifest>/
           manifest                        the SHA-256 and path of every page (`sha256sum -c manifest`)
           sealed, metadata/...            what a signer put beside it
           simple/...  line/...  cann-...  the pages of every root
           files -> ../files
.index.trees/files/<sha256 of the wheel>/  the wheel, its .metadata and its other side files
```
Readers see the old pages or the new ones and nothing between. What a page links to is there before the page
is, and stays as long as a tree that links to it is kept. A killed run leaves an unfinished tree that nobody
is pointed to and files that nobody links to; the next run takes them away. Every change of the file system is
a function of `wheelmill.publish.index.steps`, where tests count and break them.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wheelmill.limits import MAX_INDEX, read_regular
from wheelmill.publish.index import steps
from wheelmill.publish.index.intact import (
    MANIFEST,
    SEALED,
    Manifest,
    read_manifest,
    shown_tree,
    tree_faults,
)
from wheelmill.publish.index.layout import MERGED, PLAIN, Layout
from wheelmill.publish.index.pages import FILES, JSON_NAME, Writer, records_of, root_pages, simple_path
from wheelmill.publish.index.pool import PARTIAL, Pool
from wheelmill.publish.index.records import (
    IndexFaultError,
    WheelRecord,
    canonical_project,
    checked,
    in_order,
    merge,
)
from wheelmill.store import Lock

# The manifest's bytes -> path under the tree -> content: signatures over the whole index.
Seal = Callable[[bytes], Mapping[str, bytes]]
Pages = Mapping[tuple[str, str], Mapping[str, bytes]]

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BuiltIndex:
    """`path` is the symbolic link that shows the index, `tree` the directory behind it.

    `changed` is False when the index was already what the records ask for. `damaged` says, for each file of
    the index, how it was something else than its name promises; what was there is in `kept`.
    """

    path: Path
    tree: Path
    projects: int
    wheels: int
    roots: tuple[str, ...]
    changed: bool
    damaged: tuple[str, ...] = ()
    kept: Path | None = field(default=None)


def build_index(
    records: Iterable[WheelRecord], out: Path, layout: Layout = PLAIN, *, seal: Seal | None = None
) -> BuiltIndex:
    """Make `out` the index of exactly these wheels, with all roots that they and the layout ask for.

    The same records give the same bytes, wherever they lie; a wheel that is no longer among them is no longer
    shown. Wheels are hard-linked where the file system allows it, once for all roots. Everything is hashed,
    also what was there before: what is damaged is made again from where the records say that it lies. The
    index shown before is kept, one rename away.

    Raises IndexFaultError, and then the index shown is the one before, for records that are not in order, for
    a damaged file that no record can replace, and for a place that is something else than an index.
    """
    with _Site(out) as site:
        return site.build(_by_project(checked(records)), layout, seal)


def read_index(out: Path) -> tuple[WheelRecord, ...]:
    """The records of the index that `out` shows, in order; () where there is none.

    Each knows the `path` of its bytes there, so that they can be added to another index. Raises
    IndexFaultError for a page that is damaged.
    """
    tree = shown_tree(out)
    return () if tree is None else tuple(_lying_in(tree.parent / FILES, r) for r in _records_in(tree))


def change_index(
    out: Path,
    layout: Layout = PLAIN,
    *,
    add: Iterable[WheelRecord] = (),
    remove: Iterable[str] = (),
    yank: Mapping[str, str | None] | None = None,
    seal: Seal | None = None,
) -> BuiltIndex:
    """Add wheels to the index that `out` shows, remove or yank others, and leave the rest as it is.

    `remove` names files; `yank` maps file names to the reason, or to None to take a yank back. Only the pages
    of projects that this touches are written; all others are hard links into the new tree, and their wheels
    are not hashed (`build_index` on `read_index` does that). A wheel that is there already with the same
    bytes gets the new lines and side files; with other bytes, IndexFaultError. The result is the tree, byte
    for byte, that `build_index` makes of the same records.
    """
    with _Site(out) as site:
        return site.change(tuple(add), set(remove), dict(yank or {}), layout, seal)


def write_pages(out: Path, records: Iterable[WheelRecord], pages: Pages) -> BuiltIndex:
    """Make `out` a tree of other pages about these wheels; each is stored once, whatever pages link to it.

    `pages` maps root and project to what lies in the project's folder, by file name. Raises IndexFaultError.
    """
    with _Site(out) as site:
        return site.write(records, pages)


class _Site:
    """The places of one index, under its lock."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.trees = out.parent / f".{out.name}.trees"
        self.pool = Pool(self.trees)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Site:
        if self.out.exists() and not self.out.is_symlink():
            raise IndexFaultError(
                f"{self.out} is a {'directory' if self.out.is_dir() else 'file'}, and no index of ours",
                hint="Name a path that does not exist yet; an index is a link that is switched whole.",
            )
        with self._clear_errors():
            self._stack.enter_context(Lock(self.trees / "lock"))
            self._stack.enter_context(_no_search_for_cycles())
            if not self.pool.folder.is_dir():
                steps.make_folder(self.pool.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IndexFaultError(
                f"the index {self.out} could not be written: {error}",
                hint="The index shown before is untouched. Make room or mend the folder, and run it again.",
            ) from error

    # ----------------------------------------------------------------------------------------------- the runs
    def build(
        self,
        projects: Mapping[str, Sequence[WheelRecord]],
        layout: Layout,
        seal: Seal | None,
        *,
        verify: bool = True,
    ) -> BuiltIndex:
        with self._clear_errors():
            self._sweep_partial()
            shown: set[str] = set()
            for records in projects.values():
                shown.update([record.sha256 for record in records])
                for record in records:
                    if verify or record.path is not None:
                        self.pool.keep(record, verify=verify)
            before = shown_tree(self.out)
            work = _Tree(self._recycled(before), None)
            for project, records in projects.items():
                work.project(project, records, layout)
            built = self._finish(work, layout, seal, before)
            self._sweep_files(shown, built.tree)
        return built

    def write(self, records: Iterable[WheelRecord], pages: Pages) -> BuiltIndex:
        with self._clear_errors():
            self._sweep_partial()
            before, work = shown_tree(self.out), _Tree(self._partial(), None)
            for record in records:
                self.pool.keep(record, verify=True)
                work.wheels += 1
            for (root, project), files in pages.items():
                work.page(root, project, files)
            return self._finish(work, PLAIN, None, before)

    def change(
        self,
        add: Sequence[WheelRecord],
        remove: set[str],
        yank: dict[str, str | None],
        layout: Layout,
        seal: Seal | None,
    ) -> BuiltIndex:
        with self._clear_errors():
            before = shown_tree(self.out)
            old = None if before is None else read_manifest(before)
            if before is None or old is None or old.layout != layout.digest:
                return self._change_all(before, add, remove, yank, layout, seal)
            self._sweep_partial()
            touched = {record.project for record in add}
            touched |= {canonical_project(name.partition("-")[0]) for name in (*remove, *yank)}
            changed = _Change(add, remove, yank)
            work = _Tree(self._recycled(before), (before, old.pages))
            there = {project: _project_records(before, project) for project in sorted(touched)}
            kept = {project: changed.of(project, records) for project, records in there.items()}
            changed.check()
            work.wheels = old.wheels - sum(map(len, there.values()))
            new = {record.filename for record in add}
            for records in kept.values():
                for record in records:
                    if record.filename in new:
                        self.pool.keep(record, verify=False)
            work.link_others(touched)
            for project, records in kept.items():
                work.project(project, records, layout)
            if not work.roots:
                checked(())  # raises: there is no empty index
            return self._finish(work, layout, seal, before)

    def _change_all(
        self,
        before: Path | None,
        add: Sequence[WheelRecord],
        remove: set[str],
        yank: dict[str, str | None],
        layout: Layout,
        seal: Seal | None,
    ) -> BuiltIndex:
        """The same where every page may have to be another one: no index yet, or another layout."""
        changed = _Change(add, remove, yank)
        there = {} if before is None else dict(_projects_in(before))
        projects = sorted({*there, *(record.project for record in add)})
        after = {project: changed.of(project, there.get(project, [])) for project in projects}
        changed.check()
        kept = {project: records for project, records in after.items() if records}
        return self.build(kept or _by_project(checked(())), layout, seal, verify=False)

    # ----------------------------------------------------------------------------------------------- the tree
    def _partial(self) -> Path:
        work = self.trees / f"{PARTIAL}{os.getpid()}"
        steps.make_folder(work)
        return work

    def _recycled(self, before: Path | None) -> Path:
        """A folder to work in: the tree before the one that is shown, most of whose pages stay as they are.

        So a publish takes as many changes of the file system as it changes pages, however many there are.
        """
        work = self.trees / f"{PARTIAL}{os.getpid()}"
        kept = [tree for tree in self.trees.iterdir() if _DIGEST.fullmatch(tree.name) and tree != before]
        if not kept:
            return self._partial()
        steps.rename(kept[0], work)
        return work

    def _finish(self, work: _Tree, layout: Layout, seal: Seal | None, before: Path | None) -> BuiltIndex:
        """Give the tree its name, put it in the place of a damaged one, and show it."""
        name = work.finish(layout, seal)
        tree = self.trees / name
        steps.flush([*self.pool.fresh, self.pool.folder], self.trees)
        if tree.exists():
            faults = tree_faults(tree)
            if faults:
                self.pool.damaged += faults
            else:
                steps.remove(work.folder)
        if work.folder.exists():
            steps.flush([*work.fresh, *work.folders(), work.folder], self.trees)
            if tree.exists():
                steps.exchange(work.folder, tree)
                steps.rename(work.folder, self.pool.kept_folder() / name)
            else:
                steps.rename(work.folder, tree)
            steps.flush([self.trees], self.trees)
        changed = before != tree or bool(self.pool.damaged)
        if before != tree:
            self._show(tree)
            self._sweep_trees(keep={tree, before})
        roots = tuple(sorted(work.roots))
        projects = len(work.roots.get(MERGED, ()))
        return BuiltIndex(
            self.out, tree, projects, work.wheels, roots, changed, tuple(self.pool.damaged), self.pool.kept
        )

    def _show(self, tree: Path) -> None:
        """Point `out` to `tree` by one rename."""
        pointer = self.trees / f"pointer-{os.getpid()}"
        steps.remove(pointer)
        steps.point(tree.relative_to(self.out.parent), pointer)
        steps.rename(pointer, self.out)
        steps.flush([self.out.parent], self.trees)

    # ----------------------------------------------------------------------------------------------- sweeping
    def _sweep_partial(self) -> None:
        """Take away what killed runs left."""
        for entry in self.trees.iterdir():
            if entry.name.startswith((PARTIAL, "pointer-")):
                steps.remove(entry)

    def _sweep_trees(self, keep: set[Path | None]) -> None:
        for entry in self.trees.iterdir():
            if entry not in keep and _DIGEST.fullmatch(entry.name):
                steps.remove(entry)

    def _sweep_files(self, shown: set[str], tree: Path) -> None:
        """Take wheels away that no tree shows any more: neither this one nor the one kept from before."""
        unknown = self.pool.names() - shown
        if not unknown:
            return
        others = [e for e in self.trees.iterdir() if _DIGEST.fullmatch(e.name) and e != tree]
        try:
            used = {record.sha256 for other in others for record in _records_in(other)}
        except IndexFaultError:
            return  # a tree of before is damaged: what it shows is not known, so all is kept
        for name in sorted(unknown - used):
            steps.remove(self.pool.folder / name)


@contextlib.contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Python looks through all objects for cycles as they become more; records are many, and none."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Tree:
    """A tree under way: its pages, and what of the tree before can be linked.

    What lies in the folder already, of a tree before, is used where it is the same file, else taken away.
    """

    def __init__(self, folder: Path, before: tuple[Path, Mapping[str, str]] | None) -> None:
        self.folder = folder
        self.pages: dict[str, str] = {}  # path -> SHA-256
        self.roots: dict[str, set[str]] = {}  # root -> its projects
        self.wheels = 0
        self._before = before
        self._made: set[str] = {""}
        self._changed = {""}  # folders
        self.fresh: list[str | Path] = []
        self._there, self._folders_there = _listed(folder)

    def project(self, name: str, records: Sequence[WheelRecord], layout: Layout) -> None:
        """Write a project's pages under every root that shows any of its wheels."""
        self.wheels += len(records)
        writer = Writer(name, layout.address)
        for root, shown in layout.roots(records).items() if records else ():
            self.page(root, name, writer.pages(root, shown, layout.status(root)))

    def page(self, root: str, project: str, files: Mapping[str, bytes]) -> None:
        """Write a project's page under one root."""
        self.roots.setdefault(root, set()).add(project)
        self._put(simple_path(root, project), files)

    def link_others(self, touched: set[str]) -> None:
        """Every project's page of the tree before but those of `touched`."""
        assert self._before is not None
        _, pages = self._before
        for path, digest in pages.items():
            root, project = split_page(path)
            if not project or project in touched:
                continue
            self.roots.setdefault(root, set()).add(project)
            self._folder(path.rpartition("/")[0])
            self._link(path)
            self.pages[path] = digest

    def finish(self, layout: Layout, seal: Seal | None) -> str:
        """Write the lists of projects, the manifest and what seals it; return the tree's name."""
        for root, projects in self.roots.items():
            self._put(simple_path(root), root_pages(sorted(projects)))
        manifest = Manifest(layout.digest, self.wheels, self.pages).text()
        name = hashlib.sha256(manifest)
        self._write(MANIFEST, manifest)
        if seal is not None:
            sealed = self._seal(seal(manifest))
            name.update(sealed)
            self._write(SEALED, sealed)
        self._clear()
        steps.point(f"../{FILES}", self.folder / FILES)
        return name.hexdigest()

    def _clear(self) -> None:
        """Take away what lies there of a tree before and is not part of this one."""
        for path in self._there:
            steps.remove_file(f"{self.folder}/{path}")
        for path in sorted(self._folders_there, reverse=True):
            steps.remove(self.folder / path)
        self._changed |= {path.rpartition("/")[0] for path in (*self._there, *self._folders_there)}

    def _seal(self, content: Mapping[str, bytes]) -> bytes:
        """Write the signer's files; return the list of them."""
        lines = []
        for path, data in sorted(content.items()):
            self._folder(path.rpartition("/")[0])
            self._write(path, data)
            lines.append(f"{hashlib.sha256(data).hexdigest()}  {path}\n")
        return "".join(lines).encode()

    def folders(self) -> list[str]:
        """Every folder of it that changed, the inner ones first."""
        there = self._changed & self._made
        return [f"{self.folder}/{path}" for path in sorted(there, reverse=True) if path]

    def _put(self, folder: str, made: Mapping[str, bytes]) -> None:
        """Write the pages of one folder, or link those that are as before."""
        self._folder(folder)
        for name, data in made.items():
            path, digest = f"{folder}/{name}", hashlib.sha256(data).hexdigest()
            self.pages[path] = digest
            if self._before is not None and self._before[1].get(path) == digest:
                self._link(path)
            else:
                self._write(path, data)

    def _link(self, path: str) -> None:
        """The file that the tree before has under this path."""
        assert self._before is not None
        source = f"{self._before[0]}/{path}"
        if self._there.get(path) == os.lstat(source).st_ino:
            del self._there[path]
            return
        self._free(path)
        steps.link(source, f"{self.folder}/{path}")
        self._changed.add(path.rpartition("/")[0])

    def _write(self, path: str, data: bytes) -> None:
        target = f"{self.folder}/{path}"
        self._free(path)
        steps.write(target, data)
        self.fresh.append(target)
        self._changed.add(path.rpartition("/")[0])

    def _free(self, path: str) -> None:
        """Take away what lies under this path, whatever it is."""
        if self._there.pop(path, None) is not None:
            steps.remove_file(f"{self.folder}/{path}")
        elif path in self._folders_there:
            below = f"{path}/"
            self._there = {file: at for file, at in self._there.items() if not file.startswith(below)}
            self._folders_there = {at for at in self._folders_there if not f"{at}/".startswith(below)}
            steps.remove(self.folder / path)
        else:
            return
        self._changed.add(path.rpartition("/")[0])

    def _folder(self, path: str) -> None:
        if path in self._made:
            return
        above = path.rpartition("/")[0]
        self._folder(above)
        if path in self._folders_there:
            self._folders_there.remove(path)
        else:
            self._free(path)
            steps.make_one_folder(f"{self.folder}/{path}")
            self._changed |= {above, path}
        self._made.add(path)


class _Change:
    """What becomes of the records of an index."""

    def __init__(self, add: Sequence[WheelRecord], remove: set[str], yank: Mapping[str, str | None]) -> None:
        self._add = _by_project(checked(add)) if add else {}
        self._remove, self._yank = remove, yank
        self._missing = {*remove, *yank}
        self._faults: list[str] = []

    def of(self, project: str, there: Iterable[WheelRecord]) -> list[WheelRecord]:
        """The records of one project afterwards, in order; `check` says whether all went well."""
        if not (self._remove or self._yank) and project not in self._add:
            return list(there)  # in order, as they were read
        kept = {record.filename: record for record in there if record.filename not in self._remove}
        self._missing -= {record.filename for record in there}
        for record in self._add.get(project, ()):
            same = kept.get(record.filename)
            if same is not None and same.sha256 != record.sha256:
                self._faults.append(f"{record.filename}: is there already, with other bytes ({same.sha256})")
            elif same is not None:
                kept[record.filename] = merge(same, record)
            else:
                kept[record.filename] = record
        for name in self._yank.keys() & kept.keys():
            kept[name] = replace(kept[name], yanked=self._yank[name])
        return in_order(kept.values())

    def check(self) -> None:
        """Raise IndexFaultError with all that cannot be done."""
        self._missing -= {r.filename for records in self._add.values() for r in records} - self._remove
        faults = [*self._faults, *(f"{name}: is not in the index" for name in sorted(self._missing))]
        if faults:
            listed = "\n  ".join(faults)
            raise IndexFaultError(
                f"{len(faults)} change(s) cannot be made:\n  {listed}",
                hint="Nothing was changed. What was published never changes under its name.",
            )


def _listed(folder: Path) -> tuple[dict[str, int], set[str]]:
    """What lies in a folder, by paths relative to it: path -> inode of all that is no folder, and folders."""
    files: dict[str, int] = {}
    folders: set[str] = set()
    todo = [""]
    while todo:
        below = todo.pop()
        with os.scandir(f"{folder}/{below}") as entries:
            for entry in entries:
                path = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.add(path)
                    todo.append(f"{path}/")
                else:
                    files[path] = entry.inode()
    return files, folders


# --------------------------------------------------------------------------------------------- reading a tree
def split_page(path: str) -> tuple[str, str]:
    """(root, project) of a page's path; the project is "" for a root's own page."""
    folder = path.rpartition("/")[0]
    root, _, project = f"/{folder}/".rpartition("/simple/")
    return root.strip("/"), project.strip("/")


def _records_in(tree: Path) -> Iterator[WheelRecord]:
    for _, records in _projects_in(tree):
        yield from records


def _projects_in(tree: Path) -> Iterator[tuple[str, list[WheelRecord]]]:
    manifest = read_manifest(tree)
    if manifest is None:
        raise IndexFaultError(
            f"{tree} is damaged: its manifest cannot be read", hint="Make the index again from its wheels."
        )
    for path in manifest.pages:
        root, project = split_page(path)
        if root == MERGED and project and path.endswith(JSON_NAME):
            yield project, _project_records(tree, project)


def _project_records(tree: Path, project: str) -> list[WheelRecord]:
    page = f"{tree}/{simple_path(MERGED, project)}/{JSON_NAME}"
    try:
        return records_of(read_regular(page, MAX_INDEX))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexFaultError(
            f"{page} is damaged: {error}", hint="Make the index again from its wheels."
        ) from None


def _lying_in(files: Path, record: WheelRecord) -> WheelRecord:
    """The record with the places of its bytes."""
    wheel = files / record.sha256 / record.filename
    sides = tuple(replace(side, path=Path(f"{wheel}{side.suffix}")) for side in record.sides)
    return replace(record, path=wheel, sides=sides)


def _by_project(records: Iterable[WheelRecord]) -> dict[str, list[WheelRecord]]:
    found: dict[str, list[WheelRecord]] = {}
    for record in records:
        found.setdefault(record.project, []).append(record)
    return found
