"""Where a picture lies in a network's input: the sizes and offsets of a :class:`PreprocessSpec`, and how to go back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.spec import PreprocessSpec


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
