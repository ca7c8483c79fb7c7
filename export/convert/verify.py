"""The export's parity gate: the file, run by ONNX Runtime on the processor, against its eager twin on photographs.

Pixels and the twin's outputs stay in the artifact (``parity.npz``), so that every engine can be held against them later
without a framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.artifact import ONNX
from export.convert.photographs import photographs
from export.errors import Unavailable
from export.parity import compare
from export.reference import decode, normalize, resize_and_crop
from export.spec import Precision
from export.store import Store

if TYPE_CHECKING:
    from export.zoo.loaders import Loaded

REFERENCE = "parity.npz"
BATCHES = (1, 5)
"""Two batch sizes, neither of which is the traced one: a frozen batch axis would show."""


def verify(
    folder: Path, loaded: Loaded, fields: Mapping[str, Any], store: Store, images: Path | None = None
) -> dict[str, Any]:
    """Hold ``folder/model.onnx`` against the eager module, and leave the reference in ``folder/parity.npz``.

    Returns:
        :func:`export.parity.compare` of the main output, the worst of all outputs deciding ``passed``; ``batches``.

    Raises:
        Unavailable: ONNX Runtime is not installed, or the photographs cannot be had.
    """
    import torch

    names = [o["name"] for o in fields["outputs"]]
    pixels = np.stack([resize_and_crop(decode(e), loaded.preprocess) for e in photographs(store, images)])
    inputs = normalize(pixels, loaded.preprocess)
    with torch.inference_mode():
        chunks = [loaded_outputs(loaded.module, names, inputs[i : i + 8]) for i in range(0, len(inputs), 8)]
    wanted = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    np.savez(folder / REFERENCE, pixels=pixels, wanted=wanted[0])
    runtime = session(folder / ONNX)
    results = []
    for batch in BATCHES:
        starts = range(0, len(inputs) - batch + 1, batch)
        found = [runtime.run(names, {fields["input"]: inputs[s : s + batch]}) for s in starts]
        for i in range(len(names)):
            whole = np.concatenate([f[i] for f in found])
            results.append(compare(whole, wanted[i][: len(whole)], Precision.FP32))
    worst = min(results, key=lambda r: (r["passed"], r["cosine_min"], -r["relative_error"]))
    return {**worst, "batches": list(BATCHES)}


def loaded_outputs(module: Any, names: list[str], inputs: Any) -> list[Any]:
    """The eager module's outputs, as arrays, in the order of ``names``."""
    import torch

    from export.convert.outputs import module_with_outputs

    found = module_with_outputs(module, names[0], len(names) > 1)(torch.from_numpy(inputs))
    return [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]


def session(model: Path | bytes) -> Any:
    """An ONNX Runtime session on the processor, of a file or of a serialized model.

    It computes Q/DQ pairs as they are written, not with integer kernels: what those make of a file depends on the
    processor (without VNNI their sums saturate), and a file must be made and judged the same on every machine.

    Raises:
        Unavailable: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise Unavailable(
            "ONNX Runtime is not installed, so an exported file cannot be verified.",
            "onnxruntime and onnxruntime-gpu share one name: install one of them, never both.",
            "pip install 'backbones-deployed[cpu]'  (or [gpu])",
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(
        source,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["ClipQuantRewrite"],  # it fails on a clipped tensor that is quantised to fp8
    )
