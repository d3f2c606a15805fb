"""What a release asks of git and does there: branch, tag, a worktree of the tag, missing fixes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wheelmill.make.toolchain.sources import PARTS, git
from wheelmill.publish.release.session import ReleaseError

# Where a commit has to change something to be of interest to the wheels of a maintained branch.
_FIX = re.compile(r"\b(fix(es|ed)?|bug|regression|crash|wrong|修复)\b|^Fixes:", re.IGNORECASE | re.MULTILINE)
_PICKED = re.compile(r"\(cherry picked from commit ([0-9a-f]{7,40})\)")
_FALLBACK = ("-c", "user.name=wheelmill", "-c", "user.email=wheelmill@localhost")


class RepositoryError(ReleaseError):
    """Git refused, or the repository is not as a release needs it."""


@dataclass(frozen=True)
class Missing:
    """A commit of the other branch that a maintained one lacks. `fix` says whether it reads like one."""

    commit: str
    date: str
    subject: str
    fix: bool


@dataclass(frozen=True)
class Repository:
    """The checkout that a release is cut from."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """The clone that a folder is in. Raises RepositoryError where it is in none."""
        done = git(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            raise RepositoryError(
                f"{folder} is in no git repository",
                hint="A release is built from a commit: git init && git add --all && git commit",
            )
        return cls(Path(done.stdout.strip()).resolve())

    def _git(self, *words: str) -> str:
        done = git(self.root, *words)
        if done.returncode:
            raise RepositoryError(
                f"git {words[0]} failed in {self.root}: {done.stderr.strip() or 'no reason given'}",
                hint=f"Run it by hand to see more: git -C {self.root} {' '.join(words)}",
            )
        return done.stdout

    def commit(self, revision: str) -> str | None:
        """The full name of the commit that a revision means; None when there is none."""
        done = git(self.root, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
        return done.stdout.strip() or None

    def head(self) -> str:
        """The checked-out commit. Raises RepositoryError where there is none."""
        found = self.commit("HEAD")
        if found is None:
            raise RepositoryError(
                f"{self.root} is no git checkout with a commit",
                hint="A release is built from a tag: run this in a clone of the project.",
            )
        return found

    def changes(self) -> list[str]:
        """Paths that differ from the last commit, and files that git does not know; ignored ones left out."""
        return [line[3:] for line in self._git("status", "--porcelain", "--untracked-files=all").splitlines()]

    def branch(self, name: str) -> str | None:
        """The commit of a local branch."""
        return self.commit(f"refs/heads/{name}")

    def tag(self, name: str) -> str | None:
        """The commit of a tag."""
        return self.commit(f"refs/tags/{name}")

    def versions_tagged(self, branch: str) -> list[str]:
        """The versions that the tags of a branch name."""
        tags = self._git("tag", "--list", f"{branch}/*").split()
        return [tag.removeprefix(f"{branch}/") for tag in tags]

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether one commit is in the history of the other."""
        return git(self.root, "merge-base", "--is-ancestor", older, newer).returncode == 0

    def file(self, commit: str, path: str) -> bytes:
        """A file as a commit has it. Raises RepositoryError when it has none."""
        return self._git("show", f"{commit}:{path}").encode()

    def files(self, commit: str, *paths: str) -> list[str]:
        """The files at or under these paths as a commit has them."""
        return self._git("ls-tree", "-r", "--name-only", commit, "--", *paths).splitlines()

    def export(self, commit: str, folder: Path) -> None:
        """All files of a commit in `folder`, which is made, or is there whole from before.

        Raises RepositoryError.
        """
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            for words in (
                ("read-tree", commit),
                ("checkout-index", "--all", f"--prefix={scratch}/tree/"),
            ):
                done = git(self.root, *words, environment=index)
                if done.returncode:
                    raise RepositoryError(f"git {words[0]} failed in {self.root}: {done.stderr.strip()}")
            Path(scratch, "tree").rename(folder)

    def changed_sources(self, older: str, newer: str) -> list[str]:
        """The files that wheels are made from which differ between two commits."""
        return self._git("diff", "--name-only", older, newer, "--", *PARTS).split()

    # ---------------------------------------------------------------------------------------- what changes it
    def ensure_branch(self, name: str, commit: str) -> bool:
        """Make the branch at this commit; True when it was made now, False when it was there."""
        there = self.branch(name)
        if there is None:
            self._git("branch", "--no-track", name, commit)
        return there is None

    def ensure_tag(self, name: str, commit: str, message: str) -> bool:
        """Make an annotated tag; True when it was made now. Raises RepositoryError for one elsewhere."""
        there = self.tag(name)
        if there is not None and there != commit:
            raise RepositoryError(
                f"the tag {name} is at {there[:12]}, the release is of {commit[:12]}",
                hint="A released version never moves: raise the version of what is released.",
            )
        if there is None:
            known = git(self.root, "config", "user.email").stdout.strip()
            self._git(*(() if known else _FALLBACK), "tag", "--annotate", name, commit, "--message", message)
        return there is None

    def delete_tag(self, name: str, commit: str) -> bool:
        """Take a tag away if it is at this commit; True when it was there."""
        if self.tag(name) != commit:
            return False
        self._git("tag", "--delete", name)
        return True

    def delete_branch(self, name: str, commit: str) -> bool:
        """Take a branch away if it is at this commit and nobody works on it; True when it went."""
        if self.branch(name) != commit:
            return False
        return git(self.root, "branch", "--delete", "--force", name).returncode == 0

    def worktree(self, folder: Path, commit: str) -> Path:
        """A clean tree of the commit in `folder`: the one that is there, or a new one.

        Raises RepositoryError where git's own settings make another tree of it, such as a filter.
        """
        if self._is_tree_of(folder, commit):
            return folder
        self.remove_worktree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # No hook of the checkout, and no end of line of its user, has a say in what is released.
        as_committed = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.autocrlf=false")
        self._git(*as_committed, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
        if not self._is_tree_of(folder, commit):
            raise RepositoryError(
                f"the tree of {commit[:12]} in {folder} is not what was committed",
                hint=f"Something in git's settings changes it: git -C {folder} status --ignored",
            )
        return folder

    def _is_tree_of(self, folder: Path, commit: str) -> bool:
        if not (folder / ".git").is_file():
            return False
        tree = Repository(folder)
        changes = git(folder, "status", "--porcelain", "--ignored").stdout  # ignored files could be built in
        return tree.commit("HEAD") == commit and changes == ""

    def remove_worktree(self, folder: Path) -> None:
        """Take the worktree away, whatever is left of it."""
        git(self.root, "worktree", "remove", "--force", "--force", str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        git(self.root, "worktree", "prune")

    # ---------------------------------------------------------------------------------------------- backports
    def missing(self, branch: str, upstream: str) -> list[Missing]:
        """Commits of `upstream` that change what wheels are made from and that `branch` lacks, newest first.

        A commit is there when the same patch is (git's patch id), or when a commit says that it was picked
        from it. Merges are left out. Raises RepositoryError when there is no such branch.
        """
        for name in (branch, upstream):
            if self.commit(name) is None:
                raise RepositoryError(
                    f"there is no branch {name} in {self.root}",
                    hint=f"Fetch it, or name another: git -C {self.root} branch --all",
                )
        picked = set(_PICKED.findall(self._git("log", "--format=%B", f"{upstream}..{branch}")))
        log = self._git(
            *("log", "--cherry-pick", "--right-only", "--no-merges", "--format=%H%x00%cs%x00%B%x01"),
            *(f"{branch}...{upstream}", "--", *PARTS),
        )
        found = []
        for entry in filter(None, (one.strip("\n") for one in log.split("\1"))):
            commit, date, body = entry.split("\0", 2)
            if not any(commit.startswith(one) for one in picked):
                subject = body.strip().partition("\n")[0]
                found.append(Missing(commit, date, subject, _FIX.search(body) is not None))
        return found
