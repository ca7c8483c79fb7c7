"""Where a sweep's records are written: what goes into each, which are finished, and which stand for a failure.

A result's key tells everything that can move it. A cell that was skipped or failed may not even have such a key (its
weights could not be had), so its record goes under a key of what was asked; the result, once there, takes its place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.measure.scenarios import Scenario
from bench.records.record import Failure, Record, Status, read
from bench.sweep.cells import OUTPUT, Planned
from engines.base import Plan
from export.artifact import Artifact
from export.errors import UserError
from export.progress import say
from export.store import key
from tasks.base import Task
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Desk:
    """The results folder of one run on one machine; with ``fresh`` nothing counts as finished."""

    folder: Path
    environment: dict[str, Any]
    fresh: bool = False

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def machine(self) -> str:
        return str(self.environment["id"])

    def finished(self, key: str) -> bool:
        """Whether the record ``key`` is there, whole and ok; what failed or was skipped is tried again."""
        path = self.records / f"{key}.json"
        if self.fresh or not path.exists():
            return False
        try:
            return read(path).status == "ok"
        except UserError as error:
            say(f"a record cannot be read, and its result is made again: {error.what}")
            return False

    def keep(self, record: Record) -> None:
        """Publish a result, and withdraw the failure that stood in its place."""
        replace(record, environment=self.environment).write(self.records)
        asked = _asked(record)
        if record.key != asked:
            (self.records / f"{asked}.json").unlink(missing_ok=True)

    def keep_failure(self, record: Record, error: UserError, status: Status = "failed") -> None:
        """Publish why there is no result."""
        reason = Failure(type(error).__name__, error.what, error.why, error.remedy)
        self.keep(replace(record, status=status, failure=reason))


def score_record(planned: Planned, images: DataSet, scorer: Task) -> Record:
    """A score's record with everything that is known before the score."""
    meta = scorer.meta
    subject = {
        "task": meta.name,
        "version": meta.version,
        "settings": dict(meta.settings),
        "protocol": meta.protocol,
        "data": images.name,
        "data_digest": images.digest,
        "data_licence": images.licence,
        "published": images.published,
        "splits_from": images.splits_from,
        "unreadable": len(images.unreadable),
        "classes": len(images.classes),
        "seed": planned.sweep.seed,
        "output": OUTPUT,
        **{f"n_{name}": len(images.split(name)) for name in ("train", "val", "test")},
    }
    protocol = planned.score_protocol(images, scorer)
    return _named(Record("score", "ok", "", planned.cell, subject, protocol, backbone=about(planned), started_at=now()))


def timing_record(planned: Planned, images: DataSet, timed: Scenario, machine: str) -> Record:
    """A timing's record with everything that is known before the timing."""
    subject = {
        "scenario": timed.name,
        "version": timed.version,
        "protocol": timed.protocol,
        "data": images.name,
        "data_digest": images.digest,
        "settings": {
            "seconds": planned.sweep.seconds,
            "repeats": planned.sweep.repeats,
            **timed.asks(planned.settings),
        },
    }
    protocol = planned.timing_protocol(images, timed, machine)
    return _named(
        Record("timing", "ok", "", planned.cell, subject, protocol, backbone=about(planned), started_at=now())
    )


def about(planned: Planned, artifact: Artifact | None = None) -> dict[str, Any]:
    """What a reader wants to know of the backbone, and of its artifact once there is one."""
    b = planned.backbone
    zoo = {
        "family": b.family,
        "pretrain_algo": b.pretrain_algo,
        "pretrain_data": b.pretrain_data,
        "licence": b.licence,
        "feature": b.feature,
        "untrained": b.untrained,
    }
    if artifact is None:
        return zoo
    return {
        **zoo,
        "parameters": artifact.parameters,
        "gmacs": artifact.gmacs,
        "input": [artifact.preprocess.height, artifact.preprocess.width],
        "preprocess": artifact.preprocess.as_json(),
        "dim": artifact.outputs[0].shape[-1],
        "source": dict(artifact.source),
    }


def built(planned: Planned, plan: Plan) -> dict[str, str]:
    """The chain of keys behind a result; ``plan_content`` names the very bytes that ran."""
    return {"onnx": planned.onnx_key, "plan": plan.key, "plan_content": plan.content}


def arithmetic(plan: Plan) -> dict[str, Any]:
    """In which precision the plan really computes, and why it counts as emulated, where it does."""
    return {"arithmetic": dict(plan.fields.get("arithmetic", {})), "emulated": plan.emulated}


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _asked(record: Record) -> str:
    subject = {
        k: record.subject[k] for k in ("task", "scenario", "version", "data_digest", "seed") if k in record.subject
    }
    return key("asked", cell=_plain(asdict(record.cell)), subject=subject, protocol=record.protocol)


def _named(record: Record) -> Record:
    return replace(record, key=_asked(record))


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
