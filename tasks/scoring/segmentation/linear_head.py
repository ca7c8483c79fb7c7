"""The linear head of a segmenter: one 1×1 convolution a tap, at the tap's own stride, summed on the grid.

A 1×1 convolution and a bilinear enlargement commute: the logits of a coarse tap are enlarged, never its channels.
Each tap's channels are standardised first, or reduced to a few whitened principal axes: both lie within the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.base import Batchwise, Fitted, Head
from tasks.scoring.features import Floats, Indices
from tasks.scoring.linear_classifier import standardisation
from tasks.scoring.metrics import Doubles
from tasks.scoring.reading import read
from tasks.scoring.segmentation import cells, soft_regression
from tasks.scoring.segmentation.cells import CELLS, Shapes, grid_of, require_val, shapes_of, slices_of
from tasks.scoring.segmentation.geometry import mask_of, resampling
from tasks.scoring.segmentation.overlap import Overlaps, agreement

if TYPE_CHECKING:
    from onnx import NodeProto

PENALTIES = (1e-2, 1e-3, 1e-4)
EACH = 256
MOST = 1 << 17
"""Cells of train in all: of two thousand channels, a gigabyte."""
NEVER = -1.0
"""The logit of a class that train's cells lack. The others sum to 0: it is never the largest."""
BIAS, LOGITS = "bias", "logits"

Arrays = Mapping[str, npt.NDArray[Any]]


def settings(axes: int | None) -> Mapping[str, Any]:
    """Every constant of the fit; ``axes`` as in :func:`fit`."""
    return {
        "cells_per_image": EACH,
        "cells": MOST,
        "penalties": list(PENALTIES),
        "iterations": soft_regression.ITERATIONS,
        "curvature": soft_regression.CURVATURE,
        "covariance_rows": soft_regression.SEEN,
        "class_weight_exponent": soft_regression.EXPONENT,
        "axes": axes,
    }


@dataclass(frozen=True)
class Reduction:
    """What is done with a tap's channels before they are weighted: (x − mean) · scale, then the axes, if any.

    Attributes:
        mean, scale: float64 [c]; the latter 0 for a channel that is constant.
        axes: float32 [c, k], whitened; None where all channels are kept.
    """

    mean: Doubles
    scale: Doubles
    axes: Floats | None = None

    @classmethod
    def of(cls, rows: Floats, axes: int | None) -> Reduction:
        """Of a tap's channels at cells of train, float32 [m, c]."""
        reduction = cls(*standardisation(rows))
        if axes is None:
            return reduction
        standard = reduction(rows)
        variances, directions = np.linalg.eigh(standard.T @ standard / np.float32(len(rows)))
        kept = np.flatnonzero(variances > 1e-5 * variances[-1])[-axes:]
        return replace(reduction, axes=np.asarray(directions[:, kept] / np.sqrt(variances[kept]), np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """float32 [m, c] → float32 [m, c or k]."""
        found = (rows - self.mean.astype(np.float32)) * self.scale.astype(np.float32)
        return found if self.axes is None else found @ self.axes

    def folded(self, weights: Floats) -> tuple[Floats, Doubles]:
        """Weights [classes, c] of the channels as they come, and what is added to the bias, [classes]."""
        wide: Doubles = weights.astype(np.float64) if self.axes is None else weights @ self.axes.T.astype(np.float64)
        wide = wide * self.scale
        return wide.astype(np.float32), -wide @ self.mean


def fit(train: Batchwise, val: Batchwise, seed: int, axes: int | None = None) -> Fitted:
    """Logistic regression on sampled cells of train, its penalty chosen by the mIoU on val.

    Args:
        axes: principal axes that each tap is reduced to; None: all channels are kept.

    Returns:
        ``arrays``: by the name of each tap, float32 [classes, c], the weights of its channels; ``bias``, float32
        [classes]; ``cells``, float64 [classes], cells of each class that it was fitted on.

    Raises:
        UserError: a split is empty, val has no labelled pixel, or train fewer than two classes.
        CellError: a map holds NaN or Inf.
    """
    require_val(val)
    bank = cells.draw(train, EACH, MOST, seed)
    counts = bank.shares.sum(axis=0, dtype=np.float64)
    present = np.flatnonzero(counts)
    rows, taps = _reduced(bank.features, shapes_of(train.outputs), axes)
    solutions = soft_regression.fit(rows, bank.shares[:, present], PENALTIES)
    heads = [_folded(weights, bias, taps, present, len(counts)) for weights, bias in solutions]
    sweep = [
        {"penalty": penalty, "val_mIoU": 100 * overlaps.mean_iou()}
        for penalty, overlaps in zip(PENALTIES, _overlaps(val, heads), strict=True)
    ]
    best = max(range(len(sweep)), key=lambda i: sweep[i]["val_mIoU"])
    return Fitted(train, seed, {**heads[best], CELLS: counts}, sweep[best], sweep)


def _reduced(features: Floats, shapes: Shapes, axes: int | None) -> tuple[Floats, dict[str, tuple[slice, Reduction]]]:
    """A bank's rows, each tap reduced, and by tap where its columns now are. ``features`` is used up."""
    taps: dict[str, tuple[slice, Reduction]] = {}
    end = 0
    for name, columns in slices_of(shapes).items():
        reduction = Reduction.of(features[:, columns], axes)
        reduced = reduction(features[:, columns])
        taps[name] = (slice(end, end := end + reduced.shape[1]), reduction)
        features[:, taps[name][0]] = reduced  # in their place, or further left: there is no room for a second bank
    return np.ascontiguousarray(features[:, :end]), taps


def _folded(
    weights: Floats, bias: Floats, taps: Mapping[str, tuple[slice, Reduction]], present: Indices, classes: int
) -> Arrays:
    """The head of a solution: by tap, the weights of its channels as they come; ``bias``."""
    arrays: dict[str, npt.NDArray[Any]] = {BIAS: np.full(classes, NEVER, np.float32)}
    total = bias.astype(np.float64)
    for name, (columns, reduction) in taps.items():
        own, added = reduction.folded(weights[:, columns])
        arrays[name] = np.zeros((classes, own.shape[1]), np.float32)
        arrays[name][present] = own
        total += added
    arrays[BIAS][present] = total
    return arrays


def _overlaps(val: Batchwise, heads: Sequence[Arrays]) -> list[Overlaps]:
    """What each head finds on val, whose maps are read once."""
    classes = len(val.classes)
    counts = np.zeros((len(heads), len(val), 3, classes))
    together = {name: np.concatenate([head[name] for head in heads]) for name in heads[0]}
    for rows, outputs in read(val, "val", "choosing the penalty on val"):
        for row, planes in zip(rows.tolist(), logits(together, outputs), strict=True):
            truth, frame = val.masks[row], val.frame(row)
            for which, own in enumerate(np.split(planes, len(heads))):
                counts[which, row] = agreement(truth, mask_of(own, frame), classes)
    return [Overlaps.of(own) for own in counts]


def logits(arrays: Arrays, outputs: Mapping[str, Floats]) -> Floats:
    """What the head gives, in numpy: float32 [n, classes, h, w] of taps [n, c, h', w'] by name."""
    grid = grid_of(shapes_of(outputs))
    total = arrays[BIAS][:, None, None]
    for name, values in outputs.items():
        n, channels, h, w = values.shape
        own = (arrays[name] @ values.reshape(n, channels, h * w)).reshape(n, -1, h, w)
        if (h, w) != grid:
            own = resampling(h, grid[0]).matrix(h) @ (own @ resampling(w, grid[1]).matrix(w).T)
        total = total + own
    return np.asarray(total, np.float32)


def parameters(fitted: Fitted) -> int:
    """Weights of the head, those of classes that train lacks included."""
    return sum(array.size for name, array in fitted.arrays.items() if name != CELLS)


def head(fitted: Fitted) -> Head:
    """The head as a graph: the taps → ``logits``, float32 [n, classes, h, w] on the finest tap's grid."""
    from onnx import TensorProto, helper, numpy_helper

    shapes, classes = shapes_of(fitted.train.outputs), len(fitted.arrays[BIAS])
    grid = grid_of(shapes)
    nodes, inputs, weights = [], [], [numpy_helper.from_array(fitted.arrays[BIAS], BIAS)]
    parts: list[str] = []
    for name, (channels, h, w) in shapes.items():
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, h, w]))
        weights.append(numpy_helper.from_array(fitted.arrays[name][:, :, None, None], f"{name}.weights"))
        taken = [name, f"{name}.weights", *([] if parts else [BIAS])]
        nodes.append(helper.make_node("Conv", taken, [f"{name}.logits"], kernel_shape=[1, 1]))
        parts.append(f"{name}.logits")
        if (h, w) != grid:
            parts[-1] = f"{name}.enlarged"
            weights.append(numpy_helper.from_array(scales((h, w), grid), f"{name}.scales"))
            nodes.append(enlargement(f"{name}.logits", f"{name}.scales", parts[-1]))
    total = parts[0]
    for i, part in enumerate(parts[1:], 1):
        nodes.append(helper.make_node("Add", [total, part], [total := LOGITS if i == len(parts) - 1 else f"sum{i}"]))
    if len(parts) == 1:
        nodes[-1].output[0] = LOGITS
    output = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["n", classes, *grid])
    graph = helper.make_graph(nodes, "segmentation", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Head(model.SerializeToString(), (LOGITS,), parameters(fitted))


def class_map(head: Head, size: tuple[int, int] | None = None) -> Head:
    """The same with a second output, ``classes``: the largest logit's class, [n, h, w].

    uint8, or int32 where there are more than 256 classes.

    Args:
        size: (height, width) that the logits are enlarged to first, such as the network's input, in which the time
            goes; None: as they are.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(head.model)
    graph, source = model.graph, LOGITS
    classes, *grid = (axis.dim_value for axis in graph.output[0].type.tensor_type.shape.dim[1:])
    if size and list(size) != grid:
        graph.initializer.append(numpy_helper.from_array(scales((grid[0], grid[1]), size), "full.scales"))
        graph.node.append(enlargement(LOGITS, "full.scales", source := "full.logits"))
    kind = TensorProto.UINT8 if classes <= 256 else TensorProto.INT32
    graph.node.append(helper.make_node("ArgMax", [source], ["largest"], axis=1, keepdims=0))
    graph.node.append(helper.make_node("Cast", ["largest"], ["classes"], to=kind))
    graph.output.append(helper.make_tensor_value_info("classes", kind, ["n", *(size or grid)]))
    return replace(head, model=model.SerializeToString())


def enlargement(source: str, scales: str, name: str) -> NodeProto:
    """The bilinear enlargement of :mod:`tasks.scoring.segmentation.geometry`, as a node."""
    from onnx import helper

    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return helper.make_node("Resize", [source, "", scales], [name], **how)


def scales(size: tuple[int, int], wanted: tuple[int, int]) -> Floats:
    """What Resize multiplies the four axes with, float32 [4].

    It makes ⌊size · scale⌋ of it, in single or in double precision: a scale that falls short by a rounding in either
    would lose a row. Sizes in its place would need the batch's among them.
    """
    found = np.ones(4, np.float32)
    for axis, (have, want) in enumerate(zip(size, wanted, strict=True), 2):
        found[axis] = want / have
        while min(np.floor(np.float32(have) * found[axis]), np.floor(have * float(found[axis]))) < want:
            found[axis] = np.nextafter(found[axis], np.float32(np.inf))
    return found
