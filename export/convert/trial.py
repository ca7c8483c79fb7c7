"""A foreign ONNX file, tried on photographs: in a process of its own, so that whatever it does there costs it alone.

file ─▶ read ─▶ examined ─▶ cut ─▶ run image by image ─▶ run in batches ─▶ compared ─▶ ``model.onnx``, ``parity.npz``

It may crash the runtime, take all memory, or never end (a Loop without an end is a valid file). The reference is the
file itself: its outputs image by image, with which larger batches and every other engine are compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import child, external
from export.artifact import ONNX, Reference, preprocess_of_fields
from export.convert.behaviour import FEATURES, Behaviour
from export.errors import CellError
from export.reference import normalize

STEP_SECONDS = 300
"""What loading the file, or one run of a batch, may take."""


@dataclass(frozen=True)
class Job:
    """What is tried.

    Attributes:
        backbone: its name. file: the foreign file. cut: see :class:`export.zoo.sources.OnnxFile`.
        preprocess: a PreprocessSpec in plain values. pixels: a file of uint8 [n, height, width, 3] (``.npy``).
        folder: where ``model.onnx`` and ``parity.npz`` go.
        step_seconds: what loading the file, or one run of a batch, may take.
    """

    backbone: str
    file: str
    cut: str
    preprocess: dict[str, Any]
    pixels: str
    folder: str
    step_seconds: int = STEP_SECONDS

    @property
    def sidecar(self) -> str:
        return Path(self.file).with_suffix(".yaml").name


@dataclass(frozen=True)
class Outcome:
    """What came of it: a manifest's fields, and what was changed in the file, for a reader."""

    fields: dict[str, Any]
    changed: tuple[str, ...]


def alone(job: Job) -> Outcome:
    """:func:`made`, in a child process.

    Raises:
        UserError: as :func:`made`; and where the child crashed, was killed or did not end.
    """
    found = child.alone("export.convert.trial:work", asdict(job), Path(job.file).name)
    return Outcome(found["fields"], tuple(found["changed"]))


def work(job: dict[str, Any]) -> dict[str, Any]:
    """What the child does."""
    return asdict(made(Job(**job)))


def made(job: Job) -> Outcome:
    """Write ``model.onnx`` and ``parity.npz``, in this process.

    Raises:
        UserError: the file is no ONNX file, or not whole. CellError: it cannot be used; the message says why.
    """
    import onnx

    from export.convert import examination, surgery
    from export.convert.counting import gmacs
    from export.convert.opset import opset
    from export.zoo import onnx_file

    spec = preprocess_of_fields({"preprocess": job.preprocess})
    model = onnx_file.read(Path(job.file))
    precision = examination.precision(model)
    surgery.raise_format(model)
    examination.require_operators(model)
    outputs = list(model.graph.output)
    if not outputs:
        raise CellError(f"{Path(job.file).name} has no outputs.", "", "export it again")
    changed = []
    if len(outputs) > 1 and not job.cut:
        changed.append(
            f"of its outputs ({', '.join(o.name for o in outputs)}) the first is the feature; 'cut' names another"
        )
    model = surgery.plain(model)
    name = surgery.cut(model, job.backbone, job.cut)
    examination.require_repeatable(external.nodes(model), opset(model), surgery.constants(model))
    frozen = examination.require_image(model.graph.input, spec, job.sidecar)
    changed.append(surgery.with_float_input(model, spec))
    if frozen > 1:
        original = onnx.ModelProto()
        original.CopyFrom(model)
        original.graph.input[0].type.tensor_type.shape.dim[0].dim_value = frozen
    else:
        original = model
    pixels = np.load(job.pixels)
    values = normalize(pixels, spec)
    tried = Behaviour(Path(job.file).name, precision, values, lambda: child.deadline(job.step_seconds))
    kind = tried.open(original)
    examination.require_features(kind, name, outputs)
    wanted = tried.reference(frozen)
    tried.require_useful(original, wanted)
    model, parity, how = tried.freed(original, model, frozen, wanted)
    changed += [how, surgery.with_features(model, kind, FEATURES)]
    external.save(model, Path(job.folder, ONNX))
    Reference(pixels, {FEATURES: wanted}).save(Path(job.folder))
    fields = {
        "precision": str(precision),
        "opset": opset(model),
        "input": model.graph.input[0].name,
        "outputs": [{"name": FEATURES, "shape": [wanted.shape[1]], "dtype": "float32"}],
        "parameters": sum(int(np.prod(i.dims)) for i in model.graph.initializer),
        "gmacs": gmacs(model),
        "parity": asdict(parity),
    }
    return Outcome(fields, tuple(filter(None, changed)))
