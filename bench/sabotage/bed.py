"""What traps are injected into: a real sweep of a small network over drawn photographs, in a store of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.measure import queries, rounds
from bench.measure.machine import environment
from bench.measure.monitor import Monitor
from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import scenario
from bench.measure.worker import Job, Outcome, work
from bench.records.parts import SCENARIOS, Failure
from bench.records.record import ScoreRecord, TimingRecord
from bench.records.results import Results
from bench.sweep import gate, pipeline, rotation
from bench.sweep.assembly import Assembly, assemble
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.spec import SweepSpec
from bench.verdict.row import Row
from bench.verdict.table import rows
from engines.base import EngineSpec, Outputs, Pixels, Placement, Plan, Session
from engines.catalog import BASELINE, engine
from engines.ort.engine import OrtEngine
from engines.preprocess.base import Preprocess
from export.spec import Metric
from export.store import Store
from tasks.data.base import DataSet

NAME = "test_vit.r160_in1k"
"""timm's small vision transformer, made for tests: it has every kind of layer that a large one has."""
CLASSES, EACH = 3, 22
STREAM = SCENARIOS[0]
ENGINE, NOTHING = f"{OrtEngine.name}:cpu", f"{BASELINE}:cpu"
"""The engine of the small network's cell, and the one that does nothing."""
Hook = Callable[[Session, Pixels], Outputs]
"""Runs pixels on the true session, and does something wrong with it."""


class Bed:
    """Made once for all traps; a trap that damages the store takes a :meth:`copy`.

    Args:
        folder: an empty one. store: the user's, for the photographs that parity is judged on.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._users = folder, store
        self._sweeps = 0
        shelf = folder / "store" / "packages"
        shelf.parent.mkdir(parents=True)
        (store.root / "packages").mkdir(parents=True, exist_ok=True)
        shelf.symlink_to(store.root / "packages", target_is_directory=True)
        self.store = Store(folder / "store", lambda line: None)

    @cached_property
    def photos(self) -> Path:
        """A data set of class folders: noisy pictures whose colour tells the class, most of the time."""
        return draw(self.folder / "photographs")

    @cached_property
    def weights(self) -> str:
        """A checkpoint, so that the network counts as trained and is scored."""
        import torch

        from export.torchvision_ops import import_timm

        file = self.folder / "weights.pth"
        with torch.random.fork_rng():
            torch.manual_seed(3)
            torch.save(import_timm().create_model(NAME.partition(".")[0], num_classes=0).state_dict(), file)
        return str(file)

    def spec(self, **fields: Any) -> SweepSpec:
        """The sweep, with other fields where they are given."""
        asked: dict[str, Any] = {"data": (str(self.photos),), "tasks": (), "scenarios": (), "batches": (1, 4)}
        asked |= {"models": (NAME,), "engines": (OrtEngine.name,), "threads": 1, "seconds": 0.05, "repeats": 2} | fields
        return SweepSpec(**{"weights": {NAME: self.weights} if NAME in asked["models"] else {}, **asked})

    def assembly(self, store: Store | None = None, **fields: Any) -> Assembly:
        """The sweep's cells and data."""
        return assemble(self.spec(**fields), store or self.store)

    @cached_property
    def _whole(self) -> Assembly:
        return self.assembly()

    @property
    def cell(self) -> Planned:
        """The small network on ONNX Runtime, in fp32."""
        return self._whole.cells[0]

    @property
    def images(self) -> DataSet:
        return self._whole.data[0]

    @cached_property
    def plan(self) -> Plan:
        """The cell's."""
        return self.cell.plan()

    @property
    def path(self) -> Preprocess:
        """The cell's preprocessing path."""
        return self.cell.path(self.plan.artifact)

    @cached_property
    def queries(self) -> Queries:
        """The images that a timing rotates through."""
        return queries.load(rotation.prepare(self.images, self.path, 0, self.store))

    def session(self, hook: Hook | None = None, name: str = OrtEngine.name) -> Session:
        """An open session of the cell's file on an engine; with a hook around its runs."""
        runner = engine(EngineSpec(name, threads=1))
        true = runner.load(runner.plan(self.plan.artifact, self.plan.profile, self.store))
        return Hooked(true, hook) if hook else true

    def timed(self, session: Session, settings: Settings, name: str = STREAM) -> dict[str, Metric]:
        """A session in a scenario, in this process; the metrics by name."""
        ran = scenario(name)
        series = ran.run(Setup(session, self.queries, settings, self.path))
        return {m.name: m for m in ran.metrics([series], settings)}

    def sweep(self, measure: Callable[[Job], Outcome] | None = None, store: Store | None = None, **fields: Any) -> Run:
        """Run a whole sweep into a new folder.

        Args:
            measure: stands for the child process that measures a job (see :func:`inside`).
        """
        self._sweeps += 1
        desk = Desk(self.folder / f"results-{self._sweeps}", environment())
        with replaced(rounds, "run", measure or vars(rounds)["run"]):
            pipeline.run(self.assembly(store, **fields), desk)
        return Run(Results.load(desk.folder))

    def copy(self, name: str) -> Store:
        """A copy of the store, to be damaged; what was compared once is compared again."""
        shutil.copytree(self.store.root, self.folder / name, symlinks=True)
        shutil.rmtree(self.folder / name / gate.KIND, ignore_errors=True)
        return Store(self.folder / name, lambda line: None)

    def root(self, files: dict[str, str], name: str) -> Path:
        """A folder that looks like a system's ``/``, with these files below it."""
        folder = self.folder / "roots" / name
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        return folder


class Run:
    """What a sweep left."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @cached_property
    def rows(self) -> list[Row]:
        return rows(self.results)[0]

    @property
    def notes(self) -> list[str]:
        return rows(self.results)[1]

    def row(self, engine: str = ENGINE) -> Row:
        """Of the cell on that engine."""
        return next(row for row in self.rows if row.cell.engine == engine)

    def timing(self, engine: str = ENGINE, scenario: str = STREAM) -> TimingRecord:
        """The record of one scenario, whatever came of it."""
        return next(
            r
            for r in self.results.records
            if isinstance(r, TimingRecord) and r.cell.engine == engine and r.subject.scenario == scenario
        )

    def score(self, engine: str = ENGINE) -> ScoreRecord:
        """The first score of the cell on that engine."""
        return next(r for r in self.results.records if isinstance(r, ScoreRecord) and r.cell.engine == engine)


class Hooked(Session):
    """A session that something is done to."""

    def __init__(self, true: Session, hook: Hook) -> None:
        super().__init__(true.plan)
        self._true, self._hook = true, hook

    def _run(self, pixels: Pixels) -> Outputs:
        return self._hook(self._true, pixels)

    def _placement(self) -> Placement:
        return self._true.placement()

    def _close(self) -> None:
        self._true.close()


def inside(root: Path = Path("/")) -> Callable[[Job], Outcome]:
    """Measures a job in this process, where a trap can reach it, as a child would; ``root``: of the machine's state."""

    def measure(job: Job) -> Outcome:
        import os

        with Monitor(os.getpid(), interval=0.05, root=root) as monitor:
            try:
                outcome = work(job)
            except Exception as error:
                return Outcome(failure=Failure.of(error))
        return replace(outcome, monitoring={name: monitor.windows(series) for name, series in outcome.series.items()})

    return measure


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of a module or class is another for a while."""
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def draw(folder: Path, seed: int = 0, classes: int = CLASSES, each: int = EACH) -> Path:
    """``folder/class0/00.jpg`` …, the same ones for a seed; returns the folder."""
    noise = np.random.default_rng(seed)
    for c in range(classes):
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(each):
            pixels = noise.integers(0, 120, (360, 380, 3), dtype=np.uint8)
            pixels[..., (c if noise.random() < 0.8 else c + 1) % 3] += 100
            Image.fromarray(pixels).save(folder / f"class{c}" / f"{i:02d}.jpg", quality=90)
    return folder
