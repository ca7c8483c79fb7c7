"""What a :class:`PreprocessSpec` means, in Pillow and numpy: slow and plain. Other paths are compared with it.

The parity gate uses it, so that an artifact is judged on pixels that no fast path has touched.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from export.geometry import crop_offsets, resized_size
from export.spec import PreprocessSpec

_FILTERS = {
    "nearest": Pil.Resampling.NEAREST,
    "bilinear": Pil.Resampling.BILINEAR,
    "bicubic": Pil.Resampling.BICUBIC,
    "lanczos": Pil.Resampling.LANCZOS,
}


def resize_and_crop(image: npt.NDArray[np.uint8], spec: PreprocessSpec) -> npt.NDArray[np.uint8]:
    """The geometric part: RGB uint8 [h, w, 3] → RGB uint8 [height, width, 3]."""
    h, w = resized_size(spec, *image.shape[:2])
    resized = np.asarray(Pil.fromarray(image).resize((w, h), _FILTERS[spec.interpolation]))
    return crop_or_pad(resized, spec)


def crop_or_pad(resized: npt.NDArray[np.uint8], spec: PreprocessSpec) -> npt.NDArray[np.uint8]:
    """Cut the centre out of a resized image, or pad it with ``spec.fill`` where it is smaller."""
    top, left = crop_offsets(spec, *resized.shape[:2])
    if resized.shape[0] >= spec.height and resized.shape[1] >= spec.width:
        return resized[top : top + spec.height, left : left + spec.width]
    out = np.empty((spec.height, spec.width, 3), np.uint8)
    out[:] = np.array(spec.fill, np.uint8)
    part = resized[max(top, 0) : max(top, 0) + spec.height, max(left, 0) : max(left, 0) + spec.width]
    y, x = max(-top, 0), max(-left, 0)
    out[y : y + part.shape[0], x : x + part.shape[1]] = part
    return out


def normalize(pixels: npt.NDArray[np.uint8], spec: PreprocessSpec) -> npt.NDArray[np.float32]:
    """The value part: RGB uint8 [n, height, width, 3] → float32 in ``spec.layout`` ([n, 3, height, width])."""
    values: npt.NDArray[np.float32] = pixels.astype(np.float32)
    if spec.channel_order == "BGR":
        values = values[..., ::-1]
    if spec.value_range == 1:
        values = values / np.float32(255)
    values = ((values - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)).astype(np.float32)
    return np.ascontiguousarray(values if spec.layout == "NHWC" else values.transpose(0, 3, 1, 2))
