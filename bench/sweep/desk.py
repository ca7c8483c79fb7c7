"""Where a sweep's records are written: which results are finished, and which records stand for a failure."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bench.measure.energy.meter import Meter
from bench.measure.machine import environment
from bench.measure.queries import COUNT
from bench.measure.scenarios.base import Scenario
from bench.records.asked import Asked
from bench.records.parts import Environment, ScenarioSubject, Shift, TaskSubject
from bench.records.record import Record, read
from bench.sweep.cells import Planned
from bench.sweep.spec import SweepSpec
from engines.processor import require_pinnable
from export.errors import UserError
from export.places import expanded, require_writable
from export.progress import say
from export.store import Store
from tasks.base import Task
from tasks.data.base import DataSet

LEAST_BYTES = 20 << 20
"""What must be free for results: a large sweep's records, and the page."""


@dataclass(frozen=True)
class Desk:
    """The results folder of one run on one machine; with ``fresh`` nothing counts as finished."""

    folder: Path
    environment: Environment
    fresh: bool = False

    @classmethod
    def open(cls, folder: Path, sweep: SweepSpec, store: Store, fresh: bool = False) -> Desk:
        """The desk in a folder that can be written and is not the sweep's data: checked before any work, as is the
        file of a wall meter.

        Raises:
            UserError: the sweep is pinned to cores that are not here; or the folder cannot be written, or is the store;
                or one of the two is, or lies in, a data set of the sweep; or the meter's file is none.
            OutOfSpace: too little is free.
        """
        require_pinnable(sweep.cores)
        folder = expanded(folder)
        require_writable(folder, "--out", LEAST_BYTES)
        out = folder.resolve()
        if out == store.root:
            raise UserError(f"{folder} cannot be both the results and the store.", "", "another folder with --out DIR")
        for ref in (*sweep.data, *sweep.shifted, *sweep.out_of_scope):
            images = expanded(ref.partition("=")[2] or ref).resolve()
            for place, option in ((out, "--out"), (store.root, "--store")):
                if images.is_dir() and place.is_relative_to(images):
                    raise UserError(
                        f"{place} lies in the data set {ref}.",
                        "What is written there would become part of the data.",
                        f"another folder with {option} DIR",
                    )
        if sweep.meter:
            Meter(expanded(sweep.meter)).require()
        return cls(folder, environment(), fresh)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only run that writes here.

        Raises:
            UserError: another run does already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"Another run writes to {self.folder}.",
                "Two at once would measure each other, and each would miss the other's results.",
                "wait for it, or another folder with --out DIR",
            ) from None
        except (OSError, NotImplementedError):  # a file system without locks
            yield
            return
        try:
            yield
        finally:
            if [path.name for path in self.folder.iterdir()] == [".lock"]:  # a mistake was found before anything ran
                shutil.rmtree(self.folder)
            lock.release()

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def parts(self) -> Path:
        """What child processes measured of timings that are not finished."""
        return self.folder / "parts"

    @property
    def pictures(self) -> Path:
        """Photographs with predictions drawn on them."""
        return self.folder / "pictures"

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

    def timing(self, planned: Planned, images: DataSet, timed: Scenario, head: Task | None = None) -> Asked:
        """A timing, of the backbone or of backbone and ``head``, before there is one."""
        how = {"seconds": planned.sweep.seconds, "repeats": planned.sweep.repeats, **timed.asks(planned.settings)}
        if head and planned.sweep.class_map:
            how["class_map"] = planned.sweep.class_map
        if planned.sweep.pin:
            how["pin"] = ",".join(planned.sweep.pin)
        subject = ScenarioSubject(
            scenario=timed.name,
            version=timed.version,
            data=images.name,
            data_digest=images.digest,
            settings=how,
            protocol=timed.protocol,
            images=min(COUNT, len(images.samples)),
            head=f"{head.meta.name}@{images.name}" if head else "",
        )
        protocol = planned.timing_protocol(images, timed, self.machine, head)
        return Asked.now(planned.cell, subject, protocol, planned.about(), self.environment)
