"""Made-up records for the tests of the reading side: the shapes are real, every number is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import stats
from bench.records.parts import (
    About,
    Cell,
    Environment,
    Extraction,
    Failure,
    Keys,
    SampleSeries,
    ScenarioSubject,
    Shift,
    Status,
    TaskSubject,
)
from bench.records.record import Record, ScoreRecord, TimingRecord, protocol_hash
from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.sheet import Column, Sheet
from bench.verdict.table import rows, sheet_of
from export.parity import Parity
from export.spec import Metric
from export.store import key

BACKBONES = {
    # name: (skill, latency in ms, parameters)
    "made_up_large": (2.2, 21.0, 60e6),
    "made_up_base": (2.1, 9.0, 25e6),
    "made_up_small": (1.2, 4.0, 9e6),
    "made_up_tiny": (0.4, 3.9, 3e6),
    "made_up_poor": (0.1, 30.0, 25e6),
}
ENGINES = {"ort:cpu": 1.0, "openvino:cpu": 0.8}
ODD = "a→b|c@d"
"""A data set's name that has every sign in it that once stood for something; it stands for nothing."""
TASKS = {"knn": ("accuracy", -0.2), "linear_probe": ("accuracy", 0.4), "retrieval": ("mAP", -0.6)}

CLOSE = Parity("features", 0.99999, 0.999995, 1e-5, 0, 20, 0.99999, 2e-3, True)
FAR = replace(CLOSE, cosine_min=0.91, relative_error=0.4, passed=False)


@dataclass(frozen=True)
class Lab:
    """Where the made-up records come from; change a field to get records that differ in it.

    Attributes:
        reference: the engine whose cells are the reference; none by default.
    """

    machine: str = "made-up-a"
    threads: int = 2
    data: str = "drawings"
    digest: str = "d1a2b3c4"
    version: int = 1
    n_test: int = 200
    backbones: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(BACKBONES))
    engines: dict[str, float] = field(default_factory=lambda: dict(ENGINES))
    reference: str = ""
    shift: Shift | None = None
    build: str = "1"
    day: str = "2026-01-01"

    def cell(self, backbone: str, engine: str, untrained: bool = False) -> Cell:
        return Cell(backbone, engine, "fp32", "cpu", (1, 8), self.threads, untrained, engine == self.reference)

    def keys(self, cell: Cell) -> Keys:
        onnx = key("onnx", backbone=cell.backbone)
        plan = key("plan", onnx=onnx, engine=cell.engine, build=self.build)
        return Keys(onnx, plan, key("content", plan=plan))

    def about(self, backbone: str) -> About:
        return About(
            family="CNN",
            pretrain_algo="supervised",
            pretrain_data="made up",
            licence="CC0-1.0",
            feature="features",
            parameters=int(self.backbones.get(backbone, (0, 0, 5e6))[2]),
            gmacs=1.5,
            input=(224, 224),
        )

    def environment(self) -> Environment:
        return Environment(
            id=self.machine,
            processor=f"Imaginary CPU {self.machine}",
            cores=self.threads,
            memory_mib=8000,
            os="Linux",
            python="3.11",
            libraries={"onnxruntime": "1.99"},
        )

    def score(self, backbone: str, engine: str, task: str, **changes: Any) -> ScoreRecord:
        """A score whose samples are right or wrong; test images are hard or easy for all backbones alike."""
        skill = self.backbones[backbone][0]
        metric, ease = TASKS[task]
        hard = np.random.default_rng(7).normal(size=self.n_test)
        own = np.random.default_rng(sum(map(ord, backbone + task))).normal(size=self.n_test)
        per_sample = 100.0 * (skill + ease + 0.5 * own > 2 * hard)
        value = float(per_sample.mean())
        cell = self.cell(backbone, engine)
        subject = TaskSubject(
            task=task,
            version=self.version,
            data=self.data,
            data_digest=self.digest,
            settings={"made_up": True},
            protocol=f"The {task} protocol, in a sentence.",
            data_licence="CC0-1.0",
            splits_from="given",
            classes=4,
            n_train=400,
            n_val=100,
            n_test=self.n_test,
            shift=self.shift,
        )
        error = float(per_sample.std(ddof=1) / np.sqrt(self.n_test))
        extra = Metric.gain("balanced_accuracy", value - 1, "%", self.n_test, error)
        record = ScoreRecord(
            status="ok",
            key=key("score", plan=self.keys(cell).plan, task=task, data=self.digest, version=self.version),
            cell=cell,
            subject=subject,
            protocol=protocol_hash("score", task=task, data=self.digest, version=self.version),
            keys=self.keys(cell),
            metrics=(Metric.gain(metric, value, "%", self.n_test, error), extra),
            about=self.about(backbone),
            environment=self.environment(),
            parity=CLOSE,
            chosen={"k": 20},
            sweep=[{"k": 1, "val_accuracy": 50.0}],
            extraction=Extraction(700, 10.0),
            per_sample=per_sample.tolist(),
            started_at=f"{self.day}T10:00:00+00:00",
        )
        return replace(record, **changes)

    def timing(self, backbone: str, engine: str, scenario: str = "single_stream", **changes: Any) -> TimingRecord:
        """A timing with 300 samples: enough for p90, too few for p99."""
        milliseconds = self.backbones.get(backbone, (0, 5.0, 0))[1] * self.engines[engine]
        draw = np.random.default_rng(sum(map(ord, backbone + engine + scenario)))
        samples = (milliseconds * 1e6 * (1 + draw.gamma(2, 0.02, 300))).astype(int).tolist()
        cell = self.cell(backbone, engine, backbone not in self.backbones)
        if scenario == "offline":
            rate = 1.3e9 / stats.median(samples)
            metrics = [
                Metric.gain("throughput_images_per_s", rate, "images/s", 300, note="b8"),
                Metric.gain("throughput_b8_images_per_s", rate, "images/s", 300),
            ]
            series = [SampleSeries("batch_8", 0, samples)]
        else:
            metrics = [
                Metric.cost("latency_p50_ms", stats.quantile(samples, 0.5) / 1e6, "ms", 300),
                Metric.cost("latency_p90_ms", stats.quantile(samples, 0.9) / 1e6, "ms", 300),
                Metric.cost("latency_p99_ms", None, "ms", 300, note="300 of the 662 samples needed"),
                Metric.cost("noise_percent", stats.noise(samples), "%", 300),
            ]
            series = [SampleSeries("latency", 0, samples[:150]), SampleSeries("latency", 1, samples[150:])]
        metrics += [
            Metric.cost("peak_memory_mib", 100 + milliseconds, "MiB", 2),
            Metric.cost("onnx_mib", milliseconds * 3, "MiB"),
        ]
        how = {"scenario": scenario, "machine": self.machine, "threads": self.threads, "data": self.digest}
        record = TimingRecord(
            status="ok",
            key=key("timing", plan=self.keys(cell).plan, day=self.day, **how),
            cell=cell,
            subject=ScenarioSubject(
                scenario=scenario,
                version=1,
                data=self.data,
                data_digest=self.digest,
                settings={"seconds": 1.0, "repeats": 2},
                protocol=f"The {scenario} protocol, in a sentence.",
            ),
            protocol=protocol_hash("timing", **how),
            keys=self.keys(cell),
            metrics=tuple(metrics),
            about=self.about(backbone),
            environment=self.environment(),
            parity=CLOSE,
            series=series,
            started_at=f"{self.day}T11:00:00+00:00",
        )
        return replace(record, **changes)

    def failure(self, record: Record, status: Status, what: str, why: str = "") -> Record:
        """``record`` as it looks when it did not come about."""
        results: dict[str, Any] = {"per_sample": []} if isinstance(record, ScoreRecord) else {"series": []}
        return replace(
            record,
            status=status,
            key=key("asked", of=record.key),
            metrics=(),
            keys=Keys(),
            parity=None,
            failure=Failure("CellError", what, why),
            **results,
        )

    def records(self) -> list[Record]:
        """Every cell with all its results; two random-weight cells, one broken and one that fails parity."""
        found: list[Record] = []
        for backbone in self.backbones:
            for engine in self.engines:
                found += [self.score(backbone, engine, task) for task in TASKS]
                found += [self.timing(backbone, engine, s) for s in ("single_stream", "offline")]
        first = next(iter(self.backbones))
        for engine in self.engines:
            found += [self.timing("made_up_random", engine, s) for s in ("single_stream", "offline")]
            cell = self.cell("made_up_random", engine, untrained=True)
            for task in TASKS:
                template = replace(self.score(first, engine, task), cell=cell, key=f"{engine} {task}")
                found.append(self.failure(template, "skipped", "Untrained: random weights are timed, never scored."))
        broken = replace(self.score(first, "ort:cpu", "knn"), cell=self.cell("made_up_broken", "ort:cpu"), key="broken")
        found.append(self.failure(broken, "failed", "The engine cannot build it.", "Operator Einmal is unknown."))
        off = self.cell("made_up_off", "ort:cpu")
        for task in TASKS:
            wrong = self.score(first, "ort:cpu", task, cell=off, key=f"off {task}", parity=FAR)
            found.append(replace(wrong, keys=Keys(plan="off")))
        return found

    def write(self, folder: Path) -> Path:
        """Write all records into ``folder/records``; returns ``folder``."""
        for record in self.records():
            replace(record, key=record.key.replace(" ", "-").replace(":", "-")).write(folder / "records")
        return folder


def sheet(
    values: list[list[float]], errors: float = np.nan, costs: list[float] | None = None, higher: bool = True
) -> Sheet:
    numbers = np.array(values, float)
    n, s = numbers.shape
    return Sheet(
        labels=tuple({"backbone": f"b{i}"} for i in range(n)),
        settings=tuple(Column(f"s{j}", higher_is_better=higher) for j in range(s)),
        values=numbers,
        errors=np.full(numbers.shape, errors),
        costs=(Column("price", "ms", False),) if costs else (),
        cost_values=np.array(costs or []).reshape(n, -1),
        status=tuple("ok" for _ in range(n)),
        why=("",) * n,
        flags=((),) * n,
    )


SMALL = Lab(backbones={"made_up_base": (2.1, 9.0, 25e6)}, engines={"ort:cpu": 1.0})
"""One trained backbone on one engine."""


def only(*records: Record) -> Row:
    """The one row that these records are joined to."""
    [row] = rows(Results(records))[0]
    return row


def made_up() -> Ranking:
    """A ranking of the made-up records."""
    return Ranking(sheet_of(Results(tuple(Lab().records()))))
