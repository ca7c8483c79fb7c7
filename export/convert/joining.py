"""A backbone's fp32 file and a head over its outputs → one file, which is an artifact as any other.

What the head does not read of the backbone falls away. The reference is the eager backbone's: its own outputs, on the
same photographs, through the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export import external
from export.artifact import ONNX, Artifact, Reference
from export.convert import verify
from export.convert.counting import gmacs
from export.errors import CellError
from export.reference import normalize
from export.store import Store, key

if TYPE_CHECKING:
    import onnx

HEAD = "head.onnx"
"""The head alone, beside the joined file."""
JOINING = 1
"""Raised whenever this module would make another file of the same backbone and head."""
PREFIX = "head."
"""Before the names of the head's nodes and weights."""
LEAST_OPSET = 17


def joined_key(base: str, head: str) -> str:
    """Of the fp32 file with a head. ``base``: the backbone's onnx_key; ``head``: what names the head's fit."""
    return key("onnx", base=base, head=head, joining=JOINING)


def joined(
    base: Artifact, head: bytes, of: str, name: str, compared: Sequence[str], parameters: int, store: Store
) -> Artifact:
    """The fp32 file of a backbone and a head, made if the store does not have it.

    Args:
        base: an fp32 artifact that gives what the head reads.
        head: an ONNX model; its inputs are named as outputs of ``base``.
        of: what names the head's fit, for the key. name: of the head, for readers.
        compared: the outputs of the head by which closeness is judged.
        parameters: number of the head's weights.

    Raises:
        CellError: the head reads what the backbone does not give.
    """

    def build(folder: Path) -> Mapping[str, Any]:
        import onnx

        over = onnx.load_from_string(head)
        _require_inputs(over, base)
        model = joined_model(external.load(base.onnx), over)
        external.check(model)
        external.save(model, folder / ONNX)
        (folder / HEAD).write_bytes(head)
        seen = base.reference()
        parity = None
        if seen is not None:
            wanted = applied(head, seen.outputs)
            reference = Reference(seen.pixels, {output: wanted[output] for output in compared})
            reference.save(folder)
            values = normalize(seen.pixels, base.preprocess)
            parity = verify.closeness(verify.session(folder / ONNX), reference.outputs, values)
            if not parity.passed:
                store.say(f"{base.backbone} with {name}: parity FAILED on real photographs: {parity}")
        return {
            **base.fields,
            "outputs": _outputs(over),
            "judged": list(compared),
            "base": base.key,
            "head": {"name": name, "parameters": parameters},
            "parameters": _parameters(model),
            "gmacs": gmacs(model),
            "feature": name,
            "parity": asdict(parity) if parity else None,
            "compared": {"with": "eager PyTorch's maps through the head", "batches": list(verify.BATCHES)},
        }

    return Artifact.of(store.obtain("onnx", joined_key(base.key, of), build))


def joined_model(base: onnx.ModelProto, head: onnx.ModelProto) -> onnx.ModelProto:
    """One model: the part of ``base`` that the head's inputs need, and the head, whose outputs are the model's."""
    import onnx
    from onnx import compose, helper, utils

    opset = max(o.version for o in base.opset_import if o.domain in ("", "ai.onnx"))
    taps = [i.name for i in head.graph.input]
    part = utils.Extractor(base).extract_model([base.graph.input[0].name], taps)
    over = compose.add_prefix(head, PREFIX, rename_inputs=False, rename_outputs=False)
    batch = base.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in over.graph.output]
    for output in outputs:
        output.type.tensor_type.shape.dim[0].dim_param = batch
    graph = helper.make_graph(
        [*part.graph.node, *over.graph.node],
        base.graph.name,
        list(base.graph.input),
        outputs,
        [*part.graph.initializer, *over.graph.initializer],
    )
    domains = {o.domain: o for o in (*base.opset_import, *head.opset_import) if o.domain not in ("", "ai.onnx")}
    imports = [helper.make_opsetid("", max(opset, LEAST_OPSET)), *domains.values()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=base.ir_version)
    model.producer_name = base.producer_name
    return model


def applied(head: bytes, outputs: Mapping[str, Any], rows: int = 16) -> dict[str, np.ndarray]:
    """What a head gives for outputs of a backbone, [n, …] by name, a few rows at a time."""
    runtime = verify.session(head)
    names = [o.name for o in runtime.get_outputs()]
    taps = [i.name for i in runtime.get_inputs()]
    n = len(outputs[taps[0]])
    parts = [
        runtime.run(names, {tap: np.ascontiguousarray(outputs[tap][start : start + rows], np.float32) for tap in taps})
        for start in range(0, n, rows)
    ]
    return {name: np.concatenate(found) for name, *found in zip(names, *parts, strict=True)}


def _require_inputs(head: onnx.ModelProto, base: Artifact) -> None:
    given = {o.name: o.shape for o in base.outputs}
    for wanted in head.graph.input:
        if given.get(wanted.name) != _shape(wanted):
            raise CellError(
                f"The head reads {wanted.name} {list(_shape(wanted))}, which the backbone does not give.",
                f"It gives {', '.join(f'{name} {list(shape)}' for name, shape in given.items())}.",
            )


def _outputs(head: onnx.ModelProto) -> list[dict[str, Any]]:
    from onnx import helper

    return [
        {
            "name": o.name,
            "shape": list(_shape(o)),
            "dtype": str(helper.tensor_dtype_to_np_dtype(o.type.tensor_type.elem_type)),
        }
        for o in head.graph.output
    ]


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Without the batch axis."""
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim[1:])


def _parameters(model: onnx.ModelProto) -> int:
    """Numbers in the weights: floating-point constants of at least one axis."""
    import math

    import onnx

    return sum(math.prod(w.dims) for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and w.dims)
