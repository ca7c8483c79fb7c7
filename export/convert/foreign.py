"""A finished ONNX file → artifact: checked, cut at its feature, its batch axis freed, its tensors given our names.

Such a file has no eager twin. Its reference is itself: ONNX Runtime's outputs of the file as it came, which every other
engine is then held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.artifact import ONNX
from export.convert import verify
from export.convert.photographs import photographs
from export.errors import UserError
from export.parity import compare
from export.reference import decode, normalize, resize_and_crop
from export.spec import Precision, PreprocessSpec
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone

if TYPE_CHECKING:
    import onnx

FEATURES = "features"


def build(backbone: Backbone, store: Store, folder: Path) -> Mapping[str, Any]:
    """Write ``model.onnx`` and ``parity.npz`` into ``folder``; return the manifest's fields.

    Raises:
        UserError: no ONNX file, external data outside its folder, no such tensor to cut at, or no feature [n, d].
    """
    import onnx

    from export.convert.counting import gmacs
    from export.zoo.loaders import spec_of

    file = weights.fetch(backbone, store)
    assert file is not None  # the reader "onnx" always has a file
    spec = spec_of(backbone.preprocess)
    model = load(file)
    name = _cut(model, backbone)
    _free_batch(model, spec)
    _rename(model, name)
    onnx.save(model, folder / ONNX)
    found, pixels = _run(folder, file.name, spec, store)
    np.savez(folder / verify.REFERENCE, pixels=pixels, wanted=found)
    return {
        "backbone": backbone.name,
        "precision": "fp32",
        "opset": next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        "preprocess": spec.as_json(),
        "input": model.graph.input[0].name,
        "outputs": [{"name": FEATURES, "shape": [int(found.shape[1])], "dtype": "float32"}],
        "untrained": False,
        "parameters": sum(int(np.prod(i.dims)) for i in model.graph.initializer),
        "gmacs": gmacs(model),
        "feature": backbone.feature,
        "source": {**weights.source(backbone, store), "request": None},
        "parity": {**compare(found, found, Precision.FP32), "note": "finished file: its own outputs are the reference"},
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
                        f"{file.name} keeps weights outside its folder, and is refused.",
                        f"{tensor.name} lies in {entry.value!r}.",
                        "save it again with its external data beside it",
                    )
        model = onnx.load(file)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{file.name} is no whole ONNX file.", first[:300]) from error
    return model


def _inside(folder: Path, location: str) -> bool:
    return (folder / location).resolve().is_relative_to(folder.resolve())


def _cut(model: onnx.ModelProto, backbone: Backbone) -> str:
    """Make the asked tensor the only output [n, d], and drop what lies behind it; its name."""
    from onnx import TensorProto, helper

    graph = model.graph
    nodes = [n for n in graph.node if n.op_type == backbone.cut or backbone.cut in n.output]
    if backbone.cut and len(nodes) != 1:
        raise UserError(
            f"{backbone.name!r} cannot be cut at {backbone.cut!r}.",
            f"{len(nodes)} nodes have that type or output.",
            "name one tensor under 'cut'",
        )
    if not backbone.cut:
        name = graph.output[0].name
    else:
        name = backbone.cut if backbone.cut in nodes[0].output else nodes[0].output[0]
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
        raise UserError(f"{backbone.name!r} has {len(inputs)} inputs.", "A backbone takes one: the image.")
    return f"{name}/{FEATURES}"


def _free_batch(model: onnx.ModelProto, spec: PreprocessSpec) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    size = [spec.height, spec.width, 3] if spec.layout == "NHWC" else [3, spec.height, spec.width]
    if len(dims) != 4 or any(d.dim_value not in (0, s) for d, s in zip(dims[1:], size, strict=True)):
        raise UserError(
            "The ONNX file's input does not fit the preprocessing that was given.",
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


def _run(folder: Path, name: str, spec: PreprocessSpec, store: Store) -> tuple[Any, Any]:
    session = verify.session(folder / ONNX)
    pixels = np.stack([resize_and_crop(decode(e), spec) for e in photographs(store)])
    inputs = normalize(pixels, spec)
    entry = session.get_inputs()[0].name
    try:
        found = np.concatenate([session.run(None, {entry: inputs[i : i + 5]})[0] for i in range(0, len(inputs), 5)])
    except Exception as error:
        raise UserError(
            f"{name} does not run on batches of 5.",
            (str(error).splitlines() or [""])[0][:300],
            "export it with a free batch axis",
        ) from error
    return found, pixels
