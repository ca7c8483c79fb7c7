"""``python -m bench.lab``: what a different resize changes: pixels, features, k-NN accuracy and time.

The network, the engine and the photographs are the same; only the resize differs. Pixels and features are compared
with Pillow's. k-NN accuracy is measured twice: with all images resized so, and with the queries alone (as with an index
that was built elsewhere).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.command import add_store, console, listed, new_parser
from export.errors import UserError
from export.progress import say

if TYPE_CHECKING:
    from bench.lab.measures import Report
    from bench.lab.variants import Variant
    from export.store import Store

MODELS = "efficientnet_lite0,mobilenetv2,resnet50_augnet"
AMPLIFIED = 8
"""What differences are multiplied by in the picture."""
EXAMPLES = """\
examples:
  python -m bench.lab
  python -m bench.lab --models vit_s --data ~/parts --photographs ~/camera
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.lab", "What a different resize changes: pixels, features, k-NN accuracy and time.", EXAMPLES)
    p.add_argument("--models", default=MODELS, metavar="A,B", help=f"zoo names with trained weights ({MODELS})")
    p.add_argument("--engine", metavar="NAME", help="name or name:provider (the demo's first engine)")
    p.add_argument(
        "--photographs", type=Path, metavar="DIR", help="photographs for pixels, features and time (published ones)"
    )
    p.add_argument(
        "--data", action="append", metavar="REF", help="labelled images for k-NN, or none (elpv); repeatable"
    )
    p.add_argument("--limit", type=int, default=1000, metavar="N", help="at most N images of each data set (1000)")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of subsets and splits (0)")
    p.add_argument("--picture", type=Path, metavar="FILE", help="photograph for the picture (the first)")
    p.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder for preprocessing.md and .png (results)",
    )
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the page and the picture."""
    args = parser().parse_args(argv)
    from bench.lab.page import page, picture
    from bench.lab.variants import variants
    from export.convert.photographs import photographs
    from export.picture import decode
    from export.store import Store, write_atomic

    store = Store(args.store)
    ways = variants(store)
    images = [decode(encoded) for encoded in photographs(store, args.photographs)]
    where = f"photographs of {args.photographs.name}" if args.photographs else "published ImageNet photographs"
    report = measure(args, store, ways, images, where)
    args.out.mkdir(parents=True, exist_ok=True)
    drawn = decode(args.picture.read_bytes()) if args.picture else images[0]
    picture(drawn, ways, AMPLIFIED).save(args.out / "preprocessing.png", optimize=True)
    write_atomic(args.out / "preprocessing.md", page(report, AMPLIFIED).encode())
    print(json.dumps(asdict(report), indent=1) if args.json else page(report, AMPLIFIED))
    print(f"{args.out / 'preprocessing.md'} and .png", file=sys.stderr)
    return 0


def measure(
    args: argparse.Namespace, store: Store, ways: Sequence[Variant], images: Sequence[Any], where: str
) -> Report:
    """All figures; a progress line on stderr for each step."""
    from bench.lab.measures import (
        BATCH,
        Accuracy,
        Features,
        Pixels,
        Report,
        of_accuracy,
        of_features,
        of_pixels,
    )
    from bench.measure.machine import processor
    from bench.sweep.spec import read
    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from export.lower.precision import artifact
    from export.zoo.backbones import resolve
    from tasks.data.catalog import open_dataset

    wanted = [] if args.data == ["none"] else args.data or ["elpv"]
    sets = [open_dataset(ref, store, seed=args.seed, limit=args.limit) for ref in wanted]
    runner = engine(EngineSpec.parse(args.engine or read().engines[0]))
    pixels: list[Pixels] = []
    features: list[Features] = []
    accuracies: list[Accuracy] = []
    for name in listed(args.models):
        backbone = resolve(name.strip())
        if backbone.untrained:
            raise UserError(f"{name} has random weights: its features mean nothing.")
        made = artifact(backbone, store)
        with runner.load(runner.plan(made, Profile((BATCH,)), store)) as session:
            if not pixels:
                say("  pixels and time")
                pixels = list(of_pixels(ways, images, made))
            say(f"  {backbone.name}: features of {len(images)} photographs")
            features += of_features(backbone.name, session, made, ways, images)
            for data in sets:
                accuracies += of_accuracy(backbone.name, session, made, ways, data)
    how = {
        "photographs": len(images),
        "where": where,
        "engine": str(runner.spec),
        "spec": made.preprocess.as_json(),
        "data": {data.name: len(data.samples) for data in sets},
        "machine": processor(),
        "date": time.strftime("%Y-%m-%d"),
        "command": _command(args),
    }
    return Report(how, pixels, features, accuracies)


def _command(args: argparse.Namespace) -> str:
    """The command again, with names where paths were given."""
    given = [f"--models {args.models}" * (args.models != MODELS), f"--engine {args.engine}" * bool(args.engine)]
    given += [f"--photographs {args.photographs.name}" if args.photographs else ""]
    given += [f"--data {Path(ref).name}" for ref in args.data or ()]
    given += [f"--limit {args.limit}"]
    return " ".join(["python -m bench.lab", *filter(None, given)])


cli = console(main)

if __name__ == "__main__":
    cli()
