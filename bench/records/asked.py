"""A result before there is one: what was asked, of which cell; and the record that it becomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from bench.records.parts import About, Cell, Environment, Failure, ScenarioSubject, Status, TaskSubject
from bench.records.record import Record, ScoreRecord, TimingRecord
from export.spec import Metric
from export.store import key


@dataclass(frozen=True)
class Asked:
    """One result that a sweep owes.

    A result's own key holds everything that can change it. A cell that was skipped or failed may not even have such a
    key (its weights could not be had), so its record goes under :attr:`key`, of what was asked.
    """

    cell: Cell
    subject: TaskSubject | ScenarioSubject
    protocol: str
    about: About
    environment: Environment
    started_at: str

    @classmethod
    def now(
        cls,
        cell: Cell,
        subject: TaskSubject | ScenarioSubject,
        protocol: str,
        about: About,
        environment: Environment,
    ) -> Asked:
        """Asked at this moment (UTC, ISO 8601, to the second)."""
        started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(cell, subject, protocol, about, environment, started_at)

    @property
    def key(self) -> str:
        cell = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.cell).items()}
        machine = self.environment.id  # what fails on one may be done on another
        return key("asked", cell=cell, subject=self.subject.asked, protocol=self.protocol, machine=machine)

    def done(self, key: str, metrics: tuple[Metric, ...], **parts: Any) -> Record:
        """The result's record; ``parts`` are its other fields."""
        return self._record(key=key, status="ok", metrics=metrics, **parts)

    def gave_up(self, error: BaseException | Failure, status: Status = "failed") -> Record:
        """The record that says why there is no result."""
        failure = error if isinstance(error, Failure) else Failure.of(error)
        return self._record(key=self.key, status=status, failure=failure)

    def _record(self, **fields: Any) -> Record:
        shared: dict[str, Any] = {
            "cell": self.cell,
            "protocol": self.protocol,
            "about": self.about,
            "environment": self.environment,
            "started_at": self.started_at,
            **fields,
        }
        if isinstance(self.subject, TaskSubject):
            return ScoreRecord(subject=self.subject, **shared)
        return TimingRecord(subject=self.subject, **shared)
