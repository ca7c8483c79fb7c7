"""The export's parity gate: the file, run by ONNX Runtime on the processor, against its eager twin on photographs.

Pixels and the twin's outputs stay in the artifact (``parity.npz``), so that every engine can be compared with them
later without a framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export import external
from export.artifact import ONNX, Reference, data_file
from export.convert.photographs import photographs
from export.errors import CellError, Unavailable
from export.parity import Parity, compare_outputs, worst
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.spec import Precision, PreprocessSpec
from export.store import Store

if TYPE_CHECKING:
    import onnx
    import torch


BATCHES = (1, 5)
"""Two batch sizes, neither of which is the traced one: a frozen batch axis would show."""
ALONE = 5
"""Images that are run at the first batch size, half of them where there are few. The others are run at the second."""
EAGER_BATCH = 8

Float = npt.NDArray[np.float32]


def reference(module: torch.nn.Module, names: Sequence[str], pixels: npt.NDArray[np.uint8], values: Float) -> Reference:
    """Photographs and the eager module's outputs for them, as ``parity.npz`` keeps them; as :func:`eager_outputs`.

    Raises:
        CellError: the module gives the same features for all photographs.
    """
    found = Reference(pixels, eager_outputs(module, names, values))
    require_different("The network", found.outputs[names[0]], pixels, "its weights: they may be another network's")
    return found


def verify(folder: Path, spec: PreprocessSpec) -> Parity:
    """Compare ``folder/model.onnx`` with the reference beside it; as :func:`closeness`.

    Raises:
        Unavailable: ONNX Runtime is not installed.
    """
    kept = Reference.load(folder)
    return closeness(session(folder / ONNX), kept.outputs, normalize(kept.pixels, spec))


def closeness(runtime: Any, wanted: Mapping[str, Float], values: Float) -> Parity:
    """A session's outputs for ``values`` [n, …] compared with ``wanted``, name → float32 [n, …].

    Returns:
        The worst of all outputs, of the first images at one batch size, and of the others at another.
    """
    first = min(ALONE, max(1, len(values) // 2))
    found = []
    for batch, part in zip(BATCHES, (slice(first), slice(first, None)), strict=True):
        if len(values[part]):
            ours = run(runtime, list(wanted), values[part], batch)
            found.append(compare_outputs(ours, {n: array[part] for n, array in wanted.items()}, Precision.FP32))
    return replace(worst(found), images=len(values))


def require_different(name: str, features: Float, images: npt.NDArray[Any], check: str) -> None:
    """Refuse features [n, d] that are the same for all images [n, …]: nothing could be told from them.

    Args:
        name: whose features they are. check: what may be wrong, for the remedy.

    Raises:
        CellError: they are.
    """
    different = len({image.tobytes() for image in images})
    if different > 2 and (features == features[0]).all():
        raise CellError(
            f"{name} gives the same features for all of {different} different photographs.",
            "Nothing can be told from them.",
            f"check {check}",
        )


def inputs(spec: PreprocessSpec, store: Store, images: Path | None = None) -> tuple[npt.NDArray[np.uint8], Float]:
    """The gate's photographs: pixels uint8 [n, height, width, 3], and float32 values as the network takes them.

    Raises:
        UserError, Unavailable: as :func:`export.convert.photographs.photographs`.
    """
    pixels = np.stack([resize_and_crop(decode(encoded), spec) for encoded in photographs(store, images)])
    return pixels, normalize(pixels, spec)


def eager_outputs(module: torch.nn.Module, names: Sequence[str], values: Float) -> dict[str, Float]:
    """The eager module's outputs for ``values`` [n, …]: name → float32 [n, …]. ``names`` begins with the main one."""
    import torch

    from export.convert.outputs import module_with_outputs

    wrapped = module_with_outputs(module, names[0], names[1:])
    chunks = []
    with torch.inference_mode():
        for start in range(0, len(values), EAGER_BATCH):
            found = wrapped(torch.from_numpy(values[start : start + EAGER_BATCH]))
            chunks.append([t.numpy() for t in (found if isinstance(found, tuple) else (found,))])
    return {name: np.concatenate(parts) for name, *parts in zip(names, *chunks, strict=True)}


def run(runtime: Any, names: Sequence[str], values: Float, batch: int) -> dict[str, Float]:
    """A session's outputs for ``values`` [n, …], ``batch`` at a time: name → float32 [n, …]."""
    entry = runtime.get_inputs()[0].name
    chunks = [runtime.run(list(names), {entry: values[i : i + batch]}) for i in range(0, len(values), batch)]
    return {name: np.concatenate(parts) for name, *parts in zip(names, *chunks, strict=True)}


def session(model: Path | bytes | onnx.ModelProto) -> Any:
    """An ONNX Runtime session on the processor, of a file, a serialized model, or one that may be open.

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
    options.log_severity_level = 4  # what it logs, it raises
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it costs much on a busy machine
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    source: bytes | str
    if isinstance(model, Path):
        source, apart = str(model), data_file(model).exists()
    elif isinstance(model, bytes):
        source, apart = model, False
    else:
        source, folder = external.below(model)
        apart = folder is not None
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if apart:  # packed weights are a second copy of all that is mapped
        options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(
        source,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["ClipQuantRewrite"],  # it fails on a clipped tensor that is quantised to fp8
    )
