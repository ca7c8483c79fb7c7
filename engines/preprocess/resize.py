"""Resizing on the CPU by torch's antialiased 8-bit kernel, held to Pillow's pixels.

Held to ``export.reference``: within 2/255 at every pixel and 0.01/255 on the mean for bilinear and bicubic (torch
rounds its fixed-point weights otherwise than Pillow), equal for the rest, which Pillow does itself.

Threads: any number may call it. On x86 with AVX2 torch's kernel runs in the calling thread alone, whatever torch's own
thread count is, so callers on every core do not crowd each other out.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from engines.preprocess.pillow import rows_first
from export.reference import Image, crop_or_pad, resize_and_crop, resized_size
from export.spec import PreprocessSpec


def resize(image: Image, spec: PreprocessSpec) -> Image:
    """Resize and crop or pad: uint8 RGB [h, w, 3] → uint8 RGB [height, width, 3]."""
    h, w = resized_size(spec, *image.shape[:2])
    if spec.interpolation not in ("bilinear", "bicubic") or (
        spec.interpolation == "bilinear" and _on_ties(image.shape[0], image.shape[1], h, w)
    ):
        return np.ascontiguousarray(resize_and_crop(image, spec))
    import torch
    from torch.nn.functional import interpolate

    if not image.flags.writeable:  # as Pillow hands it out; torch knows no read-only tensors
        image = image.copy()
    # Batch axis first, then permuted: only so do the strides say "channels last", the fast kernel's own form.
    pixels = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
    how: dict[str, Any] = {"mode": spec.interpolation, "antialias": True, "align_corners": False}
    if rows_first(image.shape[0], image.shape[1], h, w):  # torch does columns first
        pixels = interpolate(pixels, size=(h, image.shape[1]), **how)
    resized = interpolate(pixels, size=(h, w), **how)
    return np.ascontiguousarray(crop_or_pad(resized[0].permute(1, 2, 0).numpy(), spec))


def _on_ties(height: int, width: int, to_height: int, to_width: int) -> bool:
    """Whether bilinear sums often fall on one half, which torch and Pillow round to different sides.

    So it is at simple ratios (over 500 drawn sizes the mean moved by up to 0.06/255; with more than 64 positions of
    the kernel by no more than 0.005/255). Pillow itself then does the resize.
    """
    return min(to_height // gcd(height, to_height), to_width // gcd(width, to_width)) < 64
