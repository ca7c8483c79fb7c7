"""A file that nobody has verified: to learn whether an engine takes an architecture, in minutes for a whole zoo.

No parity, one calibrator, a few photographs. It is never scored or timed, and never lies where an artifact lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export import external
from export.convert import onnx_from_torch
from export.lower.calibration import published
from export.lower.precision import fp32_model, require_fp32, scratch
from export.spec import Precision
from export.store import Entry, Store, key
from export.zoo.backbones import Backbone

PHOTOGRAPHS = 2


def draft(backbone: Backbone, store: Store, precision: Precision) -> Entry:
    """``model.onnx`` in that precision, unverified; the fields hold ``input`` and ``preprocess``, as an artifact's do.

    Raises:
        UserError, Unavailable, CellError: as :func:`export.lower.precision.artifact`.
    """
    base_key = onnx_from_torch.artifact_key(backbone, store)

    def export(folder: Path) -> Mapping[str, Any]:
        return onnx_from_torch.unverified(backbone, store, folder)

    base = store.obtain("draft", key("draft", onnx=base_key, precision=str(Precision.FP32)), export)
    if precision is Precision.FP32:
        return base
    require_fp32(backbone, Precision(base.fields["precision"]), precision)

    def lower(folder: Path) -> Mapping[str, Any]:
        from export.artifact import ONNX, preprocess_of_fields
        from export.lower.casting import cast
        from export.lower.quantization import activations, minmax, quantized

        with scratch(folder) as place:
            model = fp32_model(base.file(ONNX), place)
            if precision in (Precision.FP16, Precision.BF16):
                made = cast(model, precision)
            else:
                from export.lower.activations import histograms

                photographs = published(store)
                values = photographs.values(photographs.train[:PHOTOGRAPHS], preprocess_of_fields(base.fields))
                seen, _ = histograms(model, activations(model), values)
                made = quantized(model, {name: minmax(h) for name, h in seen.items()}, precision)
            external.save(made, folder / ONNX)
        return {**base.fields, "precision": str(precision)}

    return store.obtain("draft", key("draft", onnx=base_key, precision=str(precision)), lower)
