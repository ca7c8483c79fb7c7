"""The lab's report as a self-contained page, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.lab.measures import Accuracy, Report
from bench.lab.variants import REFERENCE, Variant
from export.picture import Image
from export.spec import PreprocessSpec

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


PICTURED = PreprocessSpec(224, 224, "bicubic", 0.875)
COLUMNS = 4
CAPTION = 18


def page(report: Report, amplified: int) -> str:
    """Markdown: what was found, then the tables, then how."""
    how = report.how
    models = list(dict.fromkeys(row.model for row in report.features))
    data = list(how["data"])
    lines = [
        "# Preprocessing lab",
        "",
        *_found(report),
        "",
        "![differences from Pillow](preprocessing.png)",
        "",
        f"*A photograph as Pillow resizes it, and the differences of the others from it, times {amplified}.*",
        "",
        "## Pixels and time",
        "",
        "| resized by | largest error | mean error | values that differ | ms | what it is |",
        "|---|---|---|---|---|---|",
        *(
            f"| {p.variant} | {p.largest}/255 | {p.mean:.3f}/255 | {p.differing:.1f} % | {p.ms:.2f} | {p.what} |"
            for p in report.pixels
        ),
        "",
        "## Features and accuracy",
        "",
        "Cosine: similarity to the features of Pillow's pixels, minimum (mean). k-NN: change of accuracy in points ± "
        "standard error, with *all* images resized so / with the *queries* alone; **bold**: significant (the 95 % "
        "interval excludes zero).",
        "",
        "| resized by |"
        + "".join(f" `{m}` cosine |" + "".join(f" `{m}` k-NN on {d}: all / queries |" for d in data) for m in models),
        "|---|" + "---|" * (len(models) * (1 + len(data))),
    ]
    for variant in (p.variant for p in report.pixels):
        cells = []
        for model in models:
            f = next((f for f in report.features if (f.model, f.variant) == (model, variant)), None)
            cells.append(f"{f.least:.4f} ({f.mean:.4f})" if f else "1 (1)")
            for name in data:
                both = [a for a in report.accuracies if (a.model, a.data, a.variant) == (model, name, variant)]
                cells.append(f"{both[0].accuracy:.1f} %" if variant == REFERENCE else " / ".join(map(_change, both)))
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    counts = "; ".join(f"{name}: {count} images" for name, count in how["data"].items())
    return "\n".join(
        [
            *lines,
            "",
            "## How",
            "",
            f"Pixels, cosines and time: {how['photographs']} {how['where']}, decoded before timing; ms: one photograph "
            f"on one thread of {how['machine']}, median of interleaved repeats. "
            f"The network is fp32 on `{how['engine']}`, which takes the pixels as 8 bits.",
            *([f"k-NN: {counts}, gallery train, queries test, k = 20."] if counts else []),
            f"Made by `{how['command']}` on {how['date']}.",
            "",
        ]
    )


def _found(report: Report) -> list[str]:
    """The first paragraph: what a team should know."""
    ours = [p for p in report.pixels if p.variant.startswith("ours")]
    exact = [p.variant for p in ours if p.largest == 0]
    worst = max(report.pixels, key=lambda p: p.mean)
    least = min(report.features, key=lambda f: f.least, default=None)
    clear = sorted((a for a in report.accuracies if a.clear), key=lambda a: a.change)
    said = [f"{' and '.join(exact)}: Pillow's pixels, bit for bit."] if exact else []
    said.append(f"The largest mean error is {worst.mean:.1f}/255, of {worst.variant}.")
    if least is not None:
        said.append(
            f"The lowest cosine of features is {least.least:.3f} ({least.model}, {least.variant}): "
            f"{'below' if least.least < 0.98 else 'within'} the parity bound for INT8 (0.98)."
        )
    if clear and clear[0].change < 0:
        a = clear[0]
        which = (
            "with all images resized so" if a.which == "all" else "with queries resized so and the gallery by Pillow"
        )
        said.append(
            f"The largest significant loss of k-NN accuracy is {a.change:.1f} ± {a.stderr:.1f} points "
            f"({a.model} on {a.data}, {a.variant}, {which})."
        )
    elif report.accuracies:
        said.append(
            f"No loss of k-NN accuracy is significant with {report.accuracies[0].n} test images; "
            f"the largest is {min(a.change for a in report.accuracies):.1f} points."
        )
    return [" ".join(said)]


def _change(a: Accuracy) -> str:
    text = f"{a.change:+.1f} ± {a.stderr:.1f}"
    return f"**{text}**" if a.clear else text


def picture(image: Image, ways: Sequence[Variant], amplified: int) -> PilImage:
    """Tiles with captions: the photograph as the first way resizes it, then each other's amplified difference."""
    from PIL import Image as Pil
    from PIL import ImageDraw

    wanted = ways[0].resize(image, PICTURED)
    tiles: list[tuple[str, Image]] = [(ways[0].name, wanted)]
    for way in ways[1:]:
        off = np.abs(way.resize(image, PICTURED).astype(np.int16) - wanted)
        tiles.append((f"{way.name}: largest {off.max()}/255", np.minimum(off * amplified, 255).astype(np.uint8)))
    height, width = PICTURED.height + CAPTION, PICTURED.width + 4
    sheet = Pil.new("RGB", (COLUMNS * width - 4, -(-len(tiles) // COLUMNS) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (caption, tile) in enumerate(tiles):
        x, y = number % COLUMNS * width, number // COLUMNS * height
        pen.text((x + 2, y + 3), caption, fill="black")
        sheet.paste(Pil.fromarray(tile), (x, y + CAPTION))
    return sheet
