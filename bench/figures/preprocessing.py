"""Our resize, crop and normalisation beside timm's Pillow transform: on decoded photographs, one core."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pil

from bench.figures.figure import Figure, figure, ratios
from bench.figures.photographs import cameras, imagenet, odd
from engines.preprocess.normalize import Normalizer
from engines.preprocess.resize import resize
from engines.preprocess.threads import one_thread
from export.picture import Image, decode
from export.spec import Interpolation, PreprocessSpec
from export.store import Store
from export.torchvision_ops import import_timm

KINDS = {"sizes as ImageNet's": lambda store: imagenet(store)[:200], "odd sizes": odd, "cameras' sizes": cameras}
INTERPOLATIONS: tuple[Interpolation, ...] = ("bicubic", "bilinear")
REPEATS = 7


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One for each interpolation and kind of size: at simple ratios another way may have to be gone."""
    for kind, photographs in KINDS.items():
        images = [decode(e) for e in photographs(store)]
        for interpolation in INTERPOLATIONS:
            with one_thread():
                values = against_timm(images, PreprocessSpec(224, 224, interpolation, 0.875), REPEATS)
            yield figure(
                f"Preprocessing, timm's Pillow transform / ours ({interpolation}, {kind})",
                values,
                "≥ 2.5",
                lambda v: v >= 2.5,
                f"{len(images)} decoded photographs to 224x224, resize + crop + normalise, one thread",
            )


def against_timm(images: Sequence[Image], spec: PreprocessSpec, repeats: int) -> list[float]:
    """Seconds of timm's transform over ours for all of ``images``, one a repeat."""
    normalize = Normalizer(spec)
    pillow = [Pil.fromarray(image) for image in images]
    transform: Any = import_timm().data.create_transform(
        (3, spec.height, spec.width),
        interpolation=spec.interpolation,
        mean=spec.mean,
        std=spec.std,
        crop_pct=spec.crop_pct,
    )

    def theirs() -> float:
        start = time.perf_counter()
        for image in pillow:
            transform(image)
        return time.perf_counter() - start

    def ours() -> float:
        start = time.perf_counter()
        for image in images:
            normalize(resize(image, spec)[None])
        return time.perf_counter() - start

    return ratios(theirs, ours, repeats)
