"""Two backbones scored from nothing, beside timm in eager PyTorch, a DataLoader and scikit-learn doing the same."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.figures.figure import Figure, figure
from bench.figures.process import timed
from bench.records.record import ScoreRecord
from bench.records.results import Results
from bench.sweep.spec import SweepSpec, read
from export.progress import say
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.loaders import eager
from tasks.data.catalog import open_dataset

MODELS = ("efficientnet_lite0", "mobilenetv2")
PHOTOGRAPHS = 1500
FETCHED = ("packages", "archives", "members")
"""What lies in a store because it was downloaded; everything else was made."""
REPEATS = 3


@dataclass(frozen=True)
class Run:
    """Seconds of a process, and accuracy on test in percent by model and task."""

    seconds: float
    accuracy: dict[str, dict[str, float]]


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """For each engine of the demo in fp32: the ratio of times, and how far the accuracies are apart."""
    demo = read()
    tasks = demo.tasks[:2]
    plain, ours = [], {engine: list[Run]() for engine in demo.engines}
    open_dataset(demo.data[0], store, limit=PHOTOGRAPHS, seed=demo.seed)  # downloads what is missing
    for model in MODELS:
        eager(resolve(model), store)
    for repeat in range(REPEATS):
        say(f"scoring: repeat {repeat + 1} of {REPEATS}")
        plain.append(_plain(store, demo))
        for engine, runs in ours.items():
            runs.append(_ours(store, demo, engine))
    for engine, runs in ours.items():
        speed = [a.seconds / b.seconds for a, b in zip(plain, runs, strict=True)]
        how = (
            f"{' and '.join(MODELS)}, k-NN and linear probe, {PHOTOGRAPHS:,} photographs of {demo.data[0]}, "
            f"empty store; seconds: timm {', '.join(f'{r.seconds:.1f}' for r in plain)}; "
            f"ours {', '.join(f'{r.seconds:.1f}' for r in runs)}"
        )
        yield figure(f"Scoring, timm + DataLoader + scikit-learn / {engine} fp32", speed, "≥ 5", lambda v: v >= 5, how)
        apart = [
            abs(runs[0].accuracy[model][task] - plain[0].accuracy[model][task]) for model in MODELS for task in tasks
        ]
        yield figure(
            f"Accuracy, |timm − {engine} fp32|, points",
            apart,
            "≤ 0.34",
            lambda v: v <= 0.34,
            f"one test image of 300 is 0.33 points; {_listed(plain[0])} against {_listed(runs[0])}",
        )


def _plain(store: Store, demo: SweepSpec) -> Run:
    arguments = [str(store.root), demo.data[0], str(PHOTOGRAPHS), *MODELS]
    seconds, printed = timed("bench.figures.plain_timm", *arguments)
    accuracies = json.loads(printed).items()
    return Run(seconds, {model: dict(zip(demo.tasks[:2], values, strict=True)) for model, values in accuracies})


def _ours(store: Store, demo: SweepSpec, engine: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        empty, out = Path(folder, "store"), Path(folder, "out")
        for kind in FETCHED:
            if (store.root / kind).is_dir():
                shutil.copytree(store.root / kind, empty / kind)
        sweep = ["--models", ",".join(MODELS), "--engines", engine, "--precisions", "fp32", "--data", demo.data[0]]
        sweep += ["--limit", str(PHOTOGRAPHS), "--tasks", ",".join(demo.tasks[:2]), "--scenarios", "none"]
        seconds, _ = timed("bench.run", *sweep, "--store", str(empty), "--out", str(out))
        accuracy: dict[str, dict[str, float]] = {model: {} for model in MODELS}
        for record in Results.load(out).records:
            if isinstance(record, ScoreRecord) and record.main.value is not None:
                accuracy[record.cell.backbone][record.subject.task] = record.main.value
    return Run(seconds, accuracy)


def _listed(run: Run) -> str:
    return ", ".join(
        f"{model} {task} {value:.2f} %" for model, of in run.accuracy.items() for task, value in of.items()
    )
