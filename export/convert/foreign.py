"""A finished ONNX file → artifact: examined, cut at its feature, its batch axis freed, its tensors given our names.

Such a file has no eager twin. Its reference is itself: ONNX Runtime's outputs, image by image, with which larger
batches and every other engine are then compared. All of that happens in a child process (``export.convert.trial``).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from export import external
from export.convert import trial, verify
from export.convert.behaviour import BATCH
from export.errors import CellError, UserError
from export.spec import Precision, PreprocessSpec
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone
from export.zoo.sources import LocalFile, OnnxFile

VERSION = 1
"""Raised whenever another artifact would be made of the same file."""

_REFUSED: dict[tuple[Any, ...], tuple[str, str, str]] = {}
"""What this process has tried already, for the next engine and precision: a trial of a large file takes minutes."""


def build(
    backbone: Backbone, source: OnnxFile, store: Store, folder: Path, images: Path | None = None
) -> Mapping[str, Any]:
    """Write ``model.onnx`` and ``parity.npz`` into ``folder``; return the manifest's fields.

    Args:
        source: the backbone's own. images: photographs for the parity gate, instead of the published ones.

    Raises:
        UserError: no ONNX file, not whole, or external data outside its folder.
        CellError: it cannot be used: the message names the cause.
    """
    file = weights.fetch(backbone, store)
    assert file is not None  # an ONNX file always has a file
    spec = _preprocess(backbone)
    own_precision(file)  # what is no ONNX file is refused before photographs are fetched
    pixels, _ = verify.inputs(spec, store, images)
    same = (*_stamped(file), source.cut, spec, hashlib.sha256(pixels.tobytes()).hexdigest())
    if same in _REFUSED:
        raise CellError(*_REFUSED[same])
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        saved = Path(place, "pixels.npy")
        np.save(saved, pixels)
        job = trial.Job(backbone.name, str(file.absolute()), source.cut, spec.as_json(), str(saved), str(folder))
        try:
            found = trial.alone(job)
        except CellError as error:
            _REFUSED[same] = error.what, error.why, error.remedy
            raise
    for line in found.changed:
        store.say(f"{backbone.name}: {line}")
    return {
        "backbone": backbone.name,
        "preprocess": spec.as_json(),
        "untrained": False,
        **found.fields,
        "feature": backbone.feature,
        "changed": list(found.changed),
        "source": {**weights.source(backbone, store), "request": None},
        "compared": {"with": "the file's own outputs, image by image", "batches": [BATCH]},
    }


def precision(backbone: Backbone) -> Precision:
    """The precision that a local finished file is in; fp32 for every other source.

    Raises:
        UserError: the file cannot be read, or its precision has no name.
    """
    file = users_file(backbone)
    return own_precision(file) if file else Precision.FP32


def identity(backbone: Backbone) -> dict[str, Any]:
    """What, beside the file itself, moves the artifact: the files that hold its external data.

    Raises:
        UserError: as :func:`precision`.
    """
    _preprocess(backbone)  # a key is made of finite numbers
    if isinstance(backbone.source, OnnxFile) and not isinstance(backbone.source.cut, str):
        raise CellError(
            f"{backbone.name!r} cannot be cut at {backbone.source.cut!r}.",
            "That is not a text.",
            "name one tensor under 'cut'",
        )
    file = users_file(backbone)
    beside = _examined(*_stamped(file))[1] if file else ()
    return {"version": VERSION, "beside": {path.name: weights.sha256(path) for path in beside}}


def _preprocess(backbone: Backbone) -> PreprocessSpec:
    from export.zoo.inputs import spec_of

    spec = spec_of(backbone.preprocess)
    if not all(spec.std) or not np.isfinite([*spec.mean, *spec.std]).all():
        raise CellError(
            "The preprocessing gives no numbers.",
            f"mean is {list(spec.mean)}, std is {list(spec.std)}: all must be finite, and std not 0.",
            "correct the file's sidecar",
        )
    return spec


def own_precision(file: Path) -> Precision:
    """As :func:`precision`, of a file."""
    return _examined(*_stamped(file))[0]


def users_file(backbone: Backbone) -> Path | None:
    """The finished ONNX file that the user brought; None for every other source, published packages included."""
    source = backbone.source
    return source.file.path if isinstance(source, OnnxFile) and isinstance(source.file, LocalFile) else None


def _stamped(file: Path) -> tuple[Path, int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise UserError(f"{file.name} cannot be read.", error.strerror or str(error)) from error
    return file, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _examined(file: Path, size: int, changed: int) -> tuple[Precision, tuple[Path, ...]]:
    """A file's precision, and the files that hold its external data: read once, as long as it does not change."""
    from export.convert import examination
    from export.zoo import onnx_file

    model = onnx_file.parse(file)
    beside = tuple(sorted({onnx_file.place(file, tensor) for tensor in external.external(model)}))
    return examination.precision(model), beside
