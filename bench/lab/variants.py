"""The ways in which photographs are resized in the field, each as a function that one could deploy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.preprocess.host import HostKernel, library
from engines.preprocess.resize import resize
from export.errors import Unavailable
from export.geometry import resized_size
from export.picture import Image
from export.reference import crop_or_pad, resize_and_crop
from export.spec import PreprocessSpec
from export.store import Store

Resize = Callable[[Image, PreprocessSpec], Image]
REFERENCE = "Pillow"


@dataclass(frozen=True)
class Variant:
    """One way: uint8 RGB [h, w, 3] and a spec → uint8 RGB [height, width, 3].

    Attributes:
        what: in a few words, what it is and who does it so.
    """

    name: str
    what: str
    resize: Resize


def variants(store: Store) -> list[Variant]:
    """All of them, the reference first.

    Raises:
        Unavailable: OpenCV or a C++ compiler is missing.
    """
    kernel = HostKernel(library(store))
    return [
        Variant(REFERENCE, "as the checkpoints' authors resize; the reference", resize_and_crop),
        Variant("ours, cpu", "the path `cpu`: PyTorch's antialiased 8-bit kernel, in Pillow's order", resize),
        Variant(
            "ours, cuda", "the CUDA kernel's source, here compiled for the processor", lambda i, s: kernel([i], s)[0]
        ),
        Variant("PyTorch, float", "`interpolate(antialias=True)` on floats, as on a GPU", _torch(antialias=True)),
        Variant("PyTorch, no antialias", "`interpolate` as it comes", _torch(antialias=False)),
        Variant("OpenCV linear", "`cv2.resize` as it comes: INTER_LINEAR, no antialias", _opencv("INTER_LINEAR")),
        Variant("OpenCV area", "`cv2.resize` with INTER_AREA, the usual advice for shrinking", _opencv("INTER_AREA")),
    ]


def _torch(antialias: bool) -> Resize:
    import torch
    from torch.nn.functional import interpolate

    def run(image: Image, spec: PreprocessSpec) -> Image:
        how: dict[str, Any] = {"mode": spec.interpolation, "antialias": antialias, "align_corners": False}
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None]
        resized = interpolate(pixels, size=resized_size(spec, *image.shape[:2]), **how)
        # rounded once, at the end: what is fed to a network without rounding is no further from Pillow's than this
        found = resized[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(crop_or_pad(found, spec))

    return run


def _opencv(flag: str) -> Resize:
    try:
        import cv2
    except ImportError as error:
        raise Unavailable("OpenCV is not installed.", "", "pip install 'backbones-deployed[lab]'") from error

    def run(image: Image, spec: PreprocessSpec) -> Image:
        height, width = resized_size(spec, *image.shape[:2])
        found: Any = cv2.resize(image, (width, height), interpolation=getattr(cv2, flag))
        return np.ascontiguousarray(crop_or_pad(found, spec))

    return run


def pixels_of(variant: Variant, images: Sequence[Image], spec: PreprocessSpec) -> Image:
    """uint8 [n, height, width, 3]."""
    return np.stack([variant.resize(image, spec) for image in images])
