"""Scores of each network at each task as dots with error bars: one panel a task, one line a network."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bench.report.canvas import Colours, Theme, draw
from bench.report.front import MARKERS
from bench.verdict.ranking import Ranking
from export.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 6
"""Tasks in one row of panels, at most."""
LANE = 0.17
"""Between the dots of one network, in lines."""


def dots(ranking: Ranking, theme: Theme, kind: str = "svg") -> bytes:
    """The picture of a ranking as SVG (or PNG).

    Raises:
        Unavailable: matplotlib is not installed.
        UserError: no cell is ranked.
    """
    if not ranking.ranked:
        raise UserError("No cell is ranked.", "There is nothing to draw.")
    sheet = ranking.sheet
    networks = list(dict.fromkeys(sheet.network(s.row) for s in ranking.standings))
    kinds = sorted({_kind(ranking, row) for row in ranking.ranked})
    order = sorted(range(len(sheet.settings)), key=lambda j: sheet.settings[j].data)  # a data set's tasks side by side
    across = min(max(Counter(setting.data for setting in sheet.settings).values()), PANELS)
    down = -(-len(order) // across)
    inches = 0.2 * len(networks) * max(1.0, 0.45 * len(kinds)) + 0.5

    def picture(figure: Figure, colours: Colours) -> None:
        panels = figure.subplots(down, across, sharey=True, squeeze=False)
        for axes in panels.flat[len(order) :]:
            axes.set_axis_off()
        for j, axes in zip(order, panels.flat, strict=False):
            setting = sheet.settings[j]
            axes.set_title("\n".join(filter(None, (setting.task_name, setting.data))), fontsize=8.5, color=colours.text)
            axes.set_xlabel(setting.unit, fontsize=8)
            axes.grid(True, axis="x", linewidth=0.6)
            axes.tick_params(labelsize=8, length=0)
            axes.spines["left"].set_visible(False)
            for k, (engine, precision) in enumerate(kinds):
                rows = [row for row in ranking.ranked if _kind(ranking, row) == (engine, precision)]
                lane = (k - (len(kinds) - 1) / 2) * min(LANE, 0.8 / len(kinds))
                lines = [networks.index(sheet.network(row)) + lane for row in rows]
                errors = np.nan_to_num(sheet.errors[rows, j])
                name, shade = f"{engine} · {precision}".strip(" ·"), colours.several[k % len(colours.several)]
                axes.errorbar(sheet.values[rows, j], lines, None, errors, MARKERS[k % len(MARKERS)], label=name,
                              markersize=3.5, color=shade, elinewidth=0.9)  # fmt: skip
            axes.set_yticks(range(len(networks)), networks, color=colours.text)
        panels[0, 0].set_ylim(len(networks) - 0.5, -0.5)
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower center", ncols=min(len(names), 4), frameon=False, fontsize=8)
        below = 0.3 * (1 + (len(names) - 1) // 4)
        height = figure.get_figheight()
        figure.tight_layout(rect=(0, below / height, 1, 1))

    return draw(picture, (8.0, down * (inches + 0.6) + 0.6), theme, kind)


def _kind(ranking: Ranking, row: int) -> tuple[str, str]:
    label = ranking.sheet.labels[row]
    return str(label.get("engine", "")), str(label.get("precision", ""))
