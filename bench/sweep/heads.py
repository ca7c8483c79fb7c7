"""A fitted head on its backbone: as one network that is compiled and run, or run beside it on the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.sweep.cells import Planned
from bench.sweep.rows import Floats, Indices, OnDemand
from engines.base import Engine, Plan
from export.artifact import Artifact
from export.convert.joining import joined
from export.convert.verify import session
from export.lower.precision import lowered_artifact
from export.spec import Precision
from tasks.base import Batchwise, Fitted, Head, Task
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Joint:
    """One cell's backbone with the head of one fit, as one network."""

    planned: Planned
    images: DataSet
    scorer: Task
    head: Head

    @classmethod
    def of(cls, planned: Planned, images: DataSet, scorer: Task, fit: Fitted) -> Joint:
        """Of what a task learned, which has a head."""
        head = scorer.shipped(fit, planned.sweep.class_map)  # type: ignore[arg-type]  # the sweep has checked it
        assert head is not None
        return cls(planned, images, scorer, head)

    @property
    def name(self) -> str:
        return f"{self.scorer.meta.name}@{self.images.name}"

    @cached_property
    def artifact(self) -> Artifact:
        """The file of both, in the cell's precision, made if it is not there.

        Raises:
            CellError: they do not fit together, or the file cannot be lowered.
        """
        planned = self.planned
        base = planned.origin.artifact()
        fit = planned.head_key(self.images, self.scorer)
        head = self.head
        whole = joined(base, head.model, fit, self.name, head.compared, head.parameters, planned.store)
        if planned.made is Precision.FP32:
            return whole
        return lowered_artifact(whole, planned.precision, planned.calibration, planned.store)

    def plan(self, runner: Engine) -> Plan:
        """Its plan for the cell's engine, built if it is not there."""
        return runner.plan(self.artifact, self.planned.profile, self.planned.store)


def on_host(head: Head, test: Batchwise) -> Batchwise:
    """What a head gives for a cell's outputs, computed on the processor when it is asked for, in place of these."""
    runtime = session(head.model)
    names, taps = [o.name for o in runtime.get_outputs()], [i.name for i in runtime.get_inputs()]

    def compute(rows: Indices) -> dict[str, Floats]:
        found = test.at(rows)
        return dict(zip(names, runtime.run(names, {tap: found[tap] for tap in taps}), strict=True))

    shapes = {o.name: tuple(o.shape[1:]) for o in runtime.get_outputs()}
    return Batchwise(dict(OnDemand(compute, len(test), shapes).outputs()), test.targets, test.spec)
