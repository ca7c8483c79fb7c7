"""The engines, by name. One line an engine; listing imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.registry import Registry

if TYPE_CHECKING:
    from engines.base import Engine, EngineSpec

ENGINES: Registry[type[Engine]] = Registry(
    "engine",
    {
        "null": "engines.null:NullEngine",
        "torch": "engines.torch_ref:TorchEngine",
        "ort": "engines.ort.engine:OrtEngine",
        "openvino": "engines.ov:OpenVinoEngine",
        "ncnn": "engines.ncnn:NcnnEngine",
        "litert": "engines.litert:LiteRtEngine",
        "trt": "engines.trt.engine:TrtEngine",
        "trt-rtx": "engines.trt.engine:RtxEngine",
    },
    "bob engines",
)

REFERENCE = "torch"
"""Eager PyTorch: what a deployed cell is compared with."""

BASELINE = "null"
"""Does nothing in the right shapes: the harness's own cost, a row of every report."""


def engine(spec: EngineSpec | str) -> Engine:
    """The engine asked for, for example ``engine("ort:cuda")``.

    Raises:
        UserError: there is no such engine, or it has no such provider.
    """
    from engines.base import EngineSpec

    asked = EngineSpec.parse(spec) if isinstance(spec, str) else spec
    return ENGINES.get(asked.name)(asked)
