"""``python -m bench.lab``: what another way of resizing costs, in pixels, in features, in accuracy, in time.

Every way gives the same network, compiled by the same engine, other pixels of the same photographs. Pixel errors and
features are told against Pillow's; accuracy is k-NN's, once with all images resized so and once with the queries alone
(an index that was built elsewhere).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import UserError, run_cli

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from bench.lab.variants import Variant
    from engines.base import Session
    from export.artifact import Artifact
    from export.store import Store
    from tasks.data.base import DataSet

MODELS = "efficientnet_lite0,mobilenetv2,resnet50_augnet"
BATCH = 8
REPEATS = 5
AMPLIFIED = 8
"""What differences are multiplied by in the picture."""
EXAMPLES = """\
examples:
  python -m bench.lab
  python -m bench.lab --models vit_s --data ~/parts --photographs ~/camera
"""


@dataclass(frozen=True)
class Pixels:
    """How far a variant's pixels are from Pillow's, in 1/255, over all photographs; and milliseconds for one.

    ``differing`` is the share of values that are not equal, in percent.
    """

    variant: str
    what: str
    largest: int
    mean: float
    differing: float
    ms: float


@dataclass(frozen=True)
class Features:
    """What a network makes of it: cosines with the features of Pillow's pixels, photograph by photograph."""

    model: str
    variant: str
    least: float
    mean: float


@dataclass(frozen=True)
class Accuracy:
    """k-NN accuracy in percent, and its change from Pillow's in points: ``all`` images resized so, or ``queries``."""

    model: str
    data: str
    variant: str
    which: str
    accuracy: float
    change: float
    stderr: float
    low: float
    high: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Report:
    """All that was measured; ``how`` says on what."""

    how: dict[str, Any]
    pixels: list[Pixels]
    features: list[Features]
    accuracies: list[Accuracy]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.lab",
        description="What another way of resizing costs, in pixels, in features, in accuracy, in time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--models", default=MODELS, metavar="A,B", help=f"zoo names with trained weights ({MODELS})")
    p.add_argument("--engine", metavar="NAME", help="name or name:provider; by default the demo's first")
    p.add_argument(
        "--photographs", type=Path, metavar="DIR", help="for pixels, features and time; by default published ones"
    )
    p.add_argument("--data", action="append", metavar="REF", help="labelled images for k-NN; repeatable; elpv; 'none'")
    p.add_argument("--limit", type=int, default=1000, metavar="N", help="at most N images of each data set (1000)")
    p.add_argument("--seed", type=int, default=0, metavar="N")
    p.add_argument("--picture", type=Path, metavar="FILE", help="the photograph to draw; by default the first")
    p.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="preprocessing.md and .png (results)"
    )
    p.add_argument("--store", type=Path, metavar="DIR", help="built things; by default the user's cache folder")
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the page and the picture."""
    args = parser().parse_args(argv)
    from bench.lab.page import page, picture
    from bench.lab.variants import variants
    from export.convert.photographs import photographs
    from export.reference import decode
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
    """All figures, with a word on stderr for each step."""
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
    for name in args.models.split(","):
        backbone = resolve(name.strip())
        if backbone.untrained:
            raise UserError(f"{name} has random weights: what they make of pixels means nothing.")
        made = artifact(backbone, store)
        with runner.load(runner.plan(made, Profile((BATCH,)), store)) as session:
            if not pixels:
                _say("pixels and time")
                pixels = list(of_pixels(ways, images, made))
            _say(f"{backbone.name}: features of {len(images)} photographs")
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


def of_pixels(ways: Sequence[Variant], images: Sequence[Any], made: Artifact) -> Iterator[Pixels]:
    """Errors, and the median of interleaved repeats of the time."""
    import numpy as np

    from bench.lab.variants import pixels_of

    spec = made.preprocess
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(REPEATS):
        for way in ways:
            start = time.perf_counter()
            for image in images:
                way.resize(image, spec)
            seconds[way.name].append((time.perf_counter() - start) / len(images))
    wanted = pixels_of(ways[0], images, spec).astype(np.int16)
    for way in ways:
        off = np.abs(pixels_of(way, images, spec) - wanted)
        ms = float(np.median(seconds[way.name])) * 1000
        yield Pixels(way.name, way.what, int(off.max()), float(off.mean()), 100 * float((off > 0).mean()), ms)


def of_features(
    model: str, session: Session, made: Artifact, ways: Sequence[Variant], images: Sequence[Any]
) -> Iterator[Features]:
    """Cosines, photograph by photograph."""
    from bench.lab.variants import pixels_of

    wanted = None
    for way in ways:
        found = embed(session, pixels_of(way, images, made.preprocess))
        if wanted is None:
            wanted = found
            continue
        cosines = (found * wanted).sum(axis=1)
        yield Features(model, way.name, float(cosines.min()), float(cosines.mean()))


def of_accuracy(
    model: str, session: Session, made: Artifact, ways: Sequence[Variant], data: DataSet
) -> Iterator[Accuracy]:
    """k-NN by the protocol of the task ``knn``, and paired differences from Pillow's."""
    import numpy as np

    from bench.lab.variants import REFERENCE
    from export.reference import decode
    from tasks.scoring.neighbours import K, predict
    from tasks.scoring.resampling import paired_difference

    spec = made.preprocess
    parts = {name: data.split(name) for name in ("train", "test")}
    labels = {name: np.array([s.label for s in samples]) for name, samples in parts.items()}
    images = {name: [decode(data.read(s.id)) for s in samples] for name, samples in parts.items()}
    found: dict[str, dict[str, npt.NDArray[np.float32]]] = {}
    for way in ways:
        _say(f"{model}: k-NN on {data.name}, {way.name}")
        found[way.name] = {
            name: embed(session, np.stack([way.resize(image, spec) for image in images[name]])) for name in parts
        }

    def right(gallery: str, queries: str) -> npt.NDArray[np.float64]:
        k = min(K, len(labels["train"]))
        [predicted] = predict(found[gallery]["train"], labels["train"], found[queries]["test"], [k], len(data.classes))
        found_right: npt.NDArray[np.float64] = (predicted == labels["test"]).astype(np.float64)
        return found_right

    wanted = right(REFERENCE, REFERENCE)
    for way in ways:
        for which, gallery in (("all", way.name), ("queries", REFERENCE)):
            got = right(gallery, way.name)
            d = paired_difference(got, wanted)
            accuracy, change, error, low, high = (
                100 * float(value) for value in (got.mean(), d.value, d.stderr, d.low, d.high)
            )
            yield Accuracy(model, data.name, way.name, which, accuracy, change, error, low, high, len(got))


def embed(session: Session, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """L2-normalised features, float32 [n, d]."""
    import numpy as np

    from tasks.scoring.features import l2_normalized

    found = []
    for start in range(0, len(pixels), BATCH):
        part = pixels[start : start + BATCH]
        padded = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        found.append(session.run(padded)["features"][: len(part)])
    return l2_normalized(np.concatenate(found))


def _command(args: argparse.Namespace) -> str:
    """The command again, with names where paths were given."""
    given = [f"--models {args.models}" * (args.models != MODELS), f"--engine {args.engine}" * bool(args.engine)]
    given += [f"--photographs {args.photographs.name}" if args.photographs else ""]
    given += [f"--data {Path(ref).name}" for ref in args.data or ()]
    given += [f"--limit {args.limit}"]
    return " ".join(["python -m bench.lab", *filter(None, given)])


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def cli() -> None:
    """The command."""
    run_cli(main)


if __name__ == "__main__":
    cli()
