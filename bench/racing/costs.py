"""What cells cost before anything of them runs: measured on this machine earlier, or predicted from what was.

The prediction is a ridge regression (Hoerl and Kennard 1970) of the logarithm of a cost on the logarithms of GMACs,
parameters and input pixels, with an effect of engine and precision. Its error is that of backbones left out one by
one. An interval is t · s · √(1 + 1/n) wide to each side, s the root mean square of those errors over n backbones, t
the 0.95 quantile of Student's t with n − 1 degrees of freedom: each side is wrong for one network in twenty.

At another input than its checkpoint's own, a network costs what it does there, measured or predicted, times a power of
the ratio of its GMACs (:data:`GROWS`). What the exponent and those GMACs may be off by (see
:class:`bench.racing.sizes.Growth`) widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.racing.sizes import Size
from bench.records.parts import SCENARIOS, Cell
from bench.records.record import Record, TimingRecord
from bench.verdict.digits import number
from bench.verdict.picking import Limit
from bench.verdict.row import throttled
from engines.catalog import BASELINE
from export.errors import unknown

LEAST = 5
"""Backbones of which a prediction is made, at least."""
PENALTIES = (0.01, 0.1, 1.0, 10.0)
SIDE = 0.95
GROWS = {"latency_p50_ms": (0.5, 1.25), "throughput_images_per_s": (0.5, 1.25)}
GROWS_ELSE = (-0.25, 1.25)
"""Least and largest power of the ratio of GMACs with which a cost grows with the input. Of 15 pairs of cells at 224 to
260 pixels and at 352x480 (docs/dense), medians grew with powers of 0.76 to 1.20, peak memory with 0.08 to 0.37, and
load time with -0.23 to 0.35, all of which is noise."""

Kind = tuple[str, str]
"""Engine and precision."""
Standing = Literal["within", "beyond", "open"]

OF_SCENARIO = {
    "single_stream": ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "peak_memory_mib", "load_ms", "plan_mib"),
    "offline": ("throughput_images_per_s",),
    "end_to_end": ("end_to_end_p50_ms",),
}
"""The costs that a budget may name, by the scenario that measures them."""
OF_NETWORK = ("gmacs", "parameters_m")
"""Costs that are the network's own, whatever runs it."""


def scenarios_for(limits: Iterable[Limit]) -> tuple[str, ...]:
    """The scenarios that a budget needs; always ``single_stream``, whose latency decides between equals.

    Raises:
        UserError: a limit names no cost that a race knows.
    """
    known = [name for names in OF_SCENARIO.values() for name in names] + list(OF_NETWORK)
    wanted = {"single_stream"}
    for limit in limits:
        if limit.column not in known:
            raise unknown("cost", limit.column, known, "--max latency_p50_ms=20")
        limit.require(limit.column in OF_SCENARIO["offline"])
        wanted |= {scenario for scenario, names in OF_SCENARIO.items() if limit.column in names}
    return tuple(name for name in SCENARIOS if name in wanted)


def arm_of(cell: Cell) -> tuple[object, ...]:
    """What the cells of one arm share: all that a cell is, but engine, precision, and how it is compiled."""
    apart = {"engine", "precision", "batches", "threads", "reference"}
    return tuple(getattr(cell, one.name) for one in fields(cell) if one.name not in apart)


@dataclass(frozen=True)
class Measured:
    """What one cell cost on this machine, by column; and its network's size, where that is known."""

    cell: Cell
    costs: Mapping[str, float]
    size: Size | None


def measured(records: Iterable[Record], machine: str) -> list[Measured]:
    """The costs of cells in records of this machine: the newest of each, of those that other processes did not disturb
    where there are such. Of heads joined to them, nothing."""
    costs: dict[Cell, dict[str, float]] = {}
    sizes: dict[Cell, Size] = {}
    timings = [r for r in records if isinstance(r, TimingRecord) and r.status == "ok" and r.environment.id == machine]
    for record in sorted(timings, key=lambda r: (not any(m.doubtful for m in r.monitoring), r.started_at)):
        if record.subject.head or throttled(record) or record.cell.engine.partition(":")[0] == BASELINE:
            continue
        own, about = costs.setdefault(record.cell, {}), record.about
        names = OF_SCENARIO.get(record.subject.scenario, ())
        own |= {m.name: m.value for m in record.metrics if m.name in names and m.value is not None}
        if about.gmacs and about.parameters and about.input:
            sizes[record.cell] = Size(about.gmacs, about.parameters / 1e6, about.input[0] * about.input[1])
            own |= {"gmacs": about.gmacs, "parameters_m": about.parameters / 1e6}
    return [Measured(cell, own, sizes.get(cell)) for cell, own in costs.items()]


@dataclass(frozen=True)
class Prediction:
    """A cost, and between what it lies."""

    value: float
    low: float
    high: float


class Predictor:
    """One cost of networks of known size, from some that were measured.

    Args:
        known: measured cells; those of unknown size, or without this cost, say nothing.
    """

    def __init__(self, known: Sequence[Measured], column: str) -> None:
        self.column = column
        self._known = [m for m in known if m.size and m.costs.get(column, 0.0) > 0]
        self._names = [m.cell.backbone for m in self._known]
        self.backbones = len(set(self._names))
        self.kinds = sorted({_kind(m.cell) for m in self._known})

    @property
    def usable(self) -> bool:
        """Whether there are enough backbones to predict from."""
        return self.backbones >= LEAST

    @cached_property
    def _best(self) -> tuple[float, float]:
        """The penalty with the smallest error, and that error: RMS of the logarithm, each backbone left out once."""
        names = np.array(self._names)
        found = []
        for penalty in PENALTIES:
            errors = []
            for name in sorted(set(self._names)):
                own = names == name
                misses = self._rows[own] @ self._fit(~own, penalty) - self._logs[own]
                errors.append(np.mean(misses**2))
            found.append((float(np.sqrt(np.mean(errors))), penalty))
        error, penalty = min(found)
        return penalty, error

    @property
    def error(self) -> float:
        """The factor by which a prediction is off: e to the error of the logarithm."""
        return math.exp(self._best[1])

    def predict(self, size: Size, kind: Kind) -> Prediction | None:
        """What a network of that size costs; None where too little is known, or nothing of that kind."""
        if not self.usable or kind not in self.kinds:
            return None
        from scipy.stats import t

        penalty, error = self._best
        centre = float(self._row(size, kind) @ self._fit(np.ones(len(self._known), np.bool_), penalty))
        n = self.backbones
        reach = float(t.ppf(SIDE, n - 1)) * error * math.sqrt(1 + 1 / n)
        return Prediction(math.exp(centre), math.exp(centre - reach), math.exp(centre + reach))

    @cached_property
    def _logs(self) -> npt.NDArray[np.float64]:
        return np.asarray(np.log([m.costs[self.column] for m in self._known]), np.float64)

    @cached_property
    def _scale(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        sizes = np.array([_logs_of(m.size) for m in self._known if m.size])
        return sizes.mean(axis=0), np.maximum(sizes.std(axis=0), 1e-6)

    def _row(self, size: Size, kind: Kind) -> npt.NDArray[np.float64]:
        centre, spread = self._scale
        effects = [float(kind == other) for other in self.kinds]
        return np.array([1.0, *((_logs_of(size) - centre) / spread), *effects])

    @cached_property
    def _rows(self) -> npt.NDArray[np.float64]:
        return np.array([self._row(m.size, _kind(m.cell)) for m in self._known if m.size])

    def _fit(self, of: npt.NDArray[np.bool_], penalty: float) -> npt.NDArray[np.float64]:
        rows, logs = self._rows[of], self._logs[of]
        ridge = penalty * np.eye(rows.shape[1])
        ridge[0, 0] = 0.0
        return np.asarray(np.linalg.solve(rows.T @ rows + ridge, rows.T @ logs), np.float64)


def _kind(cell: Cell) -> Kind:
    return cell.engine, cell.precision


def _logs_of(size: Size) -> npt.NDArray[np.float64]:
    return np.asarray(np.log([size.gmacs, size.parameters_m, size.pixels]), np.float64)


@dataclass(frozen=True)
class Outlook:
    """Whether a cell is within the budget, as far as is known before it runs.

    Attributes:
        why: of what is beyond it: the column, its value, and how that is known.
        predicted: it was not measured.
    """

    standing: Standing
    why: str = ""
    predicted: bool = False


@dataclass(frozen=True)
class Budget:
    """Limits, and what is known of costs on this machine.

    Attributes:
        sizes: of networks by backbone, where nothing of them was measured.
        unmeasured: backbones whose own measurements are not looked at: a replay predicts each from the others.
    """

    limits: tuple[Limit, ...]
    known: tuple[Measured, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)
    unmeasured: frozenset[str] = frozenset()

    @cached_property
    def predictors(self) -> dict[str, Predictor]:
        """One for each limit."""
        seen = [m for m in self.known if m.cell.backbone not in self.unmeasured]
        return {limit.column: Predictor(seen, limit.column) for limit in self.limits}

    @cached_property
    def _costs(self) -> dict[tuple[object, ...], Measured]:
        return {(arm_of(m.cell), *_kind(m.cell)): m for m in self.known if m.cell.backbone not in self.unmeasured}

    def size(self, cell: Cell) -> Size | None:
        """How large a cell's network is, as far as is known without its weights."""
        of_arm = arm_of(cell)
        found = next((m.size for m in self.known if m.size and arm_of(m.cell) == of_arm), None)
        if found or cell.depth:
            return found
        own = self.sizes.get(cell.backbone)
        return own.at(cell.size) if own and cell.size else own

    def outlook(self, cell: Cell) -> Outlook:
        """Where a cell stands: beyond the budget where one limit is surely broken, within where all surely hold."""
        found = [self._under(limit, cell) for limit in self.limits]
        for one in found:
            if one.standing == "beyond":
                return one
        return Outlook("open" if any(one.standing == "open" for one in found) else "within")

    def _under(self, limit: Limit, cell: Cell) -> Outlook:
        own, size = self._costs.get((arm_of(cell), *_kind(cell))), self.size(cell)
        value = own.costs.get(limit.column) if own else None
        if value is None and size and limit.column in OF_NETWORK and not size.off:
            value = size.gmacs if limit.column == "gmacs" else size.parameters_m
        if value is not None:
            return (
                Outlook("within")
                if limit.holds(value)
                else Outlook("beyond", f"{limit.column} {number(value)} measured")
            )
        found = self._expected(limit.column, size, cell) if size else None
        if found is None:
            return Outlook("open")
        best, worst = (found.high, found.low) if limit.least else (found.low, found.high)
        if not limit.holds(best):
            words = f"{limit.column} {number(found.value)} predicted ({number(found.low)} … {number(found.high)})"
            return Outlook("beyond", words, predicted=True)
        return Outlook("within" if limit.holds(worst) else "open", predicted=True)

    def _expected(self, column: str, size: Size, cell: Cell) -> Prediction | None:
        """What was neither measured nor counted."""
        if column == "gmacs":
            return Prediction(size.gmacs, size.gmacs * (1 - size.off), size.gmacs * (1 + size.off))
        if column == "parameters_m":  # the same at every input
            return Prediction(size.parameters_m, size.parameters_m, size.parameters_m)
        if not size.off:
            return self.predictors[column].predict(size, _kind(cell))
        at_own, own = self.sizes[cell.backbone], self._costs.get((arm_of(replace(cell, size="")), *_kind(cell)))
        value = own.costs.get(column) if own else None
        base = Prediction(value, value, value) if value else self.predictors[column].predict(at_own, _kind(cell))
        return base and grown(base, column, size.gmacs / at_own.gmacs, size.off)

    def remarks(self) -> list[str]:
        """How good the predictions are, in sentences."""
        found = []
        for column, one in self.predictors.items():
            if column in OF_NETWORK:
                continue
            if one.usable:
                found.append(
                    f"{column} is predicted from {one.backbones} backbones measured on this machine; one that is left "
                    f"out is off by a factor of {one.error:.2f}"
                )
            else:
                found.append(
                    f"{column}: {one.backbones} backbones were measured on this machine, and a prediction needs "
                    f"{LEAST}; nothing is dropped by prediction"
                )
        return found


def grown(base: Prediction, column: str, ratio: float, off: float) -> Prediction:
    """A cost at another input, from that at the checkpoint's own.

    Args:
        ratio: of GMACs, the other's over its own. off: what it may be off by, relatively, below 1.
    """
    least, most = GROWS.get(column, GROWS_ELSE)
    way = -1 if column in OF_SCENARIO["offline"] else 1
    factors = [(ratio * end) ** (way * power) for end in (1 - off, 1 + off) for power in (least, most)]
    middle = ratio ** (way * (least + most) / 2)
    return Prediction(base.value * middle, base.low * min(factors), base.high * max(factors))


RANKS = {"fp32": 2, "fp16": 1, "bf16": 1, "int8": 0, "fp8": 0}


def worth_scoring(cells: Mapping[Kind, float | None]) -> set[Kind]:
    """Of the cells of one arm those that may be the one to ship, by what each costs: a cell that costs at least as much
    as another one of the same or a higher precision is none, and needs no score.

    Args:
        cells: engine and precision → cost, lower is better; None where it is unknown, which decides nothing.
    """

    def beaten(kind: Kind, by: Kind) -> bool:
        better = by[1] == kind[1] or RANKS[by[1]] > RANKS[kind[1]]
        own, other = cells[kind], cells[by]
        return by != kind and better and own is not None and other is not None and (other, by) < (own, kind)

    return {kind for kind in cells if not any(beaten(kind, other) for other in cells)}


def holds(limits: Collection[Limit], costs: Mapping[str, float]) -> bool | None:
    """Whether measured costs are within all limits; None where a limited one is missing."""
    if any(limit.column not in costs for limit in limits):
        return None
    return all(limit.holds(costs[limit.column]) for limit in limits)
