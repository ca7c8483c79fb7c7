"""Lets timm be imported beside a CPU build of torch.

timm imports torchvision, and the index's torchvision wheels are built for CUDA: beside a CPU torch their operators do
not load, and torchvision's import then fails because it registers fake kernels for two operators that nobody has
declared. Declaring the two is enough: timm uses neither.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []
"""Keeps the library object alive: torch withdraws the declarations when it is collected."""


def import_torchvision() -> ModuleType:
    """torchvision, with the two operators declared where its own did not load."""
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _declared:
            raise
    import sys

    import torch

    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]  # half-imported by the failed attempt
    return import_module("torchvision")


def import_timm() -> ModuleType:
    """timm, with any build of torch."""
    import_torchvision()
    return import_module("timm")
