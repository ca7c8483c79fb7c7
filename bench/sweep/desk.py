"""Where a sweep's records are written: which results are finished, and which records stand for a failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measure.queries import COUNT
from bench.measure.scenarios import Scenario
from bench.records.asked import Asked
from bench.records.parts import Environment, ScenarioSubject, Shift, TaskSubject
from bench.records.record import Record, read
from bench.sweep.cells import Planned
from export.errors import UserError
from export.progress import say
from tasks.base import Task
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Desk:
    """The results folder of one run on one machine; with ``fresh`` nothing counts as finished."""

    folder: Path
    environment: Environment
    fresh: bool = False

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def parts(self) -> Path:
        """What child processes measured of timings that are not finished."""
        return self.folder / "parts"

    @property
    def machine(self) -> str:
        return self.environment.id

    def finished(self, key: str) -> bool:
        """Whether the record ``key`` is there, whole and ok; what failed or was skipped is tried again."""
        path = self.records / f"{key}.json"
        if self.fresh or not path.exists():
            return False
        try:
            return read(path).status == "ok"
        except UserError as error:
            say(f"a record cannot be read; its result is computed again: {error.what}")
            return False

    def keep(self, record: Record, asked: Asked) -> None:
        """Write a record; a result replaces the failure recorded in its place."""
        record.write(self.records)
        if record.key != asked.key:
            (self.records / f"{asked.key}.json").unlink(missing_ok=True)

    def score(self, planned: Planned, images: DataSet, scorer: Task) -> Asked:
        """A score, before there is one."""
        meta, shift = scorer.meta, images.shift
        subject = TaskSubject(
            task=meta.name,
            version=meta.version,
            data=images.name,
            data_digest=images.digest,
            settings=dict(meta.settings),
            protocol=meta.protocol,
            data_licence=images.licence,
            published=images.published,
            splits_from=images.splits_from,
            remarks=images.remarks,
            classes=len(images.classes),
            seed=planned.sweep.seed,
            outputs=meta.outputs,
            n_train=len(images.split("train")),
            n_val=len(images.split("val")),
            n_test=len(images.split("test")),
            shift=Shift(shift.fitted, shift.seen, (shift.without,)) if shift else None,
        )
        protocol = planned.score_protocol(images, scorer)
        return Asked.now(planned.cell, subject, protocol, planned.about(), self.environment)

    def timing(self, planned: Planned, images: DataSet, timed: Scenario) -> Asked:
        """A timing, before there is one."""
        how = {"seconds": planned.sweep.seconds, "repeats": planned.sweep.repeats, **timed.asks(planned.settings)}
        subject = ScenarioSubject(
            scenario=timed.name,
            version=timed.version,
            data=images.name,
            data_digest=images.digest,
            settings=how,
            protocol=timed.protocol,
            images=min(COUNT, len(images.samples)),
        )
        protocol = planned.timing_protocol(images, timed, self.machine)
        return Asked.now(planned.cell, subject, protocol, planned.about(), self.environment)
