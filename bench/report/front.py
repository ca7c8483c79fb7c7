"""Accuracy against cost as one picture: every ranked cell with its error, and the Pareto front as a step line.

Cells of one backbone that differ in input size alone, or in depth alone, are joined by a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.canvas import Colours, Theme, draw
from bench.report.labels import Box, leader, nearest, place
from bench.verdict.axes import Axis, lines
from bench.verdict.picking import pick
from bench.verdict.ranking import Ranking
from export.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (8.0, 4.8)
STROKES: dict[Axis, Any] = {"size": "-", "depth": (0, (1, 1.5))}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FULL = "fp32"
"""Its points are filled; those of other precisions are hollow."""
LABELS = 9
"""Cells of the front that are named at most, one of a backbone: the suggested one, then the most accurate."""


@dataclass(frozen=True)
class Points:
    """What is drawn: one point a ranked cell that has the cost.

    Attributes:
        rows: of the sheet. x: the cost. y: accuracy. error: its standard error, 0 where unknown.
        front: which are on the Pareto front. suggested: the index of the suggested cell.
    """

    rows: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    error: tuple[float, ...]
    front: tuple[bool, ...]
    suggested: int


def points(ranking: Ranking, cost: str) -> Points:
    """The points of a ranking: the score itself where there is one setting, the mean z of several.

    Raises:
        UserError: there is no such cost, or no ranked cell that has it.
    """
    sheet = ranking.sheet
    _, paid = sheet.cost(cost)
    standings = [s for s in ranking.standings if paid[s.row] > 0]
    if not standings:
        raise UserError(f"No ranked cell has a {cost}.", "There is nothing to draw.")
    rows = [s.row for s in standings]
    single = len(sheet.settings) == 1
    y = [float(sheet.values[s.row, 0]) if single else s.z or 0.0 for s in standings]
    errors = [float(np.nan_to_num(sheet.errors[s.row, 0])) if single else s.z_error or 0.0 for s in standings]
    x = [float(paid[row]) for row in rows]
    front = set(ranking.front(cost))
    suggested = pick(ranking, cost).row
    index = rows.index(suggested) if suggested in rows else -1
    return Points(tuple(rows), tuple(x), tuple(y), tuple(errors), tuple(row in front for row in rows), index)


def front(ranking: Ranking, cost: str, theme: Theme, kind: str = "svg", machine: str = "") -> bytes:
    """The picture of a ranking as SVG (or PNG).

    Args:
        machine: what costs were measured on, for the caption.

    Raises:
        Unavailable: matplotlib is not installed.
        UserError: there is nothing to draw.
    """
    what = points(ranking, cost)

    def picture(figure: Figure, colours: Colours) -> None:
        axes = figure.add_axes((0.085, 0.115, 0.665, 0.79))
        _axes(axes, ranking, cost, colours, machine)
        _cells(axes, ranking, what, colours)
        _lines(axes, ranking, what, colours)
        _front(axes, ranking, cost, what, colours)
        _legend(figure, axes, ranking, what, colours)
        _labels(figure, axes, ranking, cost, what, colours)

    return draw(picture, SIZE, theme, kind)


def _axes(axes: Axes, ranking: Ranking, cost: str, colours: Colours, machine: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    sheet, column = ranking.sheet, ranking.sheet.cost(cost)[0]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.grid(True, linewidth=0.6)
    unit = f", {column.unit}" if column.unit else ""
    better = "higher" if column.higher_is_better else "lower"
    axes.set_xlabel(f"{column.title}{unit} (log scale, {better} is better)")
    settings = sheet.settings
    if len(settings) == 1:
        one = settings[0]
        where = f"{one.task_name} on {one.data}" if one.data else one.name
        axes.set_ylabel(f"{where}, {one.unit}".rstrip(", "))
    else:
        axes.set_ylabel(f"accuracy: mean z-score over {len(settings)} tasks")
    images = {s.data: ranking.images(s.data) for s in settings if s.data}
    sets = ", ".join(f"{name} ({n:,} test images)" if n else name for name, n in list(images.items())[:3])
    caption = " · ".join(filter(None, (sets, machine)))
    axes.set_title(caption, loc="left", fontsize=8.5, color=colours.soft, pad=8)


def _colour(ranking: Ranking, what: Points, colours: Colours) -> dict[str, str]:
    """Backbone → colour, the most accurate first; of more than there are colours the last ones share grey."""
    backbones = dict.fromkeys(str(ranking.sheet.labels[row]["backbone"]) for row in what.rows)
    shades = [*colours.several, *[colours.soft] * len(backbones)]
    return dict(zip(backbones, shades, strict=False))


def _marker(ranking: Ranking, what: Points) -> dict[str, str]:
    """Engine → the sign of its points."""
    engines = sorted({str(ranking.sheet.labels[row].get("engine", "")) for row in what.rows})
    return {engine: MARKERS[i % len(MARKERS)] for i, engine in enumerate(engines)}


def _cells(axes: Axes, ranking: Ranking, what: Points, colours: Colours) -> None:
    colour, marker = _colour(ranking, what, colours), _marker(ranking, what)
    for i, row in enumerate(what.rows):
        label = ranking.sheet.labels[row]
        shade, on = colour[str(label["backbone"])], what.front[i]
        solid = 1.0 if on else 0.55
        if what.error[i]:
            faint = 0.8 if on else 0.3
            axes.errorbar(what.x[i], what.y[i], what.error[i], fmt="none", ecolor=shade, alpha=faint, zorder=2)
        full = label.get("precision", FULL) == FULL
        axes.plot(
            what.x[i],
            what.y[i],
            marker[str(label.get("engine", ""))],
            markersize=7 if on else 5.5,
            markerfacecolor=shade if full else colours.paper,
            markeredgecolor=shade,
            markeredgewidth=1.5,
            alpha=solid,
            zorder=4 if on else 3,
        )
    if what.suggested >= 0:
        axes.plot(
            what.x[what.suggested],
            what.y[what.suggested],
            "o",
            markersize=14,
            markerfacecolor="none",
            markeredgecolor=colours.text,
            markeredgewidth=1.2,
            zorder=5,
        )


def _lines(axes: Axes, ranking: Ranking, what: Points, colours: Colours) -> None:
    """Each line along an axis in its backbone's colour, with the place on the axis at every point."""
    colour = _colour(ranking, what, colours)
    for line in lines(ranking.sheet.labels, what.rows):
        shade, at = colour[str(line.shared["backbone"])], [what.rows.index(row) for row in line.rows]
        xs, ys = [what.x[i] for i in at], [what.y[i] for i in at]
        axes.plot(xs, ys, color=shade, linewidth=1.1, linestyle=STROKES[line.axis], alpha=0.8, zorder=2)
        for x, y, text in zip(xs, ys, line.at, strict=True):
            axes.annotate(_short(text), (x, y), (5, -9), textcoords="offset points", fontsize=6, color=shade, alpha=0.9)


def _short(place: str) -> str:
    """A place on an axis in few letters: one side of a square input, a depth's number."""
    one, _, other = place.partition("x")
    return one if one == other else place.removeprefix("depth ")


def _front(axes: Axes, ranking: Ranking, cost: str, what: Points, colours: Colours) -> None:
    """The best accuracy that a budget buys: level until the next cell is affordable."""
    on = sorted((what.x[i], what.y[i]) for i, yes in enumerate(what.front) if yes)
    rate = ranking.sheet.cost(cost)[0].higher_is_better
    axes.margins(x=0.13, y=0.08)  # labels want room, to the left above all
    axes.autoscale_view()
    left, right = axes.get_xlim()
    xs, ys = [x for x, _ in on], [y for _, y in on]
    xs, ys = ([left, *xs], [ys[0], *ys]) if rate else ([*xs, right], [*ys, ys[-1]])
    where: Any = "pre" if rate else "post"
    axes.step(xs, ys, where=where, color=colours.soft, linewidth=1.3, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(left, right)


def _legend(figure: Figure, axes: Axes, ranking: Ranking, what: Points, colours: Colours) -> None:
    from matplotlib.lines import Line2D

    def sign(marker: str, edge: str, face: str, size: float = 6.0) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, markersize=size, markerfacecolor=face,
                      markeredgecolor=edge, markeredgewidth=1.3)  # fmt: skip

    groups: list[tuple[str, list[tuple[Any, str]]]] = [
        ("backbone", [(sign("o", c, c), name) for name, c in _colour(ranking, what, colours).items()])
    ]
    marker = _marker(ranking, what)
    if any(marker):
        groups.append(("engine", [(sign(m, colours.soft, colours.soft), e) for e, m in marker.items()]))
    precisions = sorted({str(ranking.sheet.labels[row].get("precision", FULL)) for row in what.rows})
    if precisions != [FULL]:
        lower = ", ".join(p for p in precisions if p != FULL)
        signs = [(sign("o", colours.soft, colours.soft), FULL), (sign("o", colours.soft, colours.paper), lower)]
        groups.append(("precision", signs if FULL in precisions else signs[1:]))
    others: list[tuple[Any, str]] = [
        (Line2D([], [], color=colours.soft, linewidth=1.3, linestyle=(0, (4, 2))), "Pareto front"),
        (sign("o", colours.text, "none", 10.0), "suggested cell"),
    ]
    if any(what.error):
        others.append(
            (Line2D([], [], color=colours.soft, marker="|", linestyle="none", markersize=9), "± 1 standard error")
        )
    words = {"size": "one backbone, by input size", "depth": "one backbone, by depth"}
    for axis in dict.fromkeys(line.axis for line in lines(ranking.sheet.labels, what.rows)):
        others.append((Line2D([], [], color=colours.soft, linewidth=1.1, linestyle=STROKES[axis]), words[axis]))
    groups.append(("", others))
    top = 0.905
    for title, entries in groups:
        legend = figure.legend(
            [handle for handle, _ in entries],
            [text for _, text in entries],
            title=title or None,
            loc="upper left",
            bbox_to_anchor=(0.765, top),
            frameon=False,
            fontsize=8,
            title_fontsize=8,
            alignment="left",
            borderpad=0,
            borderaxespad=0,
            handletextpad=0.5,
            labelspacing=0.35,
        )
        legend.get_title().set_color(colours.soft)
        extent = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        top -= extent.height / figure.bbox.height + 0.025


def _labels(figure: Figure, axes: Axes, ranking: Ranking, cost: str, what: Points, colours: Colours) -> None:
    """Name the cells of the front, next to their points and over nothing else."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    on = sorted(np.flatnonzero(what.front).tolist(), key=lambda i: (i != what.suggested, -what.y[i]))
    first: dict[str, int] = {}
    for i in on:
        first.setdefault(str(ranking.sheet.labels[what.rows[i]]["backbone"]), i)
    named = list(first.values())[:LABELS]
    colour = _colour(ranking, what, colours)
    texts = []
    for i in named:
        label = ranking.sheet.labels[what.rows[i]]
        parts = [ranking.sheet.variant(what.rows[i]), *(str(label[k]) for k in ("engine", "precision") if k in label)]
        below = " · ".join(filter(None, parts))
        said = "\n".join(filter(None, (str(label["backbone"]), below)))
        weight = "bold" if i == what.suggested else "normal"
        texts.append(axes.text(0, 0, said, fontsize=7.5, weight=weight, linespacing=1.15, zorder=6, ha="center",
                               va="center", color=colour[str(label["backbone"])]))  # fmt: skip
    to_pixels = axes.transData.transform
    extents = [text.get_window_extent(renderer) for text in texts]
    spots = [tuple(map(float, to_pixels((what.x[i], what.y[i])))) for i in range(len(what.rows))]
    bounds = axes.get_window_extent(renderer)
    boxes = place(
        [(spots[i][0], spots[i][1]) for i in named],
        [(extent.width, extent.height) for extent in extents],
        _obstacles(what, spots, to_pixels, ranking.sheet.cost(cost)[0].higher_is_better),
        Box(bounds.x0, bounds.y0, bounds.x1, bounds.y1),
    )
    to_data = axes.transData.inverted().transform
    for i, text, box in zip(named, texts, boxes, strict=True):
        centre = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
        text.set_position(tuple(to_data(centre)))
        near = nearest((spots[i][0], spots[i][1]), box)
        if leader((spots[i][0], spots[i][1]), box):
            ends = to_data([spots[i], near])
            axes.plot(ends[:, 0], ends[:, 1], color=text.get_color(), linewidth=0.7, alpha=0.8, zorder=2)


def _thick(one: tuple[float, ...], other: tuple[float, ...]) -> Box:
    """A level or upright line."""
    (left, right), (bottom, top) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return Box(left - 2, bottom - 2, right + 2, top + 2)


def _obstacles(what: Points, spots: Sequence[tuple[float, ...]], to_pixels: Any, rate: bool) -> list[Box]:
    """Points, error bars and the front."""
    found = []
    on = sorted(spots[i] for i, yes in enumerate(what.front) if yes)
    ends_at = [*on[1:], (2 * max(x for x, _ in spots), on[-1][1])]
    for (x, y), (right, above) in zip(on, ends_at, strict=True):
        corner = (x, above) if rate else (right, y)
        found += [_thick((x, y), corner), _thick(corner, (right, above))]
    for i, (x, y) in enumerate(spots):
        half = 8.5 if i == what.suggested else 5.0
        found.append(Box(x - half, y - half, x + half, y + half))
        ends = to_pixels([(what.x[i], what.y[i] + sign * what.error[i]) for sign in (-1, 1)])
        found.append(Box(x - 1.5, float(ends[0][1]), x + 1.5, float(ends[1][1])))
    return found
