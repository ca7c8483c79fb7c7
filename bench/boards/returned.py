"""A cell of a sweep that ran on a board: its keys are the board's, and nothing of it runs here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from bench.boards.kit import Kit, Network
from bench.boards.results import Built, Came, Results
from bench.measure.scenarios.base import Scenario
from bench.records.parts import Cell, Keys
from bench.sweep.cells import Planned
from bench.sweep.features import FILE, KIND, SHARD
from bench.sweep.keys import shard_key
from bench.sweep.pipeline import Skip
from bench.sweep.rows import ShardedRows
from bench.sweep.scoring import Judged, Scoring
from bench.sweep.view import targets
from engines.base import Engine, EngineSpec, Plan, Session
from engines.catalog import REFERENCE, engine
from export.artifact import Artifact
from export.errors import CellError, UserError
from export.spec import Precision
from tasks.base import Batchwise, Fitted, Task
from tasks.data.base import DataSet


class Elsewhere:
    """An engine that ran on a board: named here, it opens no session, so that nothing computed here counts for it."""

    def __init__(self, of: Engine) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def load(self, plan: Plan) -> Session:
        """Refuse.

        Raises:
            CellError: always.
        """
        raise CellError("The board did not bring what this result needs.", "", "run the kit on the board again")


@dataclass(frozen=True)
class Returned(Planned):
    """One cell, and what the board brought of it.

    Attributes:
        kit: that it was packed in.
        came: (task whose head it has, digest of the data), both empty for the backbone alone → the network, and what
            came of it.
        timed_by: identity of the preprocessing path that end-to-end timings were taken with.
    """

    kit: Kit = field(default_factory=lambda: cast(Kit, None))
    came: Mapping[tuple[str, str], tuple[Network, Came]] = field(default_factory=dict)
    timed_by: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def cell(self) -> Cell:
        cell = super().cell
        threads = [came.built.threads for _, came in self.came.values() if came.built]
        return replace(cell, threads=threads[0]) if threads else cell

    @property
    def origin(self) -> Planned:
        """The cell here, on whose outputs the deployed heads were fitted."""
        values = {one.name: getattr(self, one.name) for one in fields(Planned)}
        own = Planned(**{**values, "engine": self.first or engine(EngineSpec(REFERENCE))})
        return own if self.finished else replace(own, precision=Precision.FP32)

    @property
    def throughput(self) -> Engine:
        return self.engine

    @property
    def preprocess(self) -> dict[str, Any]:
        return self.kit.pixels_by

    @property
    def onnx_key(self) -> str:
        return self.network().onnx_key

    @property
    def plan_key(self) -> str:
        return self._built(self.network()).plan_key

    def owed(self, data: Sequence[DataSet]) -> list[tuple[DataSet, Task]]:
        """What the board has come to, and what is never scored."""
        return [(i, s) for i, s in super().owed(data) if self.unscored(s) or not self._waits(self._place(i, s))]

    def keys(self, plan: Plan) -> Keys:
        """As of any cell; without the backbone's own plan, where the board has none but that with a head."""
        _, alone = self.came["", ""]
        own = alone.built.plan_key if alone.built else ""
        return Keys(self.onnx_key, own, plan_content=plan.content)

    def joint_onnx_key(self, images: DataSet, scorer: Task) -> str:
        return self.network(scorer.meta.name, images.digest).onnx_key

    def joint_plan_key(self, images: DataSet, scorer: Task) -> str:
        return self._built(self.network(scorer.meta.name, images.digest)).plan_key

    def artifact(self) -> Artifact:
        return self._file(self.network())

    def plan(self, runner: Engine | None = None) -> Plan:
        return self.plan_of(self.network())

    def network(self, task: str = "", data: str = "") -> Network:
        """The network of the kit: the backbone alone, or with the head of a task that was fitted on that data.

        Raises:
            Skip: the kit does not hold it.
        """
        if (task, data) not in self.came:
            raise Skip("The kit does not hold this.", "It could not be made when the kit was packed.")
        return self.came[task, data][0]

    def fit_key(self, images: DataSet, scorer: Task) -> str:
        """As of any cell.

        Raises:
            CellError: a head would be fitted otherwise now than the one that the board ran.
        """
        key, own = super().fit_key(images, scorer), self._place(images, scorer)
        if own in self.came and self.came[own][0].fit not in ("", key):
            raise CellError(
                f"The head of {scorer.meta.name} would be fitted otherwise now than the one that the board ran.",
                "The task, its data, or the engine that it is fitted on have changed since the kit was packed.",
                "pack and run the kit again",
            )
        return key

    def plan_of(self, network: Network) -> Plan:
        """The board's plan, of which only the description is here."""
        built = self._built(network)
        nowhere = self.store.folder("plan", built.plan_key)
        spec = replace(self.engine.spec, threads=built.threads)
        file = self._file(network)
        return Plan(
            built.plan_key, nowhere, built.content, built.plan_bytes, spec, self.profile, file, dict(built.fields)
        )

    def rows(self, network: Network) -> dict[str, ShardedRows]:
        """What the network emitted for the first images that it was shown, by output.

        Raises:
            CellError: it is not in the store.
        """
        [shown] = network.shown
        found = {}
        for output, own in self._built(network).emitted[shown.of].items():
            entries = [self.store.try_load(KIND, shard_key(own, at, SHARD)) for at in range(0, shown.count, SHARD)]
            if not all(entries):
                raise CellError("The board did not bring what this result needs.")
            found[output] = ShardedRows([np.load(e.file(FILE), mmap_mode="r") for e in entries if e])
        return found

    def timed_on_board(self, data: Sequence[DataSet]) -> Iterator[tuple[Task | None, Came]]:
        """What was to be timed: each network with its head."""
        for head in (None, *(scorer for _, scorer in self.deployed(data))):
            own = (head.meta.name, data[0].digest) if head else ("", "")
            if own not in self.came:
                continue
            network, came = self.came[own]
            if network.scenarios and (came.outcomes or came.failure):
                yield head, came

    def why_not(self, came: Came) -> UserError:
        """Why there is no result, from what the board said."""
        failure = came.failure
        if failure is None:
            return CellError("The board has not come to this yet.", "", "run the kit on the board to its end")
        kind = Skip if came.skipped else CellError
        return kind(failure.what, failure.why, failure.remedy)

    def _place(self, images: DataSet, scorer: Task) -> tuple[str, str]:
        return (scorer.meta.name, images.digest) if scorer.meta.head == "deployed" else ("", "")

    def _waits(self, own: tuple[str, str]) -> bool:
        return own in self.came and self.came[own][1].waiting

    def _built(self, network: Network) -> Built:
        came = self.came[network.task, network.data][1]
        if came.built is None:
            raise self.why_not(came)
        return came.built

    def _file(self, network: Network) -> Artifact:
        entry = self.store.try_load("onnx", network.onnx_key)
        if entry is None:
            raise CellError(
                f"The ONNX file {network.onnx_key[:8]} that was packed is no longer in the store.",
                "",
                "pack the same kit again, to another folder: the same file is made",
            )
        return Artifact.of(entry)

    def _timing(self, images: DataSet, timed: Scenario, machine: str, head: Task | None) -> dict[str, Any]:
        return {**super()._timing(images, timed, machine, head), "preprocess": dict(self.timed_by)}


def returned(planned: Planned, results: Results) -> Returned:
    """The cell with what the board brought of it."""
    cell = _anywhere(planned.cell)
    came = {
        (network.task, network.data): (network, came)
        for network, came in zip(results.kit.networks, results.networks, strict=True)
        if _anywhere(network.cell) == cell
    }
    values = {one.name: getattr(planned, one.name) for one in fields(Planned)}
    values["engine"] = cast(Engine, Elsewhere(planned.engine))
    return Returned(**values, kit=results.kit, came=came, timed_by=results.preprocess)


def _anywhere(cell: Cell) -> Cell:
    """A cell without the number of threads, which is a machine's."""
    return replace(cell, threads=0)


class Received(Scoring):
    """Scoring a cell that ran on a board."""

    def judged(self, images: DataSet, scorer: Task, fit: Fitted) -> Judged:
        if scorer.meta.head != "deployed":
            return super().judged(images, scorer, fit)
        cell = cast(Returned, self.planned)
        network = cell.network(scorer.meta.name, images.digest)
        plan, learned = cell.plan_of(network), self._learned_from(scorer)
        test = Batchwise(dict(cell.rows(network)), targets(images, "test"), plan.artifact.preprocess)
        return Judged(test, plan, self._parity(cell, plan), learned.taps(self._outputs(scorer, learned)))
