"""Writing the folder: the network, what its input is, the program that runs it, photographs to try it on, the card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.shipping import predict_source
from bench.shipping.chosen import Chosen
from bench.shipping.trial import Trial, tried
from bench.sweep.scoring import Scoring
from engines.base import Engine, Plan, Profile
from export.artifact import ONNX, copy_files
from export.errors import CellError, UserError
from export.parity import Parity
from export.store import sha256_file
from tasks.base import Batchwise, Fitted, Score
from tasks.data.base import Sample

EXAMPLES = 16
"""Photographs that come with the folder."""
TRIED = 1000
"""Test photographs that the program is tried on, at most, spread evenly over the test split."""
SUMS = "SHA256SUMS"
"""Of every other file, as ``sha256sum`` writes and checks them."""
READ_AS = {"shapes": "boxes"}
"""Kind of targets → the function of the program that reads what the network found; else it has the kind's name."""
PLANS = "plans"
LEAST_COSINE = 0.99
"""Of what the program and the plan give: they read and resize with other libraries, whose pixels differ by rounding."""
FORMATS = {
    b"\xff\xd8": ".jpg",
    b"\x89P": ".png",
    b"GI": ".gif",
    b"RI": ".webp",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
}


@dataclass(frozen=True)
class Judged:
    """The deployed cell as it is now.

    Attributes:
        plan: of backbone and head. parity: its closeness to eager PyTorch through the head.
        test: what it emits for the test split, and what is right.
    """

    plan: Plan
    fit: Fitted
    test: Batchwise
    score: Score
    parity: Parity | None
    compared: tuple[str, ...]


def judged(chosen: Chosen) -> Judged:
    """Fit, join, compile and judge what is not in the store.

    Raises:
        CellError: backbone and head do not become one network; or the head lost parity with eager PyTorch.
    """
    planned, images, scorer = chosen.planned, chosen.images, chosen.scorer
    if len(images.split("test")) != len({images.source(sample) for sample in images.split("test")}):
        raise CellError("Pictures that are cut into windows cannot be shipped.", "The program takes whole pictures.")
    with Scoring(planned, [(images, scorer)]) as scoring:
        scoring.open()
        fit = scoring.fitted(images, scorer)
        found = scoring.judged(images, scorer, fit)
        outputs = {name: rows[:] for name, rows in found.test.outputs.items()}
        test = Batchwise(outputs, found.test.targets, found.test.spec)
        score = scorer.judge(fit, test)
    plan = found.plan
    if found.parity and not found.parity.passed:
        raise CellError("Backbone and head fail parity with eager PyTorch.", str(found.parity))
    return Judged(plan, fit, test, score, found.parity, plan.artifact.compared)


def write(chosen: Chosen, cell: Judged, folder: Path) -> Trial:
    """Write everything but the card and the sums, and try the program on test photographs.

    Raises:
        CellError: the engine has no program to ship, or its program gives something else than the plan.
    """
    artifact, images, scorer = cell.plan.artifact, chosen.images, chosen.scorer
    alone = chosen.planned.engine.standalone(cell.plan)
    folder.mkdir(parents=True)
    copy_files(artifact.onnx, folder / ONNX)
    shutil.copyfile(alone.source, folder / "network.py")
    shutil.copyfile(predict_source(), folder / "predict.py")
    spec: dict[str, Any] = {
        "kind": READ_AS.get(scorer.meta.kind, scorer.meta.kind),
        "input": artifact.input,
        **artifact.preprocess.as_json(),
    }
    _json(folder / "preprocess.json", {**spec, "options": dict(alone.options)})
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in _labels(chosen, cell.fit)), encoding="utf-8")
    pins = [f"{name}=={version(name)}" for name in sorted((*alone.packages, "numpy", "pillow"))]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    samples = images.split("test")
    rows = _spread(len(samples), TRIED)
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        files = [Path(place, _example(chosen, samples[row], number, Path(place))) for number, row in enumerate(rows)]
        trial = tried(folder, files, cell.test, rows, cell.compared[0])
    if trial.cosine < LEAST_COSINE:
        raise CellError("The folder's program does not give what the plan gave.", f"Least cosine: {trial.cosine:.4f}.")
    shown = enumerate(_spread(len(rows), EXAMPLES), 1)
    said = {_example(chosen, samples[rows[at]], n, folder / "examples"): trial.said[at] for n, at in shown}
    _json(folder / "expected.json", said)
    return trial


def plans(cell: Judged, runner: Engine, chosen: Chosen, folder: Path) -> Path:
    """Write the plan of another engine, for the devices that it names: built here, run nowhere.

    Raises:
        CellError, Unavailable: it cannot build the network, or not here.
    """
    plan = runner.plan(cell.plan.artifact, Profile((1,)), chosen.planned.store)
    place = folder / PLANS / "-".join([str(runner.spec).replace(":", "-"), *runner.spec.targets])
    shutil.copytree(plan.path, place)
    return place


def seal(folder: Path) -> None:
    """Write the sums of all files."""
    lines = [f"{digest}  {name}\n" for name, digest in sums(folder).items()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the sums' own, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files if path.name != SUMS}


def clear(folder: Path) -> None:
    """Remove a folder that is half written, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def require_free(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        UserError: it does.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already.", "Nothing is overwritten.", "another folder with --to DIR")


def _labels(chosen: Chosen, fit: Fitted) -> Sequence[str]:
    """What the network's classes are called, in the order of its outputs."""
    classes = chosen.images.classes
    if chosen.scorer.meta.kind == "labels":
        classes = tuple(classes[label] for label in fit.arrays["present"])
    for name in classes:
        if "\n" in name:
            raise CellError(f"The class {name!r} has a line break in its name.", "labels.txt has one line a class.")
    return classes


def _spread(count: int, wanted: int) -> list[int]:
    """Rows spread evenly over a split, at most ``wanted``."""
    return [int(row) for row in np.unique(np.linspace(0, count - 1, min(count, wanted)).round())]


def _example(chosen: Chosen, sample: Sample, number: int, folder: Path) -> str:
    """Write a photograph as it is stored; its file name."""
    content = chosen.images.read(sample.id)
    folder.mkdir(exist_ok=True)
    name = f"{number:04d}{FORMATS.get(content[:2], '.img')}"
    (folder / name).write_bytes(content)
    return name


def _json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
