"""Traps of preprocessing: the network is shown other pixels, or other values, than it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.sabotage.bed import Bed, replaced
from bench.sabotage.trap import Answer, Traps, refusal, require, require_bite
from bench.sweep import gate
from bench.sweep.features import stream
from engines.ort import session as sessions
from engines.preprocess.cpu import CpuPreprocess
from engines.preprocess.normalize import Normalizer
from export.parity import cosine
from export.picture import Image
from export.spec import PreprocessSpec
from tasks.base import FEATURES

PREPROCESSING = Traps("preprocessing")
IMAGES = 8


def _moved(bed: Bed, owner: Any, name: str, other: Any) -> float:
    """The least cosine between features as they should be, and with something else in the place of a part."""
    images = [bed.images.read(sample.id) for sample in bed.images.samples[:IMAGES]]

    def features() -> np.ndarray:
        with bed.session() as session:
            return np.concatenate([bed.path.run(session, [bed.path(encoded)])[FEATURES] for encoded in images])

    right = features()
    with replaced(owner, name, other):
        wrong = features()
    return min(cosine(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(right, wrong, strict=True))


def _resized_by(bed: Bed, other: Callable[[CpuPreprocess, Image], Image]) -> Answer:
    """Wherever many photographs are about to be prepared, the first is compared with the reference."""
    moved = _moved(bed, CpuPreprocess, "resize", other)
    require_bite(moved < 0.9999, f"the cosine is {moved:.6f}")
    with replaced(CpuPreprocess, "resize", other), bed.session() as session:
        said = refusal(lambda: stream(session, bed.path, bed.images, bed.images.samples, [FEATURES]))
    return Answer("refused", said, f"other features: cosine {moved:.4f}")


@PREPROCESSING.add(
    "resize", 23, "a resize of another library", "bilinear without antialias, as OpenCV and PyTorch have it", "refused"
)
def resize(bed: Bed) -> Answer:
    """The kernel is part of what a checkpoint was trained with."""
    from torch import from_numpy
    from torch.nn.functional import interpolate

    def other(self: CpuPreprocess, image: Image) -> Image:
        short = int(self.spec.height / self.spec.crop_pct)
        planes = from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
        found = interpolate(planes, scale_factor=short / min(image.shape[:2]), mode="bilinear", antialias=False)
        pixels = found[0].round().byte().numpy().transpose(1, 2, 0)
        top, left = ((pixels.shape[i] - side) // 2 for i, side in enumerate((self.spec.height, self.spec.width)))
        return np.ascontiguousarray(pixels[top : top + self.spec.height, left : left + self.spec.width])

    return _resized_by(bed, other)


@PREPROCESSING.add("crop", 23, "another crop fraction", "the whole photograph where 0.95 of it is meant", "refused")
def crop(bed: Bed) -> Answer:
    """The fraction is taken from the checkpoint."""
    true = CpuPreprocess.resize

    def other(self: CpuPreprocess, image: Image) -> Image:
        whole = CpuPreprocess(replace(self.spec, crop_pct=0.7), self._store)
        return true(whole, image)

    return _resized_by(bed, other)


@PREPROCESSING.add("channels", 23, "BGR for RGB", "channels in the order of OpenCV's reader", "refused")
def channels(bed: Bed) -> Answer:
    """The reference is RGB."""
    true = CpuPreprocess.resize
    return _resized_by(bed, lambda self, image: np.ascontiguousarray(true(self, image)[..., ::-1]))


def _normalised_by(bed: Bed, name: str, other: Callable[[PreprocessSpec], Normalizer]) -> Answer:
    """The session makes the values, so that the parity gate sees them."""
    moved = _moved(bed, sessions, "Normalizer", other)
    require_bite(moved < 0.999, f"the cosine is {moved:.6f}")
    with replaced(sessions, "Normalizer", other):
        parity = gate.check(bed.cell.engine, bed.plan, bed.copy(name))
    assert parity is not None
    require(not parity.passed, f"parity passes with a cosine of {parity.cosine_min:.4f}")
    said = f"fails parity (cosine min {parity.cosine_min:.3f}, bound {parity.cosine_bound:g}): never ranked"
    return Answer("refused", said, f"other features: cosine {moved:.4f}")


@PREPROCESSING.add(
    "twice", 23, "divided by 255 twice", "values 255 times too small before mean and deviation", "refused"
)
def twice(bed: Bed) -> Answer:
    """As where the network divides by itself."""
    return _normalised_by(
        bed,
        "twice",
        lambda spec: Normalizer(replace(spec, std=tuple(255 * s for s in spec.std))),  # type: ignore[arg-type]
    )


@PREPROCESSING.add(
    "mean", 23, "another mean and deviation", "those of CLIP's networks, doubled, for the checkpoint's own", "refused"
)
def mean(bed: Bed) -> Answer:
    """They are taken from the checkpoint, and hashed into every key."""
    clip = {"mean": (0.481, 0.458, 0.408), "std": (0.537, 0.522, 0.552)}
    return _normalised_by(bed, "mean", lambda spec: Normalizer(replace(spec, **clip)))  # type: ignore[arg-type]
