"""Values that are asked for and agreed on: precision, tensors, preprocessing, metrics.

Everything here is plain data that can be hashed, written as JSON and read back. Nothing here imports a framework.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Literal

Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest"]
CropMode = Literal["center", "squash", "border"]


class Precision(str, Enum):
    """The arithmetic that a file asks for. Each precision is a file of its own."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    FP8 = "fp8"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor without its batch axis: ``shape`` (768,) stands for [n, 768]; ``dtype`` is numpy's name."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class PreprocessSpec:
    """How a decoded RGB photograph becomes the network's input, as the checkpoint's authors did it.

    The meaning is that of timm's evaluation transform, in two steps:

    * geometry (uint8 → uint8): ``center`` resizes the short side to ``floor(size / crop_pct)`` and cuts the centre;
      ``squash`` resizes both sides to that and cuts the centre; ``border`` resizes the long side and pads with
      ``fill``. Interpolation is Pillow's, antialiased, rounded to 8 bits between its two passes.
    * values (uint8 → float32): ``(pixel / 255 − mean) / std`` per channel, HWC → CHW; ``channel_order`` "BGR" flips
      the channels first and ``value_range`` 255 leaves out the division by 255 (for networks trained so).
    """

    height: int
    width: int
    interpolation: Interpolation = "bicubic"
    crop_pct: float = 0.875
    crop_mode: CropMode = "center"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fill: tuple[int, int, int] = (0, 0, 0)
    channel_order: Literal["RGB", "BGR"] = "RGB"
    value_range: Literal[1, 255] = 1
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    def geometry(self) -> PreprocessSpec:
        """The same spec with its value part at the defaults: equal geometry means that pixels can be shared."""
        return PreprocessSpec(
            self.height, self.width, self.interpolation, self.crop_pct, self.crop_mode, fill=self.fill
        )

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, in field order; tuples become lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Metric:
    """One number with all that is needed to read it.

    ``stderr`` is the standard error of ``value``, ``n`` the number of samples behind it; both are None where they
    have no meaning (a file's size). ``value`` is None when it is unknown, and ``note`` then says why.
    """

    name: str
    value: float | None
    unit: str
    higher_is_better: bool
    n: int | None = None
    stderr: float | None = None
    note: str = ""

    @classmethod
    def gain(
        cls,
        name: str,
        value: float | None,
        unit: str,
        n: int | None = None,
        stderr: float | None = None,
        note: str = "",
    ) -> Metric:
        """A number of which more is better."""
        return cls(name, value, unit, True, n, stderr, note)

    @classmethod
    def cost(
        cls,
        name: str,
        value: float | None,
        unit: str,
        n: int | None = None,
        stderr: float | None = None,
        note: str = "",
    ) -> Metric:
        """A number of which less is better."""
        return cls(name, value, unit, False, n, stderr, note)
