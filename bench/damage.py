"""``python -m bench.damage``: what deployment did to a backbone, image by image, against eager fp32.

Features come from the store where ``bench.run`` has left them; what is missing is extracted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import UserError, run_cli

if TYPE_CHECKING:
    from bench.sweep.cells import Planned
    from tasks.base import Splits
    from tasks.data.base import DataSet
    from tasks.scoring.damage import Damage

EXAMPLES = """\
examples:
  python -m bench.damage --models mobilenetv2 --precision int8
  python -m bench.damage --engine openvino --precision fp32,bf16,int8 --data ~/photos
"""


@dataclass(frozen=True)
class Row:
    """One deployed cell on one data set."""

    cell: str
    data: str
    damage: Damage


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.damage",
        description="What deployment did to a backbone, image by image, against eager fp32.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--models", "--model", metavar="A,B", help="by default the demo's, without the untrained")
    p.add_argument("--engine", "--engines", metavar="A,B", help="name or name:provider; by default the demo's")
    p.add_argument("--precision", default="fp32,bf16,int8", metavar="A,B", help="fp32,bf16,int8")
    p.add_argument("--data", action="append", metavar="REF", help="a data set; repeatable; by default the demo's")
    p.add_argument("--limit", type=int, metavar="N", help="at most N images of each data set")
    p.add_argument("--store", type=Path, metavar="DIR", help="built things; by default the user's cache folder")
    p.add_argument("--json", action="store_true", help="print the rows as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, and print; 1 if a cell failed."""
    args = parser().parse_args(argv)
    from bench.sweep.cells import calibrated, expand
    from bench.sweep.spec import read
    from export.progress import say
    from export.store import Store
    from export.zoo.backbones import resolve
    from tasks.data.catalog import open_dataset

    def listed(text: str | None) -> tuple[str, ...] | None:
        return tuple(part.strip() for part in text.split(",")) if text else None

    demo = read()
    models = listed(args.models) or tuple(m for m in demo.models if not resolve(m).untrained)
    sweep = read(
        None,
        models=models,
        engines=listed(args.engine) or demo.engines,
        precisions=listed(args.precision),
        data=tuple(args.data) if args.data else demo.data,
        limit=args.limit,
        scenarios=(),
    )
    store = Store(args.store, say)
    sets = [open_dataset(ref, store, limit=sweep.limit, seed=sweep.seed) for ref in sweep.data]
    cells = calibrated(expand(sweep, store), sets[0])
    rows, good = [], True
    for images in sets:
        for row in compared(cells, images):
            if isinstance(row, Row):
                rows.append(row)
            else:
                good = False
                say(row)
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print(table(rows))
    return 0 if good else 1


def compared(cells: Sequence[Planned], images: DataSet) -> Iterator[Row | str]:
    """A row for each cell, or why there is none."""
    from export.progress import say
    from tasks.scoring.damage import damage

    references: dict[str, Splits] = {}
    for planned in cells:
        if not planned.availability.ok:
            say(f"{planned.cell}: skipped: {planned.availability.reason}")
            continue
        if planned.unscored:
            say(f"{planned.cell}: skipped: {planned.unscored}")
            continue
        try:
            name = planned.backbone.name
            if name not in references:
                references[name] = _features(reference_of(planned), images)
            yield Row(str(planned.cell), images.name, damage(references[name], _features(planned, images)))
        except UserError as error:
            yield f"{planned.cell}: failed: {error}"


def reference_of(planned: Planned) -> Planned:
    """The same backbone in eager fp32."""
    from engines.base import EngineSpec
    from engines.catalog import REFERENCE, engine
    from export.spec import Precision

    eager = engine(EngineSpec(REFERENCE, threads=planned.sweep.threads))
    return replace(planned, engine=eager, availability=eager.require(), precision=Precision.FP32, calibration=None)


def _features(planned: Planned, images: DataSet) -> Splits:
    from bench.sweep.pipeline import extracted, split

    artifact = planned.artifact()
    plan = planned.throughput.plan(artifact, planned.profile, planned.store)
    vectors, _ = extracted(planned, artifact, plan, images)
    return split(vectors, images)


def table(rows: Sequence[Row]) -> str:
    """Markdown: one line a cell, and below it what a mean hides."""
    lines = [
        "| cell | data | k-NN, points | flips % | wrong / right % | churn@10 % | margin lost % | cosine, least (mean) "
        "| worst class |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    warnings = []
    for row in rows:
        d = row.damage
        m = {metric.name: metric for metric in d.metrics}
        name, points, count = d.worst_class
        flips, churn, margin = (f"{m[n].value:.1f} ± {m[n].stderr:.1f}" for n in ("flips", "churn", "margin_lost"))
        lines.append(
            f"| {row.cell} | {row.data} | {d.accuracy.value:+.1f} ({d.accuracy.low:+.1f} … {d.accuracy.high:+.1f}) | "
            f"{flips} | {m['turned_wrong'].value:.1f} / {m['turned_right'].value:.1f} | {churn} | {margin} | "
            f"{d.cosine_least:.4f} ({d.cosine_mean:.4f}) | {name} {points:+.0f} (n {count}) |"
        )
        warnings += [f"- {row.cell} on {row.data}: {text}" for text in d.warnings]
    return "\n".join([*lines, *([""] if warnings else []), *warnings])


def cli() -> None:
    """The command."""
    run_cli(main)


if __name__ == "__main__":
    cli()
