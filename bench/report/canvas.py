"""The paper that pictures are drawn on: light or dark, text as text, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from export.errors import not_installed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Colours:
    """Of a theme: ``text``, ``soft`` text and lines, ``faint`` rules, and one for each of several things."""

    text: str
    soft: str
    faint: str
    paper: str
    several: tuple[str, ...]


Picture = Callable[["Figure", Colours], None]
COLOURS: dict[Theme, Colours] = {
    "light": Colours(
        "#1f2328",
        "#59636e",
        "#d1d9e0",
        "#ffffff",
        (
            "#0969da",
            "#cf222e",
            "#1a7f37",
            "#8250df",
            "#bc4c00",
            "#bf3989",
            "#0e7c86",
            "#7d6000",
            "#953800",
            "#6639ba",
            "#b35900",
        ),
    ),
    "dark": Colours(
        "#e6edf3",
        "#9198a1",
        "#3d444d",
        "#0d1117",
        (
            "#58a6ff",
            "#ff7b72",
            "#3fb950",
            "#bc8cff",
            "#f0883e",
            "#f778ba",
            "#39c5cf",
            "#d29922",
            "#ffb77c",
            "#d2a8ff",
            "#a5d6ff",
        ),
    ),
}
RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "backbones-deployed",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.dpi": 100,
}


def draw(picture: Picture, size: tuple[float, float], theme: Theme, kind: str = "svg") -> bytes:
    """The picture as a file's content.

    Args:
        picture: draws on an empty figure. size: inches, of 100 pixels.
        kind: ``svg`` or ``png``.

    Raises:
        Unavailable: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise not_installed("matplotlib", error) from error
    colours = COLOURS[theme]
    themed: Any = {
        **RC,
        "text.color": colours.text,
        "axes.labelcolor": colours.text,
        "axes.edgecolor": colours.soft,
        "xtick.color": colours.soft,
        "ytick.color": colours.soft,
        "grid.color": colours.faint,
        "axes.facecolor": "none",
    }
    with matplotlib.rc_context(themed):
        figure = Figure(figsize=size, facecolor="none" if kind == "svg" else colours.paper)
        FigureCanvasAgg(figure)  # measures text without a screen
        picture(figure, colours)
        content = io.BytesIO()
        figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()
