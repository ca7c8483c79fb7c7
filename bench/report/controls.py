"""The parts of the page that answer the reader: their frames, which the scripts fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONG = 400
"""Characters of a note that is shown whole."""


def budgets() -> str:
    """Sliders, filters, and the line that says what is left."""
    return (
        '<section class="panel" aria-label="Budget and filters"><div id="budget-part"><h2>Budget</h2>'
        '<div id="budgets" class="budgets"></div>'
        '<details class="more"><summary>every cost</summary>'
        '<div id="more-budgets" class="budgets"></div></details></div>'
        '<div class="controls" id="filters"><label>search <input type="search" id="text" '
        'placeholder="name, family, licence"></label></div>'
        '<div class="controls"><strong id="left" role="status" aria-live="polite"></strong><span class="buttons">'
        '<button id="reset">reset</button><button id="link">copy link</button>'
        '<label>theme <select id="theme"><option value="">system</option><option value="light">light</option>'
        '<option value="dark">dark</option></select></label></span></div></section>'
    )


def front() -> str:
    """The scatter of accuracy against cost."""
    return (
        '<section><h2>Accuracy against cost</h2><div class="controls"><label>cost <select id="x"></select></label>'
        '<label>accuracy <select id="y"></select></label><label>join <select id="join"></select></label></div>'
        '<figure><div class="stage"><svg id="front" class="plot" role="img" '
        'aria-label="Scatter of accuracy against cost; the table below has the same numbers"></svg>'
        '<div id="tip" class="tip" hidden></div></div><ul id="legend" class="legend"></ul>'
        "<figcaption>The dotted line is the Pareto front of what is left: no cell is better and cheaper. Solid points "
        "are on the statistical front: no cell that costs no more is significantly better in z. Faint points are "
        "behind it; grey ones break a budget. The ring is the pick. Bars are one standard error. Cells without a score "
        "are in the table, not in the plot. Click a point to compare it.</figcaption></figure></section>"
    )


def table(foot: Iterable[str]) -> str:
    """All cells; ``foot`` says how the numbers came about."""
    items = "".join(f"<li>{_note(line)}</li>" for line in foot)
    return (
        '<section><h2>All cells</h2><div class="controls" id="table-controls"><span class="buttons">'
        '<button id="csv">CSV</button><button id="json">JSON</button></span></div>'
        '<div class="scroll tall" tabindex="0" role="region" aria-label="All cells"><table id="table"><thead>'
        '<tr id="heads"></tr></thead><tbody id="rows"></tbody></table>'
        '<p id="rest" class="soft" hidden><span id="rest-said"></span> '
        '<button id="all-rows">draw all</button></p></div>'
        '<p class="soft key"><span class="mark pick"></span> the pick <span class="mark front"></span> Pareto front '
        '<span class="mark strong"></span> statistical front <span class="out">grey: over a budget</span></p>'
        f"<ul class='soft'>{items}</ul></section>"
    )


def _note(line: str) -> str:
    """A line of the foot; a list that is long is folded behind what it is a list of."""
    head, mark, rest = line.partition(": ")
    if len(line) <= LONG or not mark:
        return escape(line)
    return f"<details><summary>{escape(head)}</summary>{escape(rest)}</details>"


def compare(left_out: Sequence[str], shown: str) -> str:
    """Two cells side by side.

    Args:
        left_out: settings whose scores of single images do not fit into the page.
        shown: what is said of the photographs.
    """
    names = ", ".join(left_out)
    note = f" Too large for this page, so without intervals: {names}." if names else ""
    return (
        '<section><h2>Compare two cells</h2><div class="controls"><label>A <select id="a"></select></label>'
        '<label>B <select id="b"></select></label></div><div id="pair"></div>'
        '<p class="soft">Differences are paired: both cells saw the same test images. Intervals are those of a paired '
        f"bootstrap with 2,000 resamples, each setting alone.{escape(note)} {escape(shown)}</p></section>"
    )


def latency() -> str:
    """Distributions of latency, unpacked when opened."""
    return (
        "<section><h2>Every query's time</h2><details><summary>cumulative distributions of the cells on the front, and "
        'of those compared</summary><div class="controls"><label>series <select id="series"></select></label></div>'
        '<figure><svg id="latency" class="plot low" role="img" aria-label="Cumulative distributions of latency"></svg>'
        '<ul id="latency-legend" class="legend"></ul><figcaption>Share of queries that were answered within a time; '
        "all repeats together, nothing dropped. The number of queries stands behind each name.</figcaption></figure>"
        "</details></section>"
    )
