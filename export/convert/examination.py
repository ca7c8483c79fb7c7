"""What a foreign ONNX file asks for, read before it is used; what no engine here could serve is refused by name.

Nothing is run: what only shows on photographs (NaN, batches, randomness) is the trial's (``export.convert.trial``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from export import external
from export.errors import CellError, first_line
from export.spec import Precision, PreprocessSpec

STANDARD = frozenset({"", "ai.onnx"})
RUNTIMES_OWN = "com.microsoft"
"""ONNX Runtime's own operators: other engines do not have them."""
DOMAINS = STANDARD | {"ai.onnx.ml", RUNTIMES_OWN}
OLDEST = 7
"""ONNX Runtime supports no older operator set."""
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
PIXELS = frozenset(
    {TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32, TensorProto.INT64}
)
"""Integers that hold every pixel value."""
FLOAT8 = frozenset(number for name, number in TensorProto.DataType.items() if name.startswith("FLOAT8"))
INT8 = frozenset({TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32})
"""Numbers of an INT8 network; biases and sums are int32."""
RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
INTEGER_OPERATORS = frozenset({"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"})


def type_name(number: int) -> str:
    """An element type as ONNX calls it: ``float16``."""
    known: dict[int, str] = {value: name for name, value in TensorProto.DataType.items()}
    return known.get(number, f"type {number}").lower()


# -- precision ---------------------------------------------------------------------------------------------------------


def precision(model: onnx.ModelProto) -> Precision:
    """The narrowest format that the file holds numbers in or computes in.

    Raises:
        CellError: that is none of the project's precisions (int4, int16, double).
    """
    quantized = _quantized(model)
    if strange := quantized - INT8 - FLOAT8:
        raise _no_precision(f"It is quantised to {', '.join(sorted(map(type_name, strange)))}.")
    if quantized:
        return Precision.FP8 if quantized & FLOAT8 else Precision.INT8
    found = {t.data_type for t in external.tensors(model)}
    found |= {a.i for n in external.nodes(model) if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    found |= {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    if TensorProto.FLOAT16 in found:
        return Precision.FP16
    if TensorProto.BFLOAT16 in found:
        return Precision.BF16
    if any(t.data_type == TensorProto.DOUBLE and len(t.dims) > 1 for t in external.tensors(model)):
        raise _no_precision("Its weights are double.")
    return Precision.FP32


def _quantized(model: onnx.ModelProto) -> set[int]:
    """The types that the file's numbers are quantised to: those of its weights and of its zero points."""
    types = {t.name: t.data_type for graph in external.graphs(model) for t in graph.initializer}
    found: set[int] = set()
    for node in external.nodes(model):
        if node.op_type == "Constant":
            types[node.output[0]] = next((a.t.data_type for a in node.attribute if a.HasField("t")), 0)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            to = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
            zero = types.get(node.input[2], 0) if len(node.input) > 2 else 0
            held = types.get(node.input[0], 0) if node.op_type == "DequantizeLinear" else 0
            found.add(zero or to or held or TensorProto.UINT8)  # uint8 is the operator's default
        elif node.op_type == "MatMulNBits":
            bits = next((a.i for a in node.attribute if a.name == "bits"), 4)
            found.add(TensorProto.INT8 if bits == 8 else TensorProto.UINT4)
        elif node.op_type in INTEGER_OPERATORS or (node.domain == RUNTIMES_OWN and _is_integer(node.op_type)):
            found.add(TensorProto.INT8)
    return found


def _is_integer(operator: str) -> bool:
    return operator.startswith(("QLinear", "QAttention", "QGemm", "QOrdered")) or "Quantize" in operator


def _no_precision(why: str) -> CellError:
    known = ", ".join(Precision)
    return CellError("The ONNX file's precision has no name here.", f"{why} Available: {known}.", "export it in fp32")


# -- operators ---------------------------------------------------------------------------------------------------------


def require_operators(model: onnx.ModelProto) -> None:
    """Refuse operator sets and operators that no engine here knows, and a graph that breaks ONNX's own rules.

    Raises:
        CellError: with their names.
    """
    sets = {o.domain: o.version for o in model.opset_import}
    standard = next((version for domain, version in sets.items() if domain in STANDARD), None)
    newest = onnx.defs.onnx_opset_version()
    if standard is None or not OLDEST <= standard <= newest:
        said = "names no operator set" if standard is None else f"is written in opset {standard}"
        raise CellError(
            f"The ONNX file {said}.", f"Available: {OLDEST} to {newest}.", "export it again with opset 17 or later"
        )
    defined = {(f.domain, f.name) for f in model.functions}
    nodes = [n for n in external.nodes(model) if (n.domain, n.op_type) not in defined]
    own = Counter(f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in DOMAINS)
    if own:
        raise CellError(
            "The ONNX file uses operators that no engine here has.",
            f"{_listed(own)}. Code that would define them is not loaded.",
            "export it with ONNX's own operators",
        )
    unknown = Counter(
        n.op_type
        for n in nodes
        if n.domain in STANDARD and not onnx.defs.has(n.op_type, max_inclusive_version=standard)
    )
    if unknown:
        raise CellError(
            f"The ONNX file uses operators that opset {standard} does not have.",
            f"{_listed(unknown)}.",
            "export it again with opset 17 or later",
        )
    # a shape that is not declared breaks the rules and no engine: it is not what is checked here
    ends = [v.type.tensor_type for v in (*model.graph.input, *model.graph.output) if v.type.HasField("tensor_type")]
    unshaped = [end for end in ends if not end.HasField("shape")]
    for end in unshaped:
        end.shape.SetInParent()
    try:
        external.check(model)
    except (onnx.checker.ValidationError, RuntimeError, ValueError, TypeError) as error:
        raise CellError("The ONNX file breaks ONNX's own rules.", first_line(error), "export it again") from error
    finally:
        for end in unshaped:
            end.ClearField("shape")


def require_repeatable(nodes: Iterable[onnx.NodeProto], opset: int, constants: Mapping[str, Any]) -> None:
    """Refuse what trains or draws at random: its outputs are those of a moment, or of a batch.

    Args:
        constants: name → value, for what is an input of a node.

    Raises:
        CellError: with the names of the operators.
    """
    training: Counter[str] = Counter()
    drawing: Counter[str] = Counter()
    for node in nodes:
        attributes = {a.name: a.i for a in node.attribute}
        mode = bool(attributes.get("training_mode", 0))
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            mode = bool(np.any(constants.get(node.input[2], True)))
        if opset < 7 and node.op_type in ("Dropout", "BatchNormalization"):
            mode = not attributes.get("is_test", 0)
        if node.op_type in ("Dropout", "BatchNormalization") and mode:
            training[node.op_type] += 1
        if node.op_type in RANDOM:
            drawing[node.op_type] += 1
    if training:
        raise CellError(
            "The ONNX file was exported in training mode.",
            f"{_listed(training)}: their outputs depend on the batch, or on chance.",
            "call module.eval() and export it again",
        )
    if drawing:
        raise CellError(
            "The ONNX file draws random numbers, so that its outputs differ from run to run.",
            f"{_listed(drawing)}.",
            "export the network without them",
        )


def _listed(counts: Counter[str]) -> str:
    shown = [f"{name} ({n} {'node' if n == 1 else 'nodes'})" for name, n in sorted(counts.items())]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def kind(value: onnx.ValueInfoProto) -> str:
    """What an input or output holds, in words: ``float16``, ``a sequence``."""
    which = value.type.WhichOneof("value") or ""
    if which == "tensor_type":
        return type_name(value.type.tensor_type.elem_type)
    return f"a {which.removesuffix('_type').replace('_', ' ')}" if which else "of no declared type"


def shown(value: onnx.ValueInfoProto) -> str:
    """An input or output for a message: ``x float32 [n, 3, 64, 64]``."""
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in value.type.tensor_type.shape.dim]
    return f"{value.name} {kind(value)}" + (f" [{', '.join(map(str, dims))}]" if dims else "")


def require_image(inputs: Sequence[onnx.ValueInfoProto], spec: PreprocessSpec, sidecar: str) -> int:
    """Refuse inputs that are not one batch of images as ``spec`` makes them.

    Returns:
        The batch size that is written in the file; 0 where it is free.

    Raises:
        CellError: with the cause, and where it is the preprocessing's, with the line to write into ``sidecar``.
    """
    if not inputs:
        raise CellError(
            "The ONNX file's features do not depend on the image.",
            "No input leads to them.",
            "name another tensor under 'cut'",
        )
    if len(inputs) > 1:
        raise CellError(
            f"The ONNX file has {len(inputs)} inputs.",
            f"A backbone has one, the image; here: {'; '.join(map(shown, inputs))}.",
            "export the image encoder alone, or 'cut' where only the image is needed",
        )
    [image] = inputs
    _require_type(image, spec, sidecar)
    return _require_shape(image, spec, sidecar)


def raw(spec: PreprocessSpec) -> bool:
    """Whether the preprocessing hands over pixels as they are, 0 to 255."""
    return spec.value_range == 255 and not any(spec.mean) and all(s == 1 for s in spec.std)


def _require_type(image: onnx.ValueInfoProto, spec: PreprocessSpec, sidecar: str) -> None:
    number = image.type.tensor_type.elem_type if image.type.HasField("tensor_type") else 0
    if number in FLOATS or (number in PIXELS and raw(spec)):
        return
    if number in PIXELS:
        raise CellError(
            f"The ONNX file takes {kind(image)} pixels, and normalises them itself.",
            f"Its preprocessing in {sidecar} would normalise them before: fractions do not fit into {kind(image)}.",
            f"write to {sidecar}, under preprocess: value_range: 255, mean: [0, 0, 0], std: [1, 1, 1]",
        )
    raise CellError(
        f"The ONNX file's input {image.name} is {kind(image)}.",
        "An image is a tensor of floating-point values, or of whole pixel values from 0 to 255.",
        "export it with a float32 input",
    )


def _require_shape(image: onnx.ValueInfoProto, spec: PreprocessSpec, sidecar: str) -> int:
    if not image.type.tensor_type.HasField("shape"):
        return 0
    dims: list[int] = [max(0, d.dim_value) for d in image.type.tensor_type.shape.dim]
    sides = {"NCHW": (3, spec.height, spec.width), "NHWC": (spec.height, spec.width, 3)}
    made = ["n", *sides[spec.layout]]
    what = "The ONNX file's input does not match its preprocessing."
    taken = f"It takes {shown(image)}; {sidecar} makes [{', '.join(map(str, made))}]."
    if len(dims) != 4:
        raise CellError(what, taken, "export it with an input [n, 3, height, width] or [n, height, width, 3]")

    def fits(layout: str) -> bool:
        return all(d in (0, side) for d, side in zip(dims[1:], sides[layout], strict=True))

    if fits(spec.layout):
        return dims[0]
    other = "NHWC" if spec.layout == "NCHW" else "NCHW"
    channel = 1 if spec.layout == "NCHW" else 3
    if fits(other) or (dims[channel] not in (0, 3) and dims[4 - channel] == 3):
        remedy = f"write to {sidecar}, under preprocess: layout: {other}"
    elif dims[channel] not in (0, 3):
        raise CellError(what, f"{taken} Photographs have 3 channels.", "export it for RGB images")
    else:
        height, width = (dims[2], dims[3]) if spec.layout == "NCHW" else (dims[1], dims[2])
        remedy = f"write to {sidecar}, under preprocess: height: {height or spec.height}, width: {width or spec.width}"
    raise CellError(what, taken, remedy)


def require_features(found: str, name: str, outputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Refuse an output that holds no features.

    Args:
        found: its type in ONNX Runtime's words, ``tensor(float)``. name: its own. outputs: the file's, for the message.

    Raises:
        CellError: it is not a tensor of floating-point numbers.
    """
    words = found.removeprefix("tensor(").removesuffix(")")
    if words in ("float", "float16", "bfloat16", "double"):
        return
    reason = "numbers of classes, not features" if words.startswith(("int", "uint")) else "no features"
    others = f" The file's outputs: {'; '.join(map(shown, outputs))}." if len(outputs) > 1 else ""
    raise CellError(
        f"The ONNX file's output {name} is {words if found.startswith('tensor(') else found}.",
        f"These are {reason}.{others}",
        "name the tensor that holds the features under 'cut'",
    )
