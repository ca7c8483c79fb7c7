"""``python -m bench.figures`` (``make bench-self``): what this harness itself costs, as ratios taken side by side.

Each figure interleaves its two sides, repeats them, and prints medians with their spread. It is a report, never a
test: a noisy neighbour may spoil a ratio, and the reader can see it in the spread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.figures import tasks as task_figures
from bench.figures.figure import Figure, figure, photographs, ratios
from bench.sweep.spec import read
from export.errors import UserError, run_cli
from export.store import Store


def harness_overhead(store: Store, shared: Path) -> Iterator[Figure]:
    """p50 of the single_stream scenario against a bare loop over the same session."""
    from bench.measure.queries import Queries
    from bench.measure.scenarios import Settings, scenario

    for name in read().engines:
        session, path = _session(store, name, "efficientnet_lite0", (1,))
        encoded = photographs(store, shared)[:64]
        queries = Queries(np.stack([path(e) for e in encoded]), encoded)
        images = queries.batches(1)

        def harness(session: Any = session, path: Any = path, queries: Any = queries) -> float:
            series = scenario("single_stream").run(session, queries, Settings(3.0), path)["latency"]
            return median(series.samples)

        def bare(session: Any = session, images: Any = images) -> float:
            for image in images:
                session.run(image)
            times = []
            end = time.perf_counter() + 3.0
            i = 0
            while time.perf_counter() < end:
                start = time.perf_counter_ns()
                session.run(images[i % len(images)])
                times.append(time.perf_counter_ns() - start)
                i += 1
            return median(times)

        values = ratios(harness, bare, 7)
        session.close()
        yield figure(
            f"SingleStream p50, harness / bare loop ({name})",
            values,
            "≤ 1.02",
            lambda v: v <= 1.02,
            "EfficientNet-Lite0, batch 1, 64 photographs, 7 interleaved repeats of 3 s",
        )


def extraction(store: Store, shared: Path) -> Iterator[Figure]:
    """images/s of streamed extraction against the bound that the processor's time sets."""
    from bench.sweep.features import stream
    from engines.processor import cores
    from tasks.data.base import DataSet, Sample

    encoded = photographs(store, shared)
    names = {f"{i:05d}": e for i, e in enumerate(encoded)}
    samples = [Sample(n, 0, "test") for n in names]
    data = DataSet("photographs", samples, ("all",), "-", names.__getitem__)
    for name in read().engines:
        session, path = _session(store, name, "efficientnet_lite0", (1, 8), cores())
        pixels = np.stack([path(e) for e in encoded[:8]])
        stream(session, path, data, samples[:64], "features")

        def bound(session: Any = session, path: Any = path, pixels: Any = pixels) -> float:
            start = time.process_time()
            for e in encoded[:200]:
                path(e)
            prepare = (time.process_time() - start) / min(200, len(encoded))
            start = time.process_time()
            for _ in range(25):
                session.run(pixels)
            infer = (time.process_time() - start) / 200
            return cores() / (prepare + infer)

        def streamed(session: Any = session, path: Any = path) -> float:
            start = time.perf_counter()
            stream(session, path, data, samples, "features")
            return len(samples) / (time.perf_counter() - start)

        values = ratios(streamed, bound, 5)
        session.close()
        yield figure(
            f"Extraction from JPEG, images/s / bound ({name})",
            values,
            "≥ 0.90",
            lambda v: v >= 0.90,
            f"EfficientNet-Lite0, {len(samples)} JPEGs; bound = cores / (decode + preprocess + engine CPU seconds)",
        )


def preprocessing(store: Store, shared: Path) -> Iterator[Figure]:
    """Speed of our resize, crop and normalisation against timm's Pillow transform, on decoded images, one core."""
    import torch
    from PIL import Image

    from engines.preprocess.normalize import Normalizer
    from engines.preprocess.resize import resize
    from export.reference import decode
    from export.torchvision_ops import import_timm

    timm = import_timm()
    torch.set_num_threads(1)
    from export.spec import PreprocessSpec

    images = [decode(e) for e in photographs(store, shared)[:200]]
    pillow = [Image.fromarray(i) for i in images]
    for interpolation in ("bicubic", "bilinear"):
        spec = PreprocessSpec(224, 224, interpolation, 0.875)
        normalize = Normalizer(spec)
        theirs = timm.data.create_transform(
            (3, 224, 224), interpolation=interpolation, mean=spec.mean, std=spec.std, crop_pct=spec.crop_pct
        )

        def slow(theirs: Any = theirs) -> float:
            start = time.perf_counter()
            for image in pillow:
                theirs(image)
            return time.perf_counter() - start

        def fast(spec: Any = spec, normalize: Any = normalize) -> float:
            start = time.perf_counter()
            for image in images:
                normalize(resize(image, spec)[None])
            return time.perf_counter() - start

        yield figure(
            f"Preprocessing, timm's Pillow transform / ours ({interpolation})",
            ratios(slow, fast, 7),
            "≥ 2.5",
            lambda v: v >= 2.5,
            f"{len(images)} decoded photographs to 224x224, resize + crop + normalise, one thread",
        )


def start_up(store: Store, shared: Path) -> Iterator[Figure]:
    """Seconds of ``--help``, and of a finished sweep that is asked for again."""

    def seconds(*command: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
        return time.perf_counter() - start

    values = [seconds("bench.run", "--help") for _ in range(9)]
    yield figure("python -m bench.run --help, s", values, "< 0.4", lambda v: v < 0.4, "9 starts")
    with tempfile.TemporaryDirectory() as folder:
        again = ("bench.run", "--out", folder, "--store", str(store.root))
        first = seconds(*again)
        values = [seconds(*again) for _ in range(3)]
    yield figure(
        "A finished sweep again, s", values, "< 5", lambda v: v < 5, f"the demo sweep, {first:.0f} s the first time"
    )


def top1(store: Store, shared: Path) -> Iterator[Figure]:
    """Top-1 of EfficientNet-Lite with its own head through every engine, and of timm's transform with eager PyTorch."""
    from bench.figures.top1 import WANTED, accuracies

    archive = shared / "data" / "imagenet1k.tar"
    if not archive.exists():
        print("top1: left out, there is no data/imagenet1k.tar in the shared folder", file=sys.stderr)
        return
    for model, wanted in WANTED.items():
        for engine, value in accuracies(store, archive, model):
            yield figure(
                f"Top-1 of {model}, {engine}, %",
                [value],
                f"{wanted} ± 0.5",
                lambda v, wanted=wanted: abs(v - wanted) <= 0.5,  # type: ignore[misc]
                "own head, 1,000 ImageNet photographs, our preprocessing, the engine's own output",
            )


def corruption(store: Store, shared: Path) -> Iterator[Figure]:
    """Extraction of harmed images over that of the same images unharmed, all fifteen corruptions at five severities."""
    from bench.figures.corruption import EACH, measure
    from engines.processor import cores

    encoded = photographs(store, shared)
    for model in ("resnet50_augnet", "efficientnet_lite0"):
        for name in read().engines:
            session, path = _session(store, name, model, (1, 8), cores())
            found = measure(session, path, encoded)
            session.close()
            slowest = sorted(found.ratios.items(), key=lambda item: -item[1])
            yield Figure(
                f"Extraction, harmed / unharmed, all 75 settings ({model}, {name})",
                found.ratio,
                (slowest[-1][1], slowest[0][1]),
                "≤ 1.3",
                found.ratio <= 1.3,
                f"{EACH} photographs for each setting, interleaved; the range is over corruptions, by name: "
                + ", ".join(f"{one} {value:.2f}" for one, value in slowest),
            )


WANTED_SPEED = {"resnet50_augnet": {"int8": 3.0, "bf16": 1.6}, "vit_s@random": {"int8": 2.2, "bf16": 1.6}}
WANTED_COSINE = {"resnet50_augnet": 0.99, "vit_s@random": 0.98}


def precision(store: Store, shared: Path) -> Iterator[Figure]:
    """images/s of bf16 and int8 over the best fp32 engine, and the cosine of int8's features on every engine."""
    from bench.figures.precision import best, race
    from export.spec import Precision

    for model, wanted in WANTED_SPEED.items():
        runners = race(store, model, photographs(store, shared))
        fp32 = best(runners, Precision.FP32)
        for runner in runners:
            name = f"{runner.engine} {runner.precision}" + (" (emulated)" if runner.emulated else "")
            how = f"batch 8, {median(runner.images_per_s):.1f} images/s; cosine mean {runner.cosine_mean:.4f}"
            ratio = [a / b for a, b in zip(runner.images_per_s, fp32, strict=True)]
            target = wanted.get(str(runner.precision), 0.0)
            fastest = runner.images_per_s == best(runners, runner.precision)
            yield figure(
                f"{model}: {name} / best fp32, images/s",
                ratio,
                f"≥ {target:g}" if target and fastest else "–",
                lambda v, t=target if fastest else 0.0: v >= t,  # type: ignore[misc]
                how,
            )
            if runner.precision is Precision.INT8:
                least = WANTED_COSINE[model]
                yield figure(
                    f"{model}: {name}, least cosine of the features to fp32",
                    [runner.cosine_min],
                    f"≥ {least}",
                    lambda v, t=least: v >= t,  # type: ignore[misc]
                    "64 photographs on which nothing was calibrated or chosen",
                )


def _session(store: Store, name: str, model: str, batches: tuple[int, ...], streams: int = 1) -> tuple[Any, Any]:
    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from engines.preprocess.catalog import preprocess
    from export.lower.precision import artifact
    from export.zoo.backbones import resolve

    made = artifact(resolve(model), store)
    runner = engine(replace(EngineSpec.parse(name), streams=streams))
    session = runner.load(runner.plan(made, Profile(batches), store))
    return session, preprocess("cpu", made.preprocess, store)


FIGURES: dict[str, Callable[[Store, Path], Iterator[Figure]]] = {
    "harness": harness_overhead,
    "extraction": extraction,
    "corruption": corruption,
    "preprocessing": preprocessing,
    "probe": task_figures.probe_sweep,
    "neighbours": task_figures.neighbours,
    "start": start_up,
    "bootstrap": task_figures.bootstrap,
    "top1": top1,
    "precision": precision,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m bench.figures", description=(__doc__ or "").splitlines()[0])
    p.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(FIGURES)} (all)")
    p.add_argument("--store", type=Path, help="built things; by default the user's cache folder")
    p.add_argument("--shared", type=Path, default=Path("../shared"), help="folder that may hold data/imagenet1k.tar")
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the named figures, or all; 0 where all were reached."""
    args = parser().parse_args(argv)
    for name in args.names:
        if name not in FIGURES:
            raise UserError(f"No figure {name!r}.", f"Available: {', '.join(FIGURES)}.")
    store = Store(args.store)
    found = []
    for name in args.names or FIGURES:
        for one in FIGURES[name](store, args.shared):
            found.append(one)
            mark = "reached" if one.reached else "NOT reached"
            line = (
                f"{one.name}: {one.value:.3f} ({one.spread[0]:.3f} … {one.spread[1]:.3f}), wanted {one.target}: {mark}"
            )
            print(line if not args.json else "", file=sys.stdout if not args.json else sys.stderr, flush=True)
            if not args.json:
                print(f"    {one.how}", flush=True)
    if args.json:
        print(json.dumps([asdict(f) for f in found], indent=1))
    return 0 if all(f.reached for f in found) else 1


if __name__ == "__main__":
    run_cli(main)
