"""What is chosen for a lower precision, and how: every candidate is made, run on photographs, and the best is taken.

INT8 and FP8: smoothing or not, the calibrator, and the nodes that stay fp32; in INT8 also whether weights take 7 bits,
with which no engine's sums saturate on a processor without VNNI. FP16 and BF16: the nodes that stay fp32, because their
tensors do not fit into the type or because too much is lost in them. Candidates are judged by the least cosine of the
features against fp32 over the photographs, never on those that the parity gate uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from export.errors import CellError
from export.lower import quantization
from export.lower.activations import Float, features, histograms, watch
from export.lower.casting import cast, narrowable, rounded
from export.lower.diagnosis import GROUP
from export.lower.graph import tensor_types
from export.lower.smoothing import smoothed
from export.parity import TOLERANCE, compare
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]
HEADROOM = 2.0
"""A tensor may be so many times larger on other photographs than on those that were seen."""
LARGEST_FP16 = 65504.0
DELICATE = ("LayerNormalization", "InstanceNormalization", "ReduceMean", "ReduceL2", "Pow", "Sqrt", "Softmax")
"""Operators that sum or square many values: the first to be kept in fp32 where fp16 or bf16 loses too much."""
SQUARES = frozenset({"LayerNormalization", "InstanceNormalization", "ReduceL2", "ReduceSumSquare", "Pow"})
"""Operators that square what they read: a kernel may do so in fp16, and then 256 is already too much."""
SUFFERERS = 4
"""On so many photographs a node's harm is measured."""
BIT_WORTH = 1.5
"""7 bits are taken where 1 − cosine grows by no more than that, or the goal is reached all the same."""
AT_MOST = 4
"""At most one node in so many stays fp32 in a quantised file."""


@dataclass(frozen=True)
class Quantized:
    """One way of quantising: calibrator, smoothing, bits of the weights; and the least cosine over the photographs."""

    calibrator: str
    smoothed: bool
    weight_bits: int
    cosine_min: float


@dataclass(frozen=True)
class QuantizedChoice(Quantized):
    """The way that was taken. ``tried`` are all ways, before nodes were kept in fp32, and the last with 7 bits."""

    quantized_nodes: int
    kept_fp32: tuple[str, ...]
    tried: tuple[Quantized, ...]


@dataclass(frozen=True)
class Cast:
    """One way of casting: what stays fp32, in words; how many nodes those are; and the least cosine."""

    kept: str
    nodes: int
    cosine_min: float


@dataclass(frozen=True)
class CastChoice:
    """The way of casting that was taken: ``overflow`` are the nodes whose tensors do not fit, whatever was taken."""

    cosine_min: float
    kept: str
    kept_fp32: tuple[str, ...]
    overflow: tuple[str, ...]
    narrow_nodes: int
    tried: tuple[Cast, ...]


@dataclass(frozen=True)
class Chosen:
    """A lowered file and how it came about.

    Attributes:
        model: the file. judged: the form of it that ONNX Runtime computes as it is meant.
        reference: the fp32 file whose tensors the lowered ones stand for (smoothing moves factors between them).
        choice: what was chosen, for the manifest.
    """

    model: onnx.ModelProto
    judged: onnx.ModelProto
    reference: onnx.ModelProto
    choice: QuantizedChoice | CastChoice


def choose(model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say) -> Chosen:
    """The best file of ``precision`` for an fp32 file.

    Args:
        train: float32 [n, …] inputs from which ranges are taken. val: those on which the choice is made.

    Raises:
        CellError: the file has nothing that could be lowered, or cannot be.
    """
    if precision in (Precision.INT8, Precision.FP8):
        return _quantised(model, precision, train, val, say)
    return _cast(model, precision, train, val, say)


# -- int8, fp8 ---------------------------------------------------------------------------------------------------


def _quantised(model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say) -> Chosen:
    if not quantization.quantizable(model):
        raise CellError(
            f"The file has nothing to quantise to {precision}.", "No Conv, Gemm or MatMul reads a constant."
        )
    wanted = features(model, val)
    tried: list[Quantized] = []
    best: tuple[Quantized, onnx.ModelProto, dict[str, float]] | None = None
    for smooth, base in ((False, model), (True, smoothed(model, train))):
        if base is None:
            continue
        seen = histograms(base, quantization.activations(base), train)
        for name, calibrator in quantization.CALIBRATORS.items():
            if precision is Precision.FP8 and name == "mse":
                continue  # its error is that of equal steps
            thresholds = {tensor: calibrator(h) for tensor, h in seen.items()}
            found = _cosine(quantization.quantized(base, thresholds, precision), val, wanted)
            tried.append(Quantized(name, smooth, 8, found))
            if best is None or found > best[0].cosine_min:
                best = (tried[-1], base, thresholds)
    assert best is not None
    way, base, thresholds = best
    kept: list[str] = []
    goal = 1 - (1 - TOLERANCE[precision][0]) / 2  # half of what the gate allows: its photographs are others
    if way.cosine_min < goal:
        say(f"  {precision}: cosine {way.cosine_min:.3f}; looking for the nodes that do the harm …")
        kept, cosine = _spared(base, thresholds, precision, val, wanted, goal)
        way = replace(way, cosine_min=cosine)
    made = quantization.quantized(base, thresholds, precision, kept)
    if precision is Precision.INT8:
        safe = quantization.quantized(base, thresholds, precision, kept, half_range=True)
        found = _cosine(safe, val, wanted)
        tried.append(replace(way, weight_bits=7, cosine_min=found))
        if found >= goal or 1 - found <= BIT_WORTH * (1 - way.cosine_min):
            made, way = safe, tried[-1]
    nodes = len(quantization.quantizable(base)) - len(kept)
    taken = (way.calibrator, way.smoothed, way.weight_bits, way.cosine_min)
    return Chosen(made, made, base, QuantizedChoice(*taken, nodes, tuple(kept), tuple(tried)))


def _spared(
    base: onnx.ModelProto,
    thresholds: Mapping[str, float],
    precision: Precision,
    val: Float,
    wanted: Float,
    goal: float,
) -> tuple[list[str], float]:
    """The fewest nodes (1, 2, 4, …), most harmful first, without which the goal is reached; and the cosine then.

    A node's harm is the features' relative squared error where it alone is quantised, on the photographs that suffer
    most from all of them together.
    """
    size = (wanted**2).sum(axis=1)
    all_of_them = features(quantization.quantized(base, thresholds, precision), val)
    worst = np.argsort(-((all_of_them - wanted) ** 2).sum(axis=1) / size)[:SUFFERERS]
    few, wanted_few, size_few = val[worst], wanted[worst], size[worst]
    names = [n.name for n in quantization.quantizable(base)]
    harm = {}
    for name in names:
        alone = quantization.quantized(base, thresholds, precision, [n for n in names if n != name])
        harm[name] = float((((features(alone, few) - wanted_few) ** 2).sum(axis=1) / size_few).sum())
    order = sorted(names, key=lambda n: -harm[n])
    kept: list[str] = []
    cosine, count = -1.0, 1
    while cosine < goal and count <= max(1, len(names) // AT_MOST):
        kept = order[:count]
        cosine = _cosine(quantization.quantized(base, thresholds, precision, kept), val, wanted)
        count *= 2
    return kept, cosine


# -- fp16, bf16 --------------------------------------------------------------------------------------------------


def _cast(model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say) -> Chosen:
    wanted = features(model, val)
    nodes = narrowable(model, precision)
    too_large = _too_large(model, nodes, np.concatenate([train, val])) if precision is Precision.FP16 else []
    delicate = [n.name for n in nodes if n.op_type in DELICATE]
    least = TOLERANCE[precision][0]
    goal = 1 - (1 - least) / 2
    tried: list[Cast] = []
    steps: list[tuple[str, list[str]]] = [("what overflows" if too_large else "nothing", too_large)]
    if delicate:
        steps.append(("normalisations and softmax", sorted({*too_large, *delicate})))
    best: tuple[Cast, onnx.ModelProto, onnx.ModelProto, list[str]] | None = None
    for what, keep in steps:
        made = cast(model, precision, keep)
        judged = rounded(made)
        tried.append(Cast(what, len(keep), _cosine(judged, val, wanted)))
        if best is None or tried[-1].cosine_min > best[0].cosine_min:
            best = (tried[-1], made, judged, keep)
        if tried[-1].cosine_min >= goal:
            break
    assert best is not None
    way, made, judged, keep = best
    if keep:
        say(f"  {precision}: {len(keep)} nodes stay fp32 ({way.kept})")
    kept = (way.cosine_min, way.kept, tuple(keep))
    return Chosen(made, judged, model, CastChoice(*kept, tuple(too_large), len(nodes) - len(keep), tuple(tried)))


def _too_large(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], values: Float) -> list[str]:
    """The nodes in whose tensors or squares something would not fit into fp16, perhaps on other photographs only."""
    import onnx

    types = tensor_types(model)
    limit = LARGEST_FP16 / HEADROOM
    tensors = list(dict.fromkeys(t for n in nodes for t in n.output if types.get(t) == onnx.TensorProto.FLOAT))
    peaks: dict[str, float] = {}
    for start in range(0, len(tensors), GROUP):
        for seen in watch(model, tensors[start : start + GROUP], values, 2):
            for name, array in seen.items():
                peaks[name] = max(peaks.get(name, 0.0), float(np.abs(array).max(initial=0)))
    return [
        n.name
        for n in nodes
        if not max((peaks.get(t, 0.0) for t in (*n.input, *n.output)), default=0.0) <= limit
        or (n.op_type in SQUARES and not peaks.get(n.input[0], 0.0) ** 2 <= limit)
    ]


def _cosine(model: onnx.ModelProto, values: Float, wanted: Float) -> float:
    """The least cosine over the photographs; −1 where the features hold NaN or Inf."""
    found = compare(features(model, values), wanted, Precision.FP32)
    return -1.0 if found.nonfinite else found.cosine_min
