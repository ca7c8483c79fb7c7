"""What is chosen for a lower precision, and how: every candidate is made, run on photographs, and the best is taken.

INT8 and FP8: smoothing or not, the calibrator, and the nodes that stay fp32; in INT8 also whether weights take 7 bits,
with which no engine's sums saturate on a processor without VNNI. FP16 and BF16: the nodes that stay fp32, because their
tensors do not fit into the type or because too much is lost in them. Candidates are judged by the least cosine of
their outputs (features, maps, what a head gives) against fp32 over the photographs, never on those that the parity
gate uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.errors import CellError
from export.lower import quantization
from export.lower.activations import Float, histograms, peaks
from export.lower.casting import cast, narrowable, rounded
from export.lower.graph import tensor_types
from export.lower.judging import Closeness, Judge
from export.lower.smoothing import places, smoothed
from export.parity import TOLERANCE
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
"""On so many photographs a node's error is measured."""
BIT_WORTH = 1.5
"""7 bits are taken where 1 − cosine grows by no more than that, or the goal is reached all the same."""
CLEARLY = 0.05
"""Another way is better where its 1 − cosine is smaller by that part: on other photographs less would mean nothing."""
SAFE_BITS = 7
AT_MOST = 4
"""At most one node in so many stays fp32 in a quantised file."""


@dataclass(frozen=True)
class Quantized:
    """One way of quantising: calibrator, smoothing, bits of the weights; and the least cosine over ``photographs``.

    A way that can no longer win is run on no more photographs.
    """

    calibrator: str
    smoothed: bool
    weight_bits: int
    cosine_min: float
    photographs: int


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


def choose(
    model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say, outputs: Sequence[str] = ()
) -> Chosen:
    """The best file of ``precision`` for an fp32 file.

    Args:
        train: float32 [n, …] inputs from which ranges are taken. val: those on which the choice is made.
        outputs: the names of those by which candidates are judged; by default the first.

    Raises:
        CellError: the file has nothing that could be lowered, or cannot be.
    """
    if precision in (Precision.INT8, Precision.FP8):
        return _quantised(model, precision, train, val, say, outputs)
    return _cast(model, precision, train, val, say, outputs)


# -- int8, fp8 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """A file to quantise, smoothed or not, with a calibrator's thresholds."""

    calibrator: str
    smoothed: bool
    base: onnx.ModelProto
    thresholds: Mapping[str, float]

    def made(self, precision: Precision, bits: int, kept: Sequence[str] = ()) -> onnx.ModelProto:
        """The quantised file."""
        return quantization.quantized(self.base, self.thresholds, precision, kept, half_range=bits == SAFE_BITS)


def _quantised(
    model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say, outputs: Sequence[str]
) -> Chosen:
    if not quantization.quantizable(model):
        raise CellError(
            f"The file has nothing to quantise to {precision}.", "No Conv, Gemm or MatMul reads a constant."
        )
    goal = 1 - (1 - TOLERANCE[precision][0]) / 2  # half of what the gate allows: its photographs are others
    judge = Judge(model, val, outputs)
    ways = _ways(model, precision, train)
    bits = SAFE_BITS if precision is Precision.INT8 else 8
    ways.sort(key=lambda way: -judge.glance(way.made(precision, bits)))
    tried: list[Quantized] = []
    kept: list[str] = []
    way, close = _best(ways, precision, bits, judge, tried, floor=goal if bits == SAFE_BITS else -1.0)
    if close.cosine_min < goal and bits == SAFE_BITS:
        bits = 8
        way, close = _best(ways, precision, bits, judge, tried)
    cosine = close.cosine_min
    if cosine < goal:
        say(f"  {precision}: cosine {cosine:.3f}; looking for the nodes with the largest errors …")
        kept, cosine = _spared(way, precision, judge, close.worst[:SUFFERERS], goal)
    if precision is Precision.INT8 and bits == 8:
        enough = min(goal, 1 - BIT_WORTH * (1 - cosine))
        found = judge.cosine(way.made(precision, SAFE_BITS, kept), floor=enough)
        tried.append(Quantized(way.calibrator, way.smoothed, SAFE_BITS, found.cosine_min, found.photographs))
        if found.cosine_min >= enough:
            bits, cosine = SAFE_BITS, found.cosine_min
    made = way.made(precision, bits, kept)
    nodes = len(quantization.quantizable(way.base)) - len(kept)
    taken = (way.calibrator, way.smoothed, bits, cosine, len(val))
    return Chosen(made, made, way.base, QuantizedChoice(*taken, nodes, tuple(kept), tuple(tried)))


def _ways(model: onnx.ModelProto, precision: Precision, train: Float) -> list[_Way]:
    """Every way of quantising, from one run over the photographs."""
    movable = places(model)
    seen, channels = histograms(model, quantization.activations(model), train, movable)
    bases = [(False, model, seen)]
    if movable:
        smooth, scales = smoothed(model, {name: found.peaks for name, found in channels.items()})
        moved = {name: found.divided(scales[name]) for name, found in channels.items()}
        bases.append((True, smooth, seen | moved))
    return [
        _Way(name, smooth, base, {tensor: calibrator(h) for tensor, h in found.items()})
        for smooth, base, found in bases
        for name, calibrator in quantization.CALIBRATORS.items()
        if name != "mse" or precision is not Precision.FP8  # its error is that of equal steps
    ]


def _best(
    ways: Sequence[_Way], precision: Precision, bits: int, judge: Judge, tried: list[Quantized], floor: float = -1.0
) -> tuple[_Way, Closeness]:
    """The way with the highest least cosine, or the first of those that differ by too little to matter; all are noted
    in ``tried``. Where none reaches ``floor``, it is the first, and its cosine is below that.
    """
    best: tuple[_Way, Closeness] | None = None
    for way in ways:
        close = judge.cosine(way.made(precision, bits), floor=floor)
        tried.append(Quantized(way.calibrator, way.smoothed, bits, close.cosine_min, close.photographs))
        if best is None or close.cosine_min >= floor:
            best = (way, close)
            floor = max(floor, close.cosine_min + CLEARLY * (1 - close.cosine_min))
    assert best is not None
    return best


def _spared(
    way: _Way, precision: Precision, judge: Judge, worst: npt.NDArray[np.int64], goal: float
) -> tuple[list[str], float]:
    """The fewest nodes (1, 2, 4, …), worst first, without which the goal is reached; and the cosine then.

    Errors are measured on the ``worst`` photographs, those that suffer most from all nodes together.
    """
    names = [n.name for n in quantization.quantizable(way.base)]

    def error(group: Sequence[str]) -> float:
        alone = set(group)
        return judge.error(way.made(precision, 8, [n for n in names if n not in alone]), worst)

    order = worst_first(names, error)
    most = max(1, len(names) // AT_MOST)
    kept: list[str] = []
    while True:
        kept += islice(order, max(1, len(kept)))
        last = 2 * len(kept) > most
        cosine = judge.cosine(way.made(precision, 8, kept), floor=-1.0 if last else goal).cosine_min
        if cosine >= goal or last:
            return kept, cosine


def worst_first(names: Sequence[str], error: Callable[[Sequence[str]], float]) -> Iterator[str]:
    """Nodes in the order of their errors, which are measured as they are asked for: the worst group is halved.

    Args:
        error: the outputs' squared error where a group alone is quantised. Errors of nodes add up, nearly, since they
            are not correlated: a group has at least the error of any node in it.
    """
    groups: list[tuple[float, int, Sequence[str]]] = [(0.0, 0, names)]
    number = 0
    while groups:
        _, _, group = heappop(groups)
        if len(group) == 1:
            yield group[0]
            continue
        for half in (group[: len(group) // 2], group[len(group) // 2 :]):
            number += 1
            heappush(groups, (-error(half), number, half))


# -- fp16, bf16 --------------------------------------------------------------------------------------------------


def _cast(
    model: onnx.ModelProto, precision: Precision, train: Float, val: Float, say: Say, outputs: Sequence[str]
) -> Chosen:
    judge = Judge(model, val, outputs)
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
        tried.append(Cast(what, len(keep), judge.cosine(judged).cosine_min))
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
    largest = peaks(model, tensors, values)
    return [
        n.name
        for n in nodes
        if not max((largest.get(t, 0.0) for t in (*n.input, *n.output)), default=0.0) <= limit
        or (n.op_type in SQUARES and not largest.get(n.input[0], 0.0) ** 2 <= limit)
    ]
