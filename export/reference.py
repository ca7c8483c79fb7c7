"""What a :class:`PreprocessSpec` means, in Pillow and numpy: slow and plain. Other paths are compared with it.

The parity gate uses it, so that an artifact is judged on pixels that no fast path has touched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from export.spec import PreprocessSpec

_FILTERS = {
    "nearest": Pil.Resampling.NEAREST,
    "bilinear": Pil.Resampling.BILINEAR,
    "bicubic": Pil.Resampling.BICUBIC,
    "lanczos": Pil.Resampling.LANCZOS,
}


def resized_size(spec: PreprocessSpec, height: int, width: int) -> tuple[int, int]:
    """Height and width after the resize and before the crop or the padding (timm's and torchvision's rounding)."""
    target_h, target_w = (math.floor(side / spec.crop_pct) for side in (spec.height, spec.width))
    if spec.crop_mode == "squash":
        return target_h, target_w
    if spec.crop_mode == "border" or target_h != target_w:
        # timm's ResizeKeepRatio: 'border' fits the long side into the target, 'center' fits the short side.
        ratios = (height / target_h, width / target_w)
        ratio = max(ratios) if spec.crop_mode == "border" else min(ratios)
        # a strip so thin that it would vanish keeps a pixel; timm fails there
        return max(1, round(height / ratio)), max(1, round(width / ratio))
    if height <= width:
        return target_h, int(target_h * width / height)
    return int(target_w * height / width), target_w


def crop_offsets(spec: PreprocessSpec, height: int, width: int) -> tuple[int, int]:
    """Top and left of the central crop in a resized image; negative where it must be padded."""
    top, left = height - spec.height, width - spec.width
    # torchvision rounds half to even for a crop, and pads with floor division
    return (
        round(top / 2) if top >= 0 else -((-top) // 2),
        round(left / 2) if left >= 0 else -((-left) // 2),
    )


@dataclass(frozen=True)
class Frame:
    """Where a picture lies in the network's input.

    Coordinates are continuous, (x, y) with the pixel in column i between i and i + 1: x_input = x · ``scale[0]`` −
    ``left``, and y likewise. Parts of the input outside the picture are padding.

    Attributes:
        picture: its own (height, width). input: the network's.
        scale: along x and y. top, left: what is cut off the resized picture; negative where it is padded.
    """

    picture: tuple[int, int]
    input: tuple[int, int]
    scale: tuple[float, float]
    top: int
    left: int

    @classmethod
    def of(cls, spec: PreprocessSpec, height: int, width: int) -> Frame:
        """Of a picture of that size."""
        h, w = resized_size(spec, height, width)
        top, left = crop_offsets(spec, h, w)
        return cls((height, width), (spec.height, spec.width), (w / width, h / height), top, left)

    def into_input(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Boxes x1, y1, x2, y2 [k, 4] of the picture, in the input's coordinates; not clipped."""
        return np.asarray(boxes * np.tile(self.scale, 2) - (self.left, self.top, self.left, self.top))

    def into_picture(self, boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The inverse of :meth:`into_input`, clipped to the picture."""
        found = (boxes.astype(np.float64) + (self.left, self.top, self.left, self.top)) / np.tile(self.scale, 2)
        height, width = self.picture
        return np.asarray(np.clip(found, 0, (width, height, width, height)))


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
