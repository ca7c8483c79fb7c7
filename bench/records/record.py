"""One versioned JSON document for each cell and kind of result, skips and failures included; never edited.

Reading side and writing side share only this file. It imports neither engines nor tasks, and no framework.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from export.errors import UserError
from export.spec import Metric
from export.store import key, write_atomic

SCHEMA = 2

Kind = Literal["score", "timing"]
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Cell:
    """What was run: backbone × engine × precision × preprocess, and the plan's batch sizes.

    ``engine`` is ``name:provider``; ``threads`` is the number really used.
    """

    backbone: str
    engine: str
    precision: str
    preprocess: str
    batches: tuple[int, ...]
    threads: int
    untrained: bool = False

    def __str__(self) -> str:
        return f"{self.backbone} · {self.engine} · {self.precision}"


@dataclass(frozen=True)
class Failure:
    """Why a cell was skipped or failed; ``type`` is the exception's class."""

    type: str
    what: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Record:
    """One result.

    Attributes:
        kind: "score" (a task on features) or "timing" (a scenario).
        status: "ok", "failed" (``failure`` says why) or "skipped" (not meant to run: ``failure`` says why).
        key: the score_key or timing_key; also the file's name. A finished key is never run again.
        subject: score: ``task``, ``version``, ``data``, ``data_digest``, ``settings``, ``seed``, ``output``, and
            ``published``, the named set that the test images come from (empty where they are the user's own);
            timing: ``scenario``, ``settings``.
        protocol: hash over what must be equal for two records of different backbones or engines to be compared.
        keys: ``onnx``, ``plan``, ``plan_content``, ``features`` where they exist.
        metrics: the main metric first.
        backbone: what the zoo says of it (family, pretraining, licence, parameters, gmacs, weights, input size).
        environment: machine, operating system, processor, cores, library versions.
        detail: chosen hyper-parameters, sweep, placement, parity, notes: JSON values, for the report.
        samples: every latency sample in nanoseconds, by series name; every repeat is a series.
        per_sample: each test sample's part in the main metric.
        per_draw: where the main metric is a mean over seeded draws of training images, each draw's; otherwise empty.
        started_at: UTC, ISO 8601. seconds: wall time that it took.
    """

    kind: Kind
    status: Status
    key: str
    cell: Cell
    subject: dict[str, Any]
    protocol: str
    keys: dict[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    failure: Failure | None = None
    backbone: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, list[int]] = field(default_factory=dict)
    per_sample: list[float] = field(default_factory=list)
    per_draw: list[float] = field(default_factory=list)
    started_at: str = ""
    seconds: float = 0.0
    schema: int = SCHEMA

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, or None."""
        return next((m for m in self.metrics if m.name == name), None)

    def write(self, folder: Path) -> Path:
        """Publish the record as ``folder/<key>.json``, whole or not at all."""
        path = folder / f"{self.key}.json"
        write_atomic(path, msgspec.json.format(msgspec.json.encode(self), indent=1))
        return path


def protocol_hash(kind: Kind, **fields: Any) -> str:
    """A short hash of what must agree before two records may stand in one column."""
    return key(f"protocol:{kind}", **fields)[:12]


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """Bring a document of any older schema to the present one.

    Schema 1, the first, did not tell seeded draws one by one: ``per_draw`` stays empty. Nor did it tell named data
    sets from the user's own, but only the former have a licence.
    """
    schema = document.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise UserError("A record has no schema version.", f"It says {schema!r}.")
    if schema > SCHEMA:
        raise UserError(
            f"A record has schema {schema}; this version reads up to {SCHEMA}.", "", "update backbones-deployed"
        )
    subject = document.get("subject")
    if schema == 1 and isinstance(subject, dict) and subject.get("data_licence"):
        subject = {"published": subject.get("data"), **subject}
    return document | {"schema": SCHEMA, "subject": subject}


def read(path: Path) -> Record:
    """Read one record of any schema.

    Raises:
        UserError: the file is no record, or of a newer schema.
    """
    try:
        return msgspec.convert(upgrade(msgspec.json.decode(path.read_bytes())), Record)
    except (msgspec.DecodeError, msgspec.ValidationError, AttributeError) as error:
        raise UserError(f"{path} is not a record.", str(error), "move it out of the results folder") from error
