"""``bob damage``: how deployment changed a backbone's features, image by image, compared with eager fp32.

Features come from the store where ``bench.run`` has left them; what is missing is extracted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.sweep.options import add
from export.command import add_store, console, new_parser

if TYPE_CHECKING:
    from bench.sweep.damage import Row
    from bench.sweep.head_damage import HeadRow

PRECISIONS = "fp32,bf16,int8"
EXAMPLES = """\
examples:
  bob damage --models mobilenetv2 --precisions int8
  bob damage --engines openvino --precisions fp32,bf16,int8 --data ~/photos
  bob damage --models mobilenetv2 --precisions int8 --data ~/street --tasks semantic_segmentation
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob damage",
        "How deployment changed a backbone's features, image by image, compared with eager fp32.",
        EXAMPLES,
    )
    add(p, "models", default="the demo's, without random weights")
    add(p, "engines", "data", default="the demo's")
    add(p, "precisions", default=PRECISIONS)
    add(p, "tasks", default="of masks or boxes: those whose heads are deployed")
    add(p, "size", "depth", "resize", "taps", "void", "limit")
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the rows as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, and print; 1 if a cell failed."""
    args = parser().parse_args(argv)
    from bench.sweep.assembly import assemble
    from bench.sweep.damage import Row, compared
    from bench.sweep.head_damage import HeadRow, compared_heads
    from bench.sweep.spec import read
    from bench.verdict.files import as_json
    from export.progress import say
    from export.store import Store
    from export.zoo.backbones import resolve

    demo = read()
    sweep = read(
        None,
        models=args.models or [m for m in demo.models if not resolve(m).untrained],
        engines=args.engines,
        precisions=args.precisions or PRECISIONS,
        data=args.data or demo.data,
        tasks=args.tasks,
        size=args.size,
        depth=args.depth,
        resize=args.resize,
        taps=args.taps,
        void=args.void,
        limit=args.limit,
        scenarios=(),
    )
    asked = assemble(sweep, Store(args.store, say))
    found = [
        row for images in asked.data for row in (compared_heads if images.targets else compared)(asked.cells, images)
    ]
    rows = [row for row in found if isinstance(row, Row)]
    of_heads = [row for row in found if isinstance(row, HeadRow)]
    if args.json:
        print(as_json([*rows, *of_heads]))
    else:
        print("\n\n".join(filter(None, (table(rows) if rows else "", table_of_heads(of_heads) if of_heads else ""))))
    return 0 if len(rows) + len(of_heads) == len(found) else 1


def table(rows: Sequence[Row]) -> str:
    """Markdown: one line a cell, then the warnings."""
    from bench.verdict import markdown

    heads = ["cell", "data", "k-NN, points", "flips %", "wrong / right %", "churn@10 %", "margin lost %"]
    heads += ["cosine, min (mean)", "worst class"]
    lines, warnings = [], []
    for row in rows:
        d = row.damage
        m = {metric.name: metric for metric in d.metrics}
        name, points, count = d.worst_class
        flips, churn, margin = (f"{m[n].value:.1f} ± {m[n].stderr:.1f}" for n in ("flips", "churn", "margin_lost"))
        lines.append(
            [
                row.cell,
                row.data,
                f"{d.accuracy.value:+.1f} ({d.accuracy.low:+.1f} … {d.accuracy.high:+.1f})",
                flips,
                f"{m['turned_wrong'].value:.1f} / {m['turned_right'].value:.1f}",
                churn,
                margin,
                f"{d.cosine_least:.4f} ({d.cosine_mean:.4f})",
                f"{name} {points:+.0f} (n {count})",
            ]
        )
        warnings += [f"{row.cell} on {row.data}: {text}" for text in d.warnings]
    return markdown.table(heads, lines, numbers=range(2, 8)) + markdown.bullets(warnings)


def table_of_heads(rows: Sequence[HeadRow]) -> str:
    """Markdown: one line a cell and head."""
    from bench.verdict import markdown

    heads = ["cell", "data", "task", "eager fp32", "change, points", "cosine, min (mean)", "image with the least"]
    lines = [
        [
            row.cell,
            row.data,
            row.task.replace("_", " "),
            f"{row.metric} {row.reference:.1f}",
            f"{row.change.value:+.1f} ({row.change.low:+.1f} … {row.change.high:+.1f})",
            f"{row.cosine_least:.4f} ({row.cosine_mean:.4f})",
            row.worst,
        ]
        for row in rows
    ]
    return markdown.table(heads, lines, numbers=range(3, 6))


cli = console(main)

if __name__ == "__main__":
    cli()
