"""Scoring one cell: what its tasks are fitted and judged on, each made once and when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.records.parts import Extraction
from bench.sweep import fits, gate
from bench.sweep.cells import Planned
from bench.sweep.heads import Joint, on_host
from bench.sweep.view import View
from engines.base import Plan
from export.errors import CellError
from export.parity import Parity
from export.progress import say
from tasks.base import MAPS, Batchwise, Fitted, Task
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Judged:
    """What a fit is judged on: the test split through a plan, and how that plan stands.

    Attributes:
        taps: the maps that the fit read: name, stride in pixels, channels.
    """

    test: Batchwise
    plan: Plan
    parity: Parity | None
    taps: tuple[dict[str, Any], ...]


class Scoring:
    """One cell while it is scored. Use as a context manager.

    Args:
        due: what will be asked for: maps that several fits read are kept meanwhile.
    """

    def __init__(self, planned: Planned, due: Sequence[tuple[DataSet, Task]]) -> None:
        self.planned, self._due = planned, due
        self._views: dict[str, View] = {}
        self._parities: dict[str, Parity | None] = {}
        self._before = Extraction(0, 0.0)

    def __enter__(self) -> Scoring:
        return self

    def __exit__(self, *_: object) -> None:
        for view in self._views.values():
            view.close()

    def open(self) -> None:
        """Build the plans that all of it needs: where one cannot be built, nothing of this can be scored.

        Raises:
            CellError: as :meth:`bench.sweep.cells.Planned.plan`.
        """
        for _, scorer in self._due:
            view = self._learned_from(scorer)
            self._parity(view.planned, view.plan)

    def fitted(self, images: DataSet, scorer: Task) -> Fitted:
        """The task's fit on the train and val splits, from the store or made now.

        Raises:
            CellError: the network lacks what the task reads; or as the task's own.
        """
        planned, view = self.planned, self._learned_from(scorer)
        outputs, self._before = self._outputs(scorer, view), self._computed()
        key = planned.fit_key(images, scorer)
        again = False
        if MAPS in scorer.meta.outputs and planned.store.try_load(fits.KIND, key) is None:
            again = scorer.meta.rereads or sum(MAPS in other.meta.outputs for _, other in self._due) > 1
            if not again:
                say("  maps of train and val: read once, and not kept")
        train, val = (view.part(images, split, outputs, again) for split in ("train", "val"))
        return fits.fitted(scorer, train, val, planned.sweep.seed, key, planned.store)

    def judged(self, images: DataSet, scorer: Task, fit: Fitted) -> Judged:
        """What the fit is judged on.

        Raises:
            CellError: backbone and head do not become one network; or as :meth:`bench.sweep.view.View.part`.
        """
        learned = self._learned_from(scorer)
        outputs = self._outputs(scorer, learned)
        taps = learned.taps(outputs)
        if scorer.meta.head != "deployed":
            test = learned.part(images, "test", outputs)
            head = scorer.head(fit) if scorer.meta.head == "applied" else None
            test = on_host(head, test) if head else test
            return Judged(test, learned.plan, self._parity(learned.planned, learned.plan), taps)
        joint = Joint.of(self.planned, images, scorer, fit)
        plan = joint.plan(self.planned.throughput)
        view = self._view(self.planned, plan)
        test = view.part(images, "test", [output.name for output in plan.artifact.outputs])
        return Judged(test, plan, self._parity(self.planned, plan), taps)

    def extraction(self, images: DataSet, scorer: Task) -> Extraction:
        """How the extraction went of all that was read for one score, once that is there: pooled features as their
        shards were built, whenever that was; wide outputs as they were computed since :meth:`fitted`."""
        pooled = self._learned_from(scorer).extracted(images)
        wide, before = self._computed(), self._before
        return Extraction(pooled.images + wide.images - before.images, pooled.seconds + wide.seconds - before.seconds)

    def _computed(self) -> Extraction:
        seen = [view.computed for view in self._views.values()]
        return Extraction(sum(one.images for one in seen), sum(one.seconds for one in seen))

    def _learned_from(self, scorer: Task) -> View:
        planned = self.planned.origin if scorer.meta.head == "deployed" else self.planned
        return self._view(planned, planned.plan(planned.throughput))

    def _view(self, planned: Planned, plan: Plan) -> View:
        if plan.key not in self._views:
            self._views[plan.key] = View(planned, plan)
        return self._views[plan.key]

    def _parity(self, planned: Planned, plan: Plan) -> Parity | None:
        """Of a plan that the engine of ``planned`` runs."""
        if plan.key not in self._parities:
            self._parities[plan.key] = gate.check(planned.engine, plan, planned.store)
        return self._parities[plan.key]

    def _outputs(self, scorer: Task, view: View) -> list[str]:
        """What the task reads, of what this network has.

        Raises:
            CellError: it lacks that.
        """
        names = view.named(scorer.meta.outputs)
        if not names:
            there = ", ".join(output.name for output in view.plan.artifact.outputs)
            raise CellError("The network has no feature maps.", f"It has {there}.")
        return names
