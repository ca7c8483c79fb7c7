"""``bob ship``: write a cell as a folder that predicts without this project, and check such a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.verdict.choose import add_limits, add_options, add_results
from export.command import add_store, complete, console, listed, new_parser

EXAMPLES = """\
examples:
  bob ship --max latency_p50_ms=20                       the cell that bob pick names within that budget
  bob ship --cell 'mobilenetv2 ort int8' --to camera     another cell, to the folder camera
  bob ship --check camera                                in an environment with nothing but its requirements
  bob ship --engine trt-rtx --target 8.6,8.9             with a plan for these GPUs, built without one

The folder holds model.onnx (backbone and head), predict.py, labels, examples, a model card and SHA-256 sums.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob ship", "Write a cell with its head as a folder that predicts without this project; or check one.", EXAMPLES
    )
    add_results(p)
    add_options(p)
    add_limits(p)
    p.add_argument("--cell", metavar="WORDS", default="", help="this cell, instead of the pick: 'mobilenetv2 ort int8'")
    task = p.add_argument("--task", metavar="NAME", default="", help="the task whose head is shipped (the sweep's)")
    complete(task, "tasks.catalog:TASKS")
    p.add_argument("--to", type=Path, metavar="DIR", help="the new folder (shipped/BACKBONE-ENGINE-PRECISION)")
    p.add_argument(
        "--engine", metavar="NAME", default="", help="add the plan of another engine, as NAME or NAME:PROVIDER"
    )
    p.add_argument(
        "--target", metavar="DEVICES", default="", help="devices that this plan is built for (this machine's)"
    )
    p.add_argument("--check", type=Path, metavar="FOLDER", help="check a shipped folder instead, and run its self-test")
    add_store(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Ship or check; 0 when done."""
    args = parser().parse_args(argv)
    return _check(args.check) if args.check else _ship(args)


def _check(folder: Path) -> int:
    from bench.shipping.check import check

    found = check(folder)
    print(f"{folder}: files whole; self-test: {found.said}")
    print(f"{found.seconds:.0f} s in a new environment of {found.installed_mib:.0f} MiB")
    return 0


def _ship(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from bench.shipping import bundle
    from bench.shipping.card import card
    from bench.shipping.chosen import chosen, meant
    from bench.shipping.licences import restriction
    from bench.verdict.choose import limits_of, load, ranked
    from bench.verdict.picking import pick
    from engines.base import EngineSpec
    from engines.catalog import engine
    from export.progress import say
    from export.store import Store

    other = engine(replace(EngineSpec.parse(args.engine), targets=listed(args.target))) if args.engine else None
    results = load(args)
    ranking = ranked(args, results)
    row = meant(ranking, args.cell) if args.cell else pick(ranking, args.cost or "", limits_of(args)).row
    made = chosen(results, ranking, row, args.results, args.task, Store(args.store, say))
    planned, images = made.planned, made.images
    folder = args.to or Path("shipped", "-".join([planned.backbone.name, planned.engine.name, planned.cell.precision]))
    bundle.require_free(folder)
    say(f"shipping {made.name} with a head for {made.scorer.meta.name} on {images.name}")
    licence = planned.about().licence
    limits = [restriction(f"the weights of {planned.backbone.name}", licence)]
    limits += [restriction(f"the photographs of {images.name}", images.licence)] if images.licence else []
    limits = list(filter(None, limits))
    for text in limits:
        say(f"  {text}")
    cell = bundle.judged(made)
    part = folder.with_name(f".{folder.name}.part")
    bundle.clear(part)
    try:
        trial = bundle.write(made, cell, part)
        plans = [bundle.plans(cell, other, made, part).relative_to(part).as_posix()] if other else []
        (part / "MODEL_CARD.md").write_text(card(made, cell, trial, limits, plans), encoding="utf-8")
        bundle.seal(part)
        part.rename(folder)
    finally:
        bundle.clear(part)
    score, tested = cell.score.main, len(images.split("test"))
    print(f"{folder}: {score.name} {score.value:.2f} {score.unit} on {tested:,} test images")
    print(f"predict.py gives the plan's answer on {trial.equal} of {trial.images} test images")
    print(f"Check it in an environment of its own: bob ship --check {folder}")
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
