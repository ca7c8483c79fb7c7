"""How the tensors of a checkpoint find their place in a module: one of a few ways. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from export.zoo.layouts import Layout


@dataclass(frozen=True)
class ByName:
    """Under the module's own names, after ``prefix`` is stripped; without one, what makes the names fit is stripped."""

    prefix: str = ""


@dataclass(frozen=True)
class InOrder:
    """One after the other: the same network under other names."""


@dataclass(frozen=True)
class TensorFlowMobileNetV1:
    """Out of a frozen TensorFlow graph of Google's MobileNetV1."""


@dataclass(frozen=True)
class KerasInOrder:
    """Out of a Keras HDF5 file, layer after layer."""


@dataclass(frozen=True)
class OnnxVisionTransformer:
    """Out of an ONNX file that was exported from a vision transformer of Hugging Face's: its tensors, not its graph."""


@dataclass(frozen=True)
class ByLayout:
    """Under the names of another project, as one of these layouts says."""

    layouts: tuple[Layout, ...]


@dataclass(frozen=True)
class StableDiffusion:
    """Out of a checkpoint of Stable Diffusion 1: one file of the original project's, or a folder of diffusers'."""


Reader = ByName | InOrder | TensorFlowMobileNetV1 | KerasInOrder | OnnxVisionTransformer | StableDiffusion | ByLayout

READERS: dict[str, Callable[[], Reader]] = {
    "in_order": InOrder,
    "tensorflow_mobilenetv1": TensorFlowMobileNetV1,
    "keras_in_order": KerasInOrder,
    "onnx_vision_transformer": OnnxVisionTransformer,
    "stable_diffusion": StableDiffusion,
}
"""Those without a setting, by their names in a row."""
