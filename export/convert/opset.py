"""Which version of ONNX's own operators a file is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def opset(model: onnx.ModelProto) -> int:
    """The version of the default domain, which has two names."""
    return int(next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")))
