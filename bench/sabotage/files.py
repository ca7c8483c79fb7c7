"""Files of the small network that something is wrong with, and what the harness's gate says of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.sabotage.bed import Bed
from bench.sweep import gate
from export.artifact import ONNX, Artifact, Reference
from export.convert import verify
from export.lower.precision import fp32_model
from export.parity import Parity, compare_outputs
from export.reference import normalize
from export.spec import Precision
from export.store import key
from tasks.base import FEATURES

if TYPE_CHECKING:
    import onnx

Floats = npt.NDArray[np.float32]
MODULE = '''
import torch
from torch import nn


def make() -> nn.Module:
    """A network as it comes out of training."""
    torch.manual_seed(7)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[1].running_mean.uniform_(-0.2, 0.2)
    net[1].running_var.uniform_(0.5, 2)
    net.preprocess = {"height": 32, "width": 32}
    return net.train()
'''


def fp32(bed: Bed) -> onnx.ModelProto:
    """The small network's own file."""
    return fp32_model(bed.plan.artifact.onnx)


def outputs(bed: Bed, model: onnx.ModelProto, number: int = 8) -> Floats:
    """Features of the first images in rotation, by ONNX Runtime alone, [number, d]."""
    session = verify.session(model.SerializeToString())
    values = normalize(bed.queries.pixels[:number], bed.plan.artifact.preprocess)
    with np.errstate(all="ignore"):
        found: Floats = np.asarray(session.run([FEATURES], {session.get_inputs()[0].name: values})[0], np.float32)
    return found


def parity(bed: Bed, model: onnx.ModelProto, precision: Precision, right: onnx.ModelProto | None = None) -> Parity:
    """What the gate says of a file as a cell of ONNX Runtime, its features compared with those of the ``right`` one."""
    import onnx

    own, base = model.SerializeToString(), bed.plan.artifact

    def build(folder: Path) -> dict[str, Any]:
        onnx.save(model, folder / ONNX)
        wanted = outputs(bed, right or fp32(bed))
        Reference(bed.queries.pixels[: len(wanted)], {FEATURES: wanted}).save(folder)
        return {**base.fields, "precision": str(precision)}

    entry = bed.store.obtain("onnx", key("sabotage", file=hash_of(own)), build)
    plan = bed.cell.engine.plan(Artifact.of(entry), bed.plan.profile, bed.store)
    found = gate.check(bed.cell.engine, plan, bed.store)
    assert found is not None
    return found


def hash_of(content: bytes) -> str:
    """SHA-256, in hex digits."""
    import hashlib

    return hashlib.sha256(content).hexdigest()


def lowered(bed: Bed, model: onnx.ModelProto, precision: Precision) -> Parity:
    """Closeness of what the project itself makes of a file."""
    from export.lower.choice import choose

    values = normalize(bed.queries.pixels[:16], bed.plan.artifact.preprocess)
    chosen = choose(model, precision, values[:8], values[8:], lambda line: None)
    found, wanted = ({FEATURES: outputs(bed, one)} for one in (chosen.judged, model))
    return compare_outputs(found, wanted, precision)


def quantised(bed: Bed, share: float) -> onnx.ModelProto:
    """INT8 whose ranges are this share of the largest activations that were seen."""
    from export.lower.activations import histograms
    from export.lower.quantization import activations, minmax, quantized

    model = fp32(bed)
    values = normalize(bed.queries.pixels[:8], bed.plan.artifact.preprocess)
    seen, _ = histograms(model, activations(model), values)
    return quantized(model, {name: share * minmax(h) for name, h in seen.items()}, Precision.INT8)


def alter_weights(file: Path) -> None:
    """Add noise to the first weight matrix of a file."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file)
    weight = next(w for w in model.graph.initializer if len(w.dims) > 1)
    values = numpy_helper.to_array(weight)
    noise = np.random.default_rng(0).standard_normal(values.shape).astype(values.dtype)
    weight.CopyFrom(numpy_helper.from_array(values + values.std() * noise, weight.name))
    onnx.save(model, file)


def scaled(bed: Bed, factor: float) -> onnx.ModelProto:
    """The network with its tokens larger by a factor, which its layer norms take away again."""
    from onnx import numpy_helper

    model = fp32(bed)
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    for weight in model.graph.initializer:
        if weight.name in first.input[1:]:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), weight.name))
    return model


def mean_of_tokens(bed: Bed) -> onnx.ModelProto:
    """The network with the mean of its first block's tokens in the place of its feature."""
    import onnx
    from onnx import helper

    model = fp32(bed)
    width = bed.plan.artifact.outputs[0].shape[0]
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    tokens = next(
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Add" and len(shape := shapes.get(node.output[0], [])) == 3 and shape[-1] == width
    )
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == FEATURES:
                node.output[i] = "feature"
    model.graph.node.append(helper.make_node("ReduceMean", [tokens], [FEATURES], axes=[1], keepdims=0))
    return model


def batch_centred(bed: Bed) -> Path:
    """A finished file, with its sidecar, that subtracts the mean of its batch from each feature."""
    import onnx
    import yaml
    from onnx import helper

    model = fp32(bed)
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == FEATURES:
                node.output[i] = "feature"
    model.graph.node.append(helper.make_node("ReduceMean", ["feature"], ["centre"], axes=[0], keepdims=1))
    model.graph.node.append(helper.make_node("Sub", ["feature", "centre"], [FEATURES]))
    file = bed.folder / "centred.onnx"
    onnx.save(model, file)
    file.with_suffix(".yaml").write_text(yaml.safe_dump({"preprocess": bed.plan.artifact.preprocess.as_json()}))
    return file


@contextmanager
def training_module(bed: Bed) -> Iterator[str]:
    """A user's function that returns a module in training mode, as module:function."""
    place = bed.folder / "code"
    place.mkdir(exist_ok=True)
    (place / "left_training.py").write_text(MODULE)
    sys.path.insert(0, str(place))
    try:
        yield "left_training:make"
    finally:
        sys.path.remove(str(place))
        sys.modules.pop("left_training", None)


def as_left(target: str, made: Artifact, pixels: npt.NDArray[np.uint8]) -> Floats:
    """Features of the module in the mode that its function left it in."""
    import torch

    module, _, name = target.partition(":")
    values = normalize(pixels, made.preprocess)
    with torch.no_grad():
        found: Floats = getattr(import_module(module), name)()(torch.from_numpy(values)).numpy()
    return found
