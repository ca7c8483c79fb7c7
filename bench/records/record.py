"""One versioned JSON document for each cell and kind of result, skips and failures included; never edited.

Reading side and writing side share only this room. It imports neither engines nor tasks, and no framework.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.records.energy import Energy
from bench.records.parts import (
    About,
    Cell,
    Environment,
    Extraction,
    Failure,
    Keys,
    Monitoring,
    SampleSeries,
    ScenarioSubject,
    Status,
    Subject,
    TaskSubject,
)
from bench.records.schema import SCHEMA, upgrade
from export.errors import UserError
from export.parity import Parity
from export.spec import Metric
from export.store import key, write_atomic

Kind = Literal["score", "timing"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One result; :class:`ScoreRecord` or :class:`TimingRecord`.

    Attributes:
        status: "ok", "failed" (``failure`` says why) or "skipped" (not meant to run: ``failure`` says why).
        key: the score_key or timing_key; also the file's name. A finished key is never run again.
        subject: what it is of.
        protocol: hash over what must be equal for two records of different backbones or engines to be compared.
        metrics: the main metric first.
        parity: closeness of the compiled engine to eager fp32; None where there is nothing to compare.
        arithmetic: in which precision the plan really computes, and how many of its products; empty where unknown.
        emulated: why the file's precision is only emulated; empty where it is not.
        started_at: UTC, ISO 8601. seconds: wall time that it took.
    """

    status: Status
    key: str
    cell: Cell
    subject: Subject
    protocol: str
    keys: Keys = field(default_factory=Keys)
    metrics: tuple[Metric, ...] = ()
    failure: Failure | None = None
    about: About = field(default_factory=About)
    environment: Environment = field(default_factory=Environment)
    parity: Parity | None = None
    arithmetic: dict[str, int] = field(default_factory=dict)
    emulated: str = ""
    started_at: str = ""
    seconds: float = 0.0
    schema: int = SCHEMA

    @property
    def main(self) -> Metric:
        """The main metric.

        Raises:
            ValueError: the record holds no result.
        """
        if not self.metrics:
            raise ValueError(f"record {self.key} has no result: it {self.status}")
        return self.metrics[0]

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, or None."""
        return next((m for m in self.metrics if m.name == name), None)

    def write(self, folder: Path) -> Path:
        """Publish the record as ``folder/<key>.json``, whole or not at all."""
        path = folder / f"{self.key}.json"
        write_atomic(path, msgspec.json.format(msgspec.json.encode(self), indent=1))
        return path


@dataclass(frozen=True, kw_only=True)
class ScoreRecord(Record):
    """What a cell's features are worth at one task on one data set.

    Attributes:
        per_sample: each test sample's part in the main metric.
        per_draw: where the main metric is a mean over seeded draws of training images, each draw's; otherwise empty.
        chosen: hyper-parameters, and the value on val that chose each. sweep: what was tried.
        extraction: how the features were extracted; None where they were there.
        by_class: what is known of each class.
        picture: the file beside the records that shows predictions; empty where there is none.
    """

    kind: Literal["score"] = "score"
    subject: TaskSubject
    per_sample: list[float] = field(default_factory=list)
    per_draw: list[float] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)
    sweep: list[dict[str, Any]] = field(default_factory=list)
    extraction: Extraction | None = None
    by_class: list[dict[str, Any]] = field(default_factory=list)
    picture: str = ""


@dataclass(frozen=True, kw_only=True)
class TimingRecord(Record):
    """What a cell costs in one scenario.

    Attributes:
        series: every sample; every repeat is a series of its own.
        monitoring: the machine during each series.
        placement: where the work really ran, as the engine reports it (JSON values).
        energy: what the series took, or why that is not known; None in records from before there were sensors.
    """

    kind: Literal["timing"] = "timing"
    subject: ScenarioSubject
    series: list[SampleSeries] = field(default_factory=list)
    monitoring: list[Monitoring] = field(default_factory=list)
    placement: dict[str, Any] = field(default_factory=dict)
    energy: Energy | None = None


KINDS: dict[str, type[ScoreRecord] | type[TimingRecord]] = {"score": ScoreRecord, "timing": TimingRecord}


def protocol_hash(kind: Kind, **fields: Any) -> str:
    """A short hash of what must agree before two records may stand in one column."""
    return key(f"protocol:{kind}", **fields)[:12]


def read(path: Path) -> ScoreRecord | TimingRecord:
    """Read one record of any schema.

    Raises:
        UserError: the file is no record, or of a newer schema.
    """
    try:
        document = upgrade(msgspec.json.decode(path.read_bytes()))
        kind = document.get("kind")
        if kind not in KINDS:
            raise msgspec.ValidationError(f"its kind is {kind!r}")
        return msgspec.convert(document, KINDS[kind])
    except (msgspec.DecodeError, msgspec.ValidationError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a record.", str(error), "move it out of the results folder") from error
