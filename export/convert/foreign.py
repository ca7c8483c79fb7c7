"""A finished ONNX file → artifact: checked, cut at its feature, its batch axis freed, its tensors given our names.

Such a file has no eager twin. Its reference is itself: ONNX Runtime's outputs, image by image, with which larger
batches and every other engine are then compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.artifact import ONNX, Reference
from export.convert import verify
from export.convert.opset import opset
from export.errors import UserError, first_line
from export.parity import Parity, compare_outputs
from export.spec import Precision, PreprocessSpec
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone
from export.zoo.sources import OnnxFile

if TYPE_CHECKING:
    import onnx

FEATURES = "features"
BATCH = 5
"""A batch axis that is frozen somewhere inside the file would show."""


def build(
    backbone: Backbone, source: OnnxFile, store: Store, folder: Path, images: Path | None = None
) -> Mapping[str, Any]:
    """Write ``model.onnx`` and ``parity.npz`` into ``folder``; return the manifest's fields.

    Args:
        source: the backbone's own. images: photographs for the parity gate, instead of the published ones.

    Raises:
        UserError: no ONNX file, external data outside its folder, no such tensor to cut at, or no feature [n, d].
    """
    import onnx

    from export.convert.counting import gmacs
    from export.zoo.loaders import spec_of

    file = weights.fetch(backbone, store)
    assert file is not None  # an ONNX file always has a file
    spec = spec_of(backbone.preprocess)
    model = load(file)
    name = _cut(model, backbone.name, source.cut)
    _free_batch(model, spec)
    _rename(model, name)
    onnx.save(model, folder / ONNX)
    reference, parity = _compared(folder, file.name, spec, store, images)
    reference.save(folder)
    return {
        "backbone": backbone.name,
        "precision": str(Precision.FP32),
        "opset": opset(model),
        "preprocess": spec.as_json(),
        "input": model.graph.input[0].name,
        "outputs": [{"name": FEATURES, "shape": [reference.outputs[FEATURES].shape[1]], "dtype": "float32"}],
        "untrained": False,
        "parameters": sum(int(np.prod(i.dims)) for i in model.graph.initializer),
        "gmacs": gmacs(model),
        "feature": backbone.feature,
        "source": {**weights.source(backbone, store), "request": None},
        "parity": asdict(parity),
        "compared": {"with": "the file's own outputs, image by image", "batches": [BATCH]},
    }


def load(file: Path) -> onnx.ModelProto:
    """Read and check an ONNX file. External data may lie beside it, nowhere else.

    Raises:
        UserError: it is damaged, or points outside its folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(file, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location" and not _inside(file.parent, entry.value):
                    raise UserError(
                        f"{file.name} refers to weights outside its folder, and is refused.",
                        f"{tensor.name} lies in {entry.value!r}.",
                        "save it again with its external data beside it",
                    )
        model = onnx.load(file)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{file.name} is not a valid ONNX file.", first_line(error)) from error
    return model


def _inside(folder: Path, location: str) -> bool:
    return (folder / location).resolve().is_relative_to(folder.resolve())


def _cut(model: onnx.ModelProto, backbone: str, cut: str) -> str:
    """Make the tensor that ``cut`` names the only output [n, d], and drop what lies behind it; the output's name."""
    from onnx import TensorProto, helper

    graph = model.graph
    name = _tensor(graph, backbone, cut) if cut else graph.output[0].name
    needed, kept = {name}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    graph.node.append(helper.make_node("Flatten", [name], [f"{name}/{FEATURES}"], axis=1))
    used = [i for i in graph.initializer if i.name in needed]
    inputs = [i for i in graph.input if i.name in needed and i.name not in {u.name for u in used}]
    del graph.initializer[:], graph.input[:], graph.output[:]
    graph.initializer.extend(used)
    graph.input.extend(inputs)
    graph.output.append(helper.make_tensor_value_info(f"{name}/{FEATURES}", TensorProto.FLOAT, ["batch", None]))
    if len(inputs) != 1:
        raise UserError(f"{backbone!r} has {len(inputs)} inputs.", "A backbone has one input: the image.")
    return f"{name}/{FEATURES}"


def _tensor(graph: onnx.GraphProto, backbone: str, cut: str) -> str:
    nodes = [n for n in graph.node if n.op_type == cut or cut in n.output]
    if len(nodes) != 1:
        raise UserError(
            f"{backbone!r} cannot be cut at {cut!r}.",
            f"{len(nodes)} nodes have that type or output.",
            "name one tensor under 'cut'",
        )
    return cut if cut in nodes[0].output else str(nodes[0].output[0])


def _free_batch(model: onnx.ModelProto, spec: PreprocessSpec) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    size = [spec.height, spec.width, 3] if spec.layout == "NHWC" else [3, spec.height, spec.width]
    if len(dims) != 4 or any(d.dim_value not in (0, s) for d, s in zip(dims[1:], size, strict=True)):
        raise UserError(
            "The ONNX file's input does not match its preprocessing.",
            f"It takes {[d.dim_value or d.dim_param for d in dims]}; the preprocessing makes [n, {size}].",
        )
    dims[0].Clear()
    dims[0].dim_param = "batch"
    for dim, side in zip(dims[1:], size, strict=True):
        dim.Clear()
        dim.dim_value = side
    del model.graph.value_info[:]


def _rename(model: onnx.ModelProto, old: str) -> None:
    for node in model.graph.node:
        for i, output in enumerate(node.output):
            if output == old:
                node.output[i] = FEATURES
    model.graph.output[0].name = FEATURES


def _compared(
    folder: Path, name: str, spec: PreprocessSpec, store: Store, images: Path | None
) -> tuple[Reference, Parity]:
    """The file's outputs image by image, and how close its outputs of whole batches are to them."""
    session = verify.session(folder / ONNX)
    pixels, values = verify.inputs(spec, store, images)
    batch = 1
    try:
        wanted = verify.run(session, [FEATURES], values, batch)
        batch = BATCH
        found = verify.run(session, [FEATURES], values, batch)
        return Reference(pixels, wanted), compare_outputs(found, wanted, Precision.FP32)
    except Exception as error:  # the runtime's own kinds of error have no common base
        raise UserError(
            f"{name} does not run on batches of {batch}.", first_line(error), "export it with a dynamic batch axis"
        ) from error
