"""The head as an ONNX graph, from the taps to boxes, scores and labels: the twin of ``network`` and ``decoding``.

Only operators that every engine takes, and no shape that depends on the picture: GroupNorm is an InstanceNormalization
of groups, peaks are where a maximum over 3 × 3 cells changes nothing, and masks are matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import (
    BRANCHES,
    EPSILON,
    GROUPS,
    LARGEST,
    MASK_SIDE,
    PROTOTYPES,
    SHAPE_BRANCH,
    SHARED,
    WIDTH,
)
from tasks.scoring.features import Floats, Indices

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


class Graph:
    """Nodes and constants as they are added. A value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: npt.ArrayLike, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, dtype)), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """One node with one output, ``name``."""
        return self.add_all(operator, inputs, [name], **attributes)[0]

    def add_all(self, operator: str, inputs: Sequence[str], names: Sequence[str], **attributes: Any) -> Sequence[str]:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names


def model(
    name: str,
    taps: Mapping[str, Sequence[int]],
    weights: Mapping[str, npt.NDArray[Any]],
    grid: Grid,
    scale: float,
    present: Indices,
    count: int,
) -> bytes:
    """The whole head, serialized: opset 17, its inputs the taps, float32 [n, c, h, w].

    Args:
        taps: (c, h, w) of each tap. weights: of :func:`network.forward` for maps as they come, that is with
            the standardisation folded into the laterals, and with ``lateral_bias`` [width].
        present: int64, the label of each column of heat. count: of detections in a picture.

    Returns:
        The model; its outputs are ``boxes`` [n, count, 4], ``scores`` and ``labels`` [n, count], and with prototypes
        ``masks`` [n, count, 48, 48], all float32.
    """
    from onnx import TensorProto, helper

    graph = Graph()
    for key, values in weights.items():
        graph.constant(key, values if values.ndim == 4 or key in _FLAT else values[:, None, None])
    pad = weights[f"{SHARED}_weight"].shape[-1] // 2
    rows = _block(graph, _summed(graph, taps, grid), SHARED, pad)
    cells = {}
    for block, outputs in (BRANCHES | SHAPE_BRANCH).items():
        if f"{block}_weight" in weights:
            own = _block(graph, rows, block, pad)
            for key in outputs:
                cells[key] = graph.add("Conv", [own, f"{key}_weight", f"{key}_bias"], key)
    index, cell = _peaks(graph, cells["heat"], grid, count)
    graph.constant("present", present)
    graph.add("Gather", ["present", index], "labels")
    boxes = _boxes(graph, cells["sides"], grid, scale)
    graph.add("GatherND", [boxes, cell], "boxes", batch_dims=1)
    shapes: dict[str, list[str | int]] = {
        "boxes": ["n", count, 4],
        "scores": ["n", count],
        "labels": ["n", count],
    }
    if "prototypes" in cells:
        _masks(graph, cells, cell, grid)
        shapes["masks"] = ["n", count, MASK_SIDE, MASK_SIDE]
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info(tap, TensorProto.FLOAT, ["n", *shape]) for tap, shape in taps.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()],
        graph.constants,
    )
    found = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(found.SerializeToString())


_FLAT = ("lateral_bias", "heat_bias", "sides_bias", "prototypes_bias", "coefficients_bias")
"""Biases of convolutions: one axis. Scales and biases of norms are spread over cells."""


def folded(
    weights: Mapping[str, npt.NDArray[Any]], mean: Mapping[str, Floats], scale: Mapping[str, Floats]
) -> dict[str, npt.NDArray[Any]]:
    """The weights for maps as they come, of those for standardised ones."""
    out = dict(weights)
    bias = np.zeros(WIDTH)
    for tap in mean:
        lateral = weights[f"lateral_{tap}_weight"].astype(np.float64) * scale[tap]
        bias -= (lateral * mean[tap]).sum(axis=(1, 2, 3))
        out[f"lateral_{tap}_weight"] = lateral.astype(np.float32)
    return out | {"lateral_bias": bias.astype(np.float32)}


def _summed(graph: Graph, taps: Mapping[str, Sequence[int]], grid: Grid) -> str:
    """The taps' laterals, [n, 64, h, w]."""
    parts = []
    for index, (tap, (_, height, width)) in enumerate(taps.items()):
        bias = ["lateral_bias"] if index == 0 else []
        lateral = graph.add("Conv", [tap, f"lateral_{tap}_weight", *bias], f"lateral_{tap}")
        if (height, width) != (grid.height, grid.width):
            factors = graph.constant(f"enlarge_{tap}", [1, 1, _factor(grid.height, height), _factor(grid.width, width)])
            resize = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
            lateral = graph.add("Resize", [lateral, "", factors], f"enlarged_{tap}", **resize)
        parts.append(lateral)
    rows = parts[0]
    for index, part in enumerate(parts[1:]):
        rows = graph.add("Add", [rows, part], f"sum{index}")
    graph.constant("ones", np.ones(GROUPS))
    graph.constant("zeros", np.zeros(GROUPS))
    graph.constant("groups", [0, GROUPS, WIDTH // GROUPS * grid.height, grid.width], np.int64)
    graph.constant("channels", [0, WIDTH, grid.height, grid.width], np.int64)
    return _normalised(graph, rows, "sum")


def _block(graph: Graph, rows: str, name: str, pad: int) -> str:
    rows = graph.add("Conv", [rows, f"{name}_weight"], f"{name}_conv", pads=[pad] * 4)
    return graph.add("Relu", [_normalised(graph, rows, name)], f"{name}_relu")


def _factor(large: int, small: int) -> float:
    """float32 whose product with ``small`` is not below ``large``: engines round the product down."""
    factor = np.float32(large / small)
    return float(factor if float(factor) * small >= large else np.nextafter(factor, np.float32(np.inf)))


def _normalised(graph: Graph, rows: str, name: str) -> str:
    grouped = graph.add("Reshape", [rows, "groups"], f"{name}_grouped")
    even = graph.add("InstanceNormalization", [grouped, "ones", "zeros"], f"{name}_even", epsilon=EPSILON)
    whole = graph.add("Reshape", [even, "channels"], f"{name}_whole")
    scaled = graph.add("Mul", [whole, f"{name}_scale"], f"{name}_scaled")
    return graph.add("Add", [scaled, f"{name}_bias"], f"{name}_normalised")


def _peaks(graph: Graph, heat: str, grid: Grid, count: int) -> tuple[str, str]:
    """``scores``; the column of each, [n, count]; and its cell, [n, count, 1]."""
    chance = graph.add("Sigmoid", [heat], "chance")
    largest = graph.add("MaxPool", [heat], "largest", kernel_shape=[3, 3], pads=[1] * 4)
    peak = graph.add("Cast", [graph.add("Equal", [heat, largest], "is_peak")], "peak", to=1)
    flat = graph.add("Flatten", [graph.add("Mul", [chance, peak], "peaks")], "flat")
    _, places = graph.add_all("TopK", [flat, graph.constant("count", [count], np.int64)], ["scores", "places"])
    cells = graph.constant("cells", grid.cells, np.int64)
    column = graph.add("Div", [places, cells], "column")
    cell = graph.add("Sub", [places, graph.add("Mul", [column, cells], "before")], "cell")
    return column, graph.add("Unsqueeze", [cell, graph.constant("last", [2], np.int64)], "cell_index")


def _by_cell(graph: Graph, rows: str, channels: int, grid: Grid) -> str:
    """[n, channels, h, w] → [n, cells, channels]."""
    flat = graph.constant(f"{rows}_flat", [0, channels, grid.cells], np.int64)
    return graph.add("Transpose", [graph.add("Reshape", [rows, flat], f"{rows}_row")], f"{rows}_cells", perm=[0, 2, 1])


def _boxes(graph: Graph, sides: str, grid: Grid, scale: float) -> str:
    """x1, y1, x2, y2 of every cell, [n, cells, 4]."""
    limited = graph.add("Min", [sides, graph.constant("largest_side", LARGEST)], "limited")
    away = graph.add("Exp", [limited], "away")
    signs = graph.constant("signs", np.array([-scale, -scale, scale, scale])[:, None, None])
    centres = graph.constant("centres", np.tile(grid.centres(), (2, 1, 1)))
    return _by_cell(graph, graph.add("Add", [graph.add("Mul", [away, signs], "offset"), centres], "corners"), 4, grid)


def _masks(graph: Graph, cells: Mapping[str, str], cell: str, grid: Grid) -> None:
    """``masks``, as ``decoding.masks`` has them."""
    by_cell = _by_cell(graph, cells["coefficients"], PROTOTYPES + 1, grid)
    coefficients = graph.add("GatherND", [by_cell, cell], "chosen", batch_dims=1)
    graph.constant("parts_of_it", [PROTOTYPES, 1], np.int64)
    weights, offset = graph.add_all("Split", [coefficients, "parts_of_it"], ["mix", "offsets"], axis=2)
    flat = graph.constant("prototypes_flat", [0, PROTOTYPES, grid.cells], np.int64)
    rows = graph.add("MatMul", [weights, graph.add("Reshape", [cells["prototypes"], flat], "prototype_rows")], "mixed")
    whole = graph.add("Reshape", [rows, graph.constant("picture", [0, -1, grid.height, grid.width], np.int64)], "whole")
    graph.constant("one_each", [1, 1, 1, 1], np.int64)
    corners = graph.add("Unsqueeze", ["boxes", graph.constant("end", [3], np.int64)], "corner_columns")
    x1, y1, x2, y2 = graph.add_all("Split", [corners, "one_each"], ["x1", "y1", "x2", "y2"], axis=2)
    graph.constant("centre_shares", ((np.arange(MASK_SIDE) + 0.5) / MASK_SIDE)[:, None])
    graph.constant("half", 0.5)
    graph.constant("one", 1)
    graph.constant("zero", 0)
    down = _hats(graph, "down", y1, y2, grid.stride[1], grid.height)
    across = _hats(graph, "across", x1, x2, grid.stride[0], grid.width)
    turned = graph.add("Transpose", [across], "across_turned", perm=[0, 1, 3, 2])
    found = graph.add("MatMul", [graph.add("MatMul", [down, whole], "rows_of_masks"), turned], "raw_masks")
    level = graph.add("Unsqueeze", [offset, "end"], "level")
    graph.add("Add", [found, level], "masks")


def _hats(graph: Graph, name: str, low: str, high: str, stride: float, count: int) -> str:
    """How much each of ``count`` cells weighs in each of 48 points of a box's side: [n, k, 48, count]."""
    length = graph.add("Mul", [graph.add("Sub", [high, low], f"{name}_length"), "centre_shares"], f"{name}_shares")
    points = graph.add("Add", [length, low], f"{name}_points")
    scaled = graph.add("Div", [points, graph.constant(f"{name}_stride", stride)], f"{name}_scaled")
    places = graph.add("Sub", [scaled, "half"], f"{name}_shifted")
    below = graph.add("Min", [places, graph.constant(f"{name}_edge", count - 1)], f"{name}_below")
    inside = graph.add("Max", [below, "zero"], f"{name}_inside")
    apart = graph.add("Sub", [inside, graph.constant(f"{name}_cells", np.arange(count))], f"{name}_apart")
    distance = graph.add("Abs", [apart], f"{name}_distance")
    return graph.add("Relu", [graph.add("Sub", ["one", distance], f"{name}_weight")], f"{name}_hats")
