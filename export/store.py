"""One lifecycle for everything that is built: ``try_load → build → load``, under a lock, published by rename.

An ONNX file, an engine plan, a set of features, an index of photographs, a fetched checkpoint: each is an *entry*, a
folder named by its key that holds files and a ``manifest.json`` with the SHA-256 of each. An entry is immutable. One
that does not match its manifest is set aside, said, and rebuilt. Two processes may share one store.

The key is a hash of every setting that can move the result, and keys chain: a plan's key contains its ONNX file's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from export.errors import UserError, disk_full, not_written
from export.places import cache_home, expanded, not_writable, require_writable

MANIFEST = "manifest.json"


def key(kind: str, /, **fields: Any) -> str:
    """128 bits of SHA-256 over the canonical JSON of ``fields``, as 32 hex digits.

    Raises:
        TypeError: a field is not made of JSON values (a key must not depend on an object's repr).
    """
    text = json.dumps([kind, fields], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


LEAST_BYTES = 100 << 20
"""What must be free for a store: one export of a small network, its plan and the features of some photographs."""


def default_store() -> Path:
    """The user's cache folder for built things: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``backbones-deployed``.

    Raises:
        UserError: as :func:`export.places.cache_home`; ``--store`` is the remedy.
    """
    try:
        return cache_home() / "backbones-deployed"
    except UserError as error:
        raise UserError(error.what, error.why, "name the store: --store DIR") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one, whenever the writer dies.

    Raises:
        UserError: the disk is full, or the file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise not_written(error, f"writing {path.name}") from error


@dataclass(frozen=True)
class Entry:
    """A published entry: its folder, and ``fields``, what its builder wrote into the manifest."""

    kind: str
    key: str
    path: Path
    fields: Mapping[str, Any]
    files: Mapping[str, str]
    """File name → SHA-256."""

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def bytes(self) -> int:
        return sum((self.path / name).stat().st_size for name in self.files)

    @property
    def content(self) -> str:
        """One hash over all files: two builds with equal content are the same artifact."""
        return key("content", files=dict(self.files))


class Peers(Protocol):
    """Other stores, of which an entry may be had that is not in this one."""

    def files(self, kind: str, key: str, /) -> Mapping[str, bytes] | None:
        """The entry's files by name, its manifest among them; None where nobody has it."""

    def built(self, kind: str, key: str, /) -> None:
        """Hear of an entry that was built here."""


class _Damaged(Exception):
    """An entry is there and is not what its manifest says."""


class Store:
    """A folder of entries, ``root/<kind>/<key>/``; ``say`` gets the lines a user should see.

    That it can be written is checked when it is opened, so that no work is done first. ``verified`` says that another
    process has just checked this, and compared the files with their hashes: a plan of 300 MB takes a second. Only files
    that were touched after their entry was published are then compared again. ``peers``, where they are set, are asked
    for what is not there; what they give is compared with its hashes when it arrives.

    Raises:
        UserError: the folder cannot be written, or no folder was given and the user's cache folder is not known.
        OutOfSpace: too little is free.
    """

    def __init__(
        self, root: Path | None = None, say: Callable[[str], None] | None = None, verified: bool = False
    ) -> None:
        self._verified = verified
        self.root = (default_store() if root is None else expanded(root)).resolve()
        if not verified:
            require_writable(self.root, "--store", LEAST_BYTES)
        self.say = say or (lambda line: print(line, file=sys.stderr))
        self.peers: Peers | None = None

    def folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def try_load(self, kind: str, key: str) -> Entry | None:
        """The entry if it is there and whole, or a peer has it, else None. Only a builder sets a damaged one aside.

        Raises:
            UserError: the store cannot be read.
        """
        try:
            return self._load(kind, key) or self._brought(kind, key)
        except _Damaged:
            return None
        except OSError as error:
            raise UserError(
                f"The store {self.root} cannot be read.", str(error), "another folder with --store DIR"
            ) from error

    def _brought(self, kind: str, key: str) -> Entry | None:
        """The entry from a peer, once it is here and matches its hashes."""
        files = self.peers.files(kind, key) if self.peers else None
        if files is None:
            return None
        folder = self.folder(kind, key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=folder.parent))
        try:
            for name in sorted(files, key=lambda name: name == MANIFEST):  # last, as it was written
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_bytes(files[name])
            try:
                manifest = json.loads((work / MANIFEST).read_bytes())
                wrong = [n for n, digest in manifest["files"].items() if sha256_file(work / n) != digest]
            except (OSError, ValueError, KeyError, TypeError) as error:
                wrong = [str(error)]
            if wrong:
                self.say(f"{kind} {key[:8]} arrived damaged ({wrong[0]}); it is built here")
                return None
            work.chmod(0o755)
            with suppress(OSError):  # another process may have brought it meanwhile
                os.rename(work, folder)
            return self._load(kind, key)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _load(self, kind: str, key: str) -> Entry | None:
        folder = self.folder(kind, key)
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            if manifest["key"] != key or manifest["kind"] != kind:
                raise ValueError("the manifest is of another entry")
            if manifest["digest"] != self._digest(manifest):
                raise ValueError("the manifest does not match its own hash")
            written = (folder / MANIFEST).stat().st_mtime_ns  # the last of the entry's files
            for name, digest in manifest["files"].items():
                touched = (folder / name).stat().st_mtime_ns > written
                if (touched or not self._verified) and sha256_file(folder / name) != digest:
                    raise ValueError(f"{name} does not match its SHA-256")
        except FileNotFoundError as error:
            if not folder.exists():
                return None
            raise _Damaged(f"{error.filename} is missing") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _Damaged(str(error)) from error
        return Entry(kind, key, folder, manifest["fields"], manifest["files"])

    def obtain(self, kind: str, key: str, build: Callable[[Path], Mapping[str, Any]]) -> Entry:
        """The entry, built if it is not there.

        Args:
            kind: the shelf ("onnx", "plan", "features", …).
            key: from :func:`key`; must hold every setting that can move the result.
            build: writes its files into the folder it is given (nested folders are allowed) and returns the
                manifest's ``fields``, which are JSON values. If it raises, nothing is published.

        Raises:
            UserError: the disk is full, or the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        found = self.try_load(kind, key)
        if found:
            return found
        folder = self.folder(kind, key)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.parent / f"{key}.lock")
            try:
                lock.acquire(timeout=1)
            except Timeout:
                self.say(f"waiting for another process to build {kind} {key[:8]} …")
                lock.acquire()
            try:
                try:
                    found = self._load(kind, key)  # another process may have built it while we waited
                except _Damaged as error:
                    self._set_aside(folder, str(error))
                return found or self._publish(kind, key, build)
            finally:
                lock.release()
        except OSError as error:
            if (failure := self._failed(error, f"building {kind} {key[:8]}")) is error:
                raise
            raise failure from error

    def _failed(self, error: OSError, doing: str) -> Exception:
        """The store's own errors as sentences; a builder's stay what they are, a full disk apart."""
        place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        if place is not None and place.is_relative_to(self.root):
            return not_writable(error, self.root, "--store")
        try:
            return disk_full(error, doing)
        except OSError as other:
            return other

    def _publish(self, kind: str, key: str, build: Callable[[Path], Mapping[str, Any]]) -> Entry:
        folder = self.folder(kind, key)
        work = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=folder.parent))
        try:
            fields = dict(build(work))
            files = {
                path.relative_to(work).as_posix(): sha256_file(path)
                for path in sorted(work.rglob("*"))
                if path.is_file()
            }
            manifest = {"kind": kind, "key": key, "fields": fields, "files": files}
            manifest["bytes"] = {name: (work / name).stat().st_size for name in files}  # for whoever reads it
            manifest["digest"] = self._digest(manifest)
            write_atomic(work / MANIFEST, json.dumps(manifest, indent=1).encode())
            work.chmod(0o755)
            os.rename(work, folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        if self.peers:
            self.peers.built(kind, key)
        return Entry(kind, key, folder, fields, files)

    def _set_aside(self, folder: Path, reason: str) -> None:
        aside = folder.with_name(f"{folder.name}.bad-{time.time_ns()}")
        os.rename(folder, aside)
        self.say(f"damaged store entry: {reason}; moved to {aside.name}, and rebuilt")

    @staticmethod
    def _digest(manifest: Mapping[str, Any]) -> str:
        return key("manifest", of=[manifest["kind"], manifest["key"], manifest["fields"], manifest["files"]])
