"""One row of every table: a cell with its scores and its costs, from one plan, and whether it may be ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from bench.records.parts import About, Cell, Monitoring
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.verdict.sheet import Flag, Status
from export.parity import Parity
from export.spec import Metric

SHOWN = 3
"""Of the series of a timing that were disturbed, so many are named."""
SPREAD_PERCENT = 2.5
"""A timing that spreads more than this, within a run or between repeats, is flagged."""
IMAGES = 64
"""A timing over fewer different images is flagged: caches are warm, and zeros are quick."""


@dataclass(frozen=True)
class Row:
    """One cell: its newest comparable records, by subject; failures stay under ``troubles``.

    Attributes:
        machine: that it was timed on, where the table has several.
    """

    cell: Cell
    scores: dict[str, ScoreRecord]
    timings: dict[str, TimingRecord]
    troubles: tuple[Record, ...]
    machine: str = ""

    @property
    def records(self) -> list[Record]:
        return [*self.scores.values(), *self.timings.values()]

    @property
    def about(self) -> About:
        """What the records say of the backbone: what a result says, for a failure knows nothing of the file."""
        known = [r.about for r in (*self.records, *self.troubles)]
        return max(known, key=lambda about: about.parameters is not None, default=About())

    @property
    def parity(self) -> Parity | None:
        """Closeness of the compiled engine to eager PyTorch, a failed one first; None where there is no eager twin."""
        known = [r.parity for r in self.records if r.parity]
        return min(known, key=lambda parity: parity.passed, default=None)

    def timed(self, scenario: str, name: str) -> Metric | None:
        """A metric of one scenario; None where it was not measured."""
        record = self.timings.get(scenario)
        return record.metric(name) if record else None

    @property
    def failed_parity(self) -> bool:
        return self.parity is not None and not self.parity.passed

    @property
    def label(self) -> dict[str, Any]:
        """What it is called, and what tells it apart, as JSON values.

        ``input`` is what was asked for, ``height`` and ``width`` what the network really takes (None where unknown);
        ``depth`` is 0 for the whole network.
        """
        c = self.cell
        height, width = self.about.input or (None, None)
        return {
            **({"machine": self.machine} if self.machine else {}),
            "backbone": c.backbone,
            "engine": c.engine,
            "precision": c.precision,
            "preprocess": c.preprocess,
            "batches": ",".join(map(str, c.batches)),
            "input": c.input,
            "resize": c.resize,
            "depth": c.depth,
            "height": height,
            "width": width,
            "threads": c.threads,
            "untrained": c.untrained,
            "emulated": self.emulated,
        }

    @property
    def emulated(self) -> str:
        """Why the engine only emulates the file's precision; empty where it does not."""
        return next((r.emulated for r in self.records if r.emulated), "")

    @property
    def flags(self) -> list[Flag]:
        """What makes its timings doubtful: a busy or unsettled machine, a spread over 2.5 %."""
        found = []
        for scenario, record in self.timings.items():
            found += [Flag(scenario, text) for text in _disturbed(record)]
            if others := max((m.gpu.others for m in record.monitoring if m.gpu), default=0):
                found.append(Flag(scenario, f"{others} other process{'es' if others > 1 else ''} on the GPU"))
            if 0 < record.subject.images < IMAGES:
                found.append(Flag(scenario, f"only {record.subject.images} different images in rotation"))
            if not all(series.settled for series in record.series):
                found.append(Flag(scenario, "had not settled when measuring began"))
            for name, words in (("noise_percent", "noise"), ("repeat_spread_percent", "repeat spread")):
                spread = record.metric(name)
                if spread and spread.value is not None and spread.value > SPREAD_PERCENT:
                    found.append(Flag(scenario, f"{words} {spread.value:.1f} %"))
        return found

    def judge(self) -> tuple[Status, str]:
        """Whether the row may be ranked, and why not."""
        reasons = list(dict.fromkeys(map(reason, self.troubles)))
        if self.parity and not self.parity.passed:
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
    return isinstance(record, TimingRecord) and any(m.throttled for m in record.monitoring)


def reason(record: Record) -> str:
    """Why there is no result, in one line: of a bug its first, without the traceback."""
    failure = record.failure
    if failure is None:
        return f"{record.subject.name}: {_throttled(record)}, so the timing is void"
    text = failure.what if record.status == "skipped" else f"{record.subject.name}: {failure.what}"
    return f"{text} {failure.why}".strip()


def _disturbed(record: TimingRecord) -> list[str]:
    """In which series something came between, the worst first; what is throttled and in the table may be."""
    found = sorted((m for m in record.monitoring if m.trouble), key=lambda m: -m.foreign_share - m.stolen_share)
    texts = [f"in {_which(m, record)} {m.trouble}{_attempts(m)}" for m in found[:SHOWN]]
    more = len(found) - SHOWN
    return texts + ([f"disturbed in {more} more series"] if more > 0 else [])


def _throttled(record: Record) -> str:
    """In which series it was throttled, and why, each reason once."""
    beside = [m for m in record.monitoring if m.throttled] if isinstance(record, TimingRecord) else []
    where: dict[str, list[str]] = {}
    for m in beside:
        where.setdefault(m.why, []).append(_which(m, cast(TimingRecord, record)) + _attempts(m))
    return "; ".join(f"throttled in {' and '.join(found)}{why}" for why, found in where.items())


def _which(m: Monitoring, record: TimingRecord) -> str:
    """Which series, as a reader counts them: the name only where the scenario has several."""
    several = len({one.series for one in record.monitoring}) > 1
    return f"{m.series} of repeat {m.repeat + 1}" if several else f"repeat {m.repeat + 1}"


def _attempts(m: Monitoring) -> str:
    return f" (the least disturbed of {m.attempts} attempts)" if m.attempts > 1 else ""


def _closeness(parity: Parity) -> str:
    # six digits: 0.99998 is beside a bound of 0.99999 no 1
    seen = [_beside(f"cosine min {parity.cosine_min:.6g}", parity.cosine_bound)]
    seen.append(_beside(f"relative error {parity.relative_error:.4g}", parity.error_bound))
    if parity.nonfinite:
        seen.append(f"{parity.nonfinite} values are NaN or Inf")
    return f" ({parity.output}: {', '.join(seen)})"


def _beside(text: str, bound: float) -> str:
    return f"{text}, bound {bound:g}" if bound else text  # older records lack it
