"""One row of every table: a cell with its scores and its costs, from one plan, and whether it may be ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.records.record import Cell, Record
from bench.records.results import subject_name
from bench.verdict.sheet import Status

SPREAD_PERCENT = 2.5
"""A timing that spreads more than this, within a run or between repeats, is flagged."""


@dataclass(frozen=True)
class Row:
    """One cell: its newest comparable records, by ``task@data`` and by scenario; failures stay under ``troubles``."""

    cell: Cell
    scores: dict[str, Record]
    timings: dict[str, Record]
    troubles: tuple[Record, ...]

    @property
    def records(self) -> list[Record]:
        return [*self.scores.values(), *self.timings.values()]

    @property
    def about(self) -> dict[str, Any]:
        """What the records say of the backbone; the fullest of them."""
        return max((r.backbone for r in (*self.records, *self.troubles)), key=len, default={})

    @property
    def parity(self) -> dict[str, Any]:
        """Closeness of the compiled engine to eager PyTorch, a failed one first; empty where there is no eager twin."""
        told = [dict(r.detail["parity"]) for r in self.records if r.detail.get("parity")]
        return min(told, key=lambda p: bool(p.get("passed")), default={})

    @property
    def label(self) -> dict[str, Any]:
        c = self.cell
        return {
            "backbone": c.backbone,
            "engine": c.engine,
            "precision": c.precision,
            "preprocess": c.preprocess,
            "batches": ",".join(map(str, c.batches)),
            "threads": c.threads,
            "untrained": c.untrained,
            "emulated": self.emulated,
        }

    @property
    def emulated(self) -> str:
        """Why the engine only emulates the file's precision; empty where it does not."""
        return next((str(r.detail["emulated"]) for r in self.records if r.detail.get("emulated")), "")

    @property
    def flags(self) -> list[str]:
        """What makes its timings doubtful: a busy or unsettled machine, a spread over 2.5 %."""
        found = []
        for scenario, record in self.timings.items():
            shares = [m.get("foreign_share", 0) for m in record.detail.get("monitor", ()) if m.get("disturbed")]
            if shares:
                found.append(f"{scenario}: other processes took up to {max(shares):.0%} of the machine")
            if record.detail.get("settled") is False:
                found.append(f"{scenario}: had not settled when measuring began")
            for name in ("noise_percent", "repeat_spread_percent"):
                spread = record.metric(name)
                if spread and spread.value is not None and spread.value > SPREAD_PERCENT:
                    found.append(f"{scenario}: {name.replace('_percent', '').replace('_', ' ')} {spread.value:.1f} %")
        return found

    def judge(self) -> tuple[Status, str]:
        """Whether the row may be ranked, and why not."""
        reasons = list(dict.fromkeys(_reason(r) for r in self.troubles))
        if self.parity and not self.parity.get("passed", False):
            return "parity", "fails parity with the eager module" + _closeness(self.parity)
        if self.scores and self.cell.untrained:
            return "skipped", "untrained: random weights are never ranked"
        if self.scores:
            return "ok", "; ".join(reasons)  # what is missing beside them is dealt with setting by setting
        if any(r.status == "failed" for r in self.troubles):
            return "failed", "; ".join(reasons)
        return "skipped", "; ".join(reasons) or "no score: only timed"


def throttled(record: Record) -> bool:
    """Whether the processor or the GPU throttled while the timing ran, so that it is void."""
    return any(m.get("throttled") for m in record.detail.get("monitor", ()))


def _reason(record: Record) -> str:
    failure = record.failure
    if failure is None:
        return f"{subject_name(record)}: the processor throttled, so the timing is void"
    text = failure.what if record.status == "skipped" else f"{subject_name(record)}: {failure.what}"
    return f"{text} {failure.why}".strip()


def _closeness(parity: dict[str, Any]) -> str:
    told = [f"{name.replace('_', ' ')} {parity[name]:.4g}" for name in parity if isinstance(parity[name], float)]
    return f" ({', '.join(told)})" if told else ""
