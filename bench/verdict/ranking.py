"""From a sheet to an order with its significance: mean z-score, its error, ranks with their span, the front.

Pure functions; nothing is read or printed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from bench.records import stats
from bench.verdict import significance
from bench.verdict.overlap import published
from bench.verdict.sheet import Floats, Sheet
from bench.verdict.significance import DRAWS, LEVEL, ROUNDING, Bools
from export.errors import unknown

Missing = Literal["exclude", "average"]

LATENCY = "latency_p50_ms"
FINE = 3
"""Decimals of a z-score on the front: engines that compute the same differ in the sixth, and are equally accurate."""


@dataclass(frozen=True)
class Options:
    """Choices that move a rank; every table states them in its foot.

    Attributes:
        ddof: of the standard deviation in the z-score: 0 divides by n, 1 by n − 1.
        missing: rows that lack a setting are excluded, or averaged over the settings that they have.
        seed: of the bootstrap.
    """

    ddof: Literal[0, 1] = 0
    missing: Missing = "exclude"
    seed: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a row stands.

    Attributes:
        row: index into the sheet.
        z: mean over settings of its z-scores; None where fewer than two rows could be compared.
        z_error: standard error of ``z`` against the mean of all rows; None where the scores come without errors.
        mean_rank: mean over settings of its rank, ties sharing theirs.
        borda: over all settings, the number of rows that it beats; a tie counts half.
        low, high: its rank lies between them: a row counts as better than another only where their difference is
            significant, which is where its interval excludes zero.
        first_share: share of the bootstrap resamples in which its mean z is the highest; rows that tie share one
            equally. None where fewer than two rows could be compared.
    """

    row: int
    z: float | None
    z_error: float | None
    mean_rank: float
    borda: float
    low: int
    high: int
    first_share: float | None = None

    @property
    def rank(self) -> str:
        """``2`` or ``1–3``."""
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"


class Ranking:
    """The rows of a sheet that may be ranked, best first, and the reasons why others are not.

    There may be none: a sweep that was only timed still has its costs to show.
    """

    def __init__(self, sheet: Sheet, options: Options = Options()) -> None:
        self.sheet, self.options = _excluding(sheet, options), options
        self.ranked = [i for i, status in enumerate(self.sheet.status) if status == "ok"]
        values = self.sheet.values[self.ranked]
        signs = np.array([1.0 if s.higher_is_better else -1.0 for s in sheet.settings])
        self._gains = values * signs
        self._gains[:, ~_usable(self.sheet, options)] = np.nan
        self.z_by_setting = np.full(self.sheet.values.shape, np.nan)
        for j in range(len(signs)):
            self.z_by_setting[self.ranked, j] = stats.z_scores(self._gains[:, j], options.ddof)
        self.standings = self._standings()

    @property
    def defined(self) -> bool:
        """Whether there are enough rows for a z-score."""
        return len(self.ranked) > 1 and bool((~np.isnan(self.z_by_setting)).any())

    @cached_property
    def clean(self) -> Ranking | None:
        """The same rows without the scores on test images that a row's pretraining data contain or may contain.

        None where there are none. What a row has left is averaged; a row that has nothing left is not ranked.
        """
        if not any(known.flagged for (row, _), known in self.sheet.overlaps.items() if row in self.ranked):
            return None
        return Ranking(self.sheet.unflagged(), replace(self.options, missing="average"))

    @cached_property
    def draws(self) -> Floats:
        """Mean z in bootstrap resamples of the test images: [draws, ranked rows], in the order of ``ranked``."""
        return significance.resampled(self.sheet, self.ranked, self._gains, self.weights, self.options.seed)

    @cached_property
    def leads(self) -> Bools:
        """Whether each ranked row is significantly better than each other one, [ranked rows, ranked rows]."""
        return significance.ahead(self.draws)

    @property
    def undrawn(self) -> list[str]:
        """Settings whose seeded draws some ranked rows report and others do not: those cannot be resampled."""
        found = []
        for j, setting in enumerate(self.sheet.settings):
            counts = {len(self.sheet.by_draw.get((i, j), ())) for i in self.ranked if (i, j) in self.sheet.samples}
            if len(counts) > 1:
                found.append(setting.name)
        return found

    @cached_property
    def weights(self) -> Floats:
        """What one unit of a score adds to its row's mean z, [rows, settings]; 0 where there is no score."""
        weights: Floats = np.zeros(self.sheet.values.shape)
        for j, setting in enumerate(self.sheet.settings):
            gains = self._gains[:, j]
            known = ~np.isnan(gains)
            spread = float(gains[known].std(ddof=self.options.ddof)) if known.sum() > 1 else 0.0
            sign = 1.0 if setting.higher_is_better else -1.0
            if spread > 1e-12 * max(1.0, float(np.abs(gains[known]).max(initial=0.0))):
                weights[np.array(self.ranked)[known], j] = sign / spread
        weights[self.ranked] /= np.maximum((~np.isnan(self._gains)).sum(axis=1, keepdims=True), 1)
        return weights

    def clean_standing(self, row: int) -> Standing | None:
        """Where ``row`` stands in :attr:`clean`; None where there is no such ranking, or it is not in it."""
        return self.clean.by_row.get(row) if self.clean else None

    @cached_property
    def by_row(self) -> dict[int, Standing]:
        """Row of the sheet → where it stands."""
        return {s.row: s for s in self.standings}

    def _standings(self) -> list[Standing]:
        if not self.ranked:
            return []
        z = self.z_by_setting[self.ranked]
        known = ~np.isnan(self._gains)
        ranks = np.apply_along_axis(stats.ranks, 0, self._gains)
        beaten = np.where(known, known.sum(axis=0) - ranks, 0)
        errors = self.draws.std(axis=0, ddof=1)
        firsts = stats.first_shares(self.draws, ROUNDING)
        lows, highs = 1 + self.leads.sum(axis=0), len(self.ranked) - self.leads.sum(axis=1)
        found = []
        for c, row in enumerate(self.ranked):
            low, high = int(lows[c]), int(highs[c])
            mean = float(z[c][known[c]].mean()) if self.defined else None
            error = float(errors[c]) if self.defined and errors[c] > ROUNDING else None
            mean_rank, borda = float(ranks[c][known[c]].mean()), float(beaten[c].sum())
            first = float(firsts[c]) if self.defined else None
            found.append(Standing(row, mean, error, mean_rank, borda, low, high, first))
        return sorted(found, key=lambda s: (-(s.z or 0.0), s.mean_rank, self.sheet.name(s.row)))

    def ahead(self, row: int, other: int) -> bool:
        """Whether ``row`` is significantly better than ``other``."""
        return bool(self.leads[self.place[row], self.place[other]])

    @cached_property
    def place(self) -> dict[int, int]:
        """Row of the sheet → its place in ``ranked``, and so in ``draws`` and ``leads``."""
        return {row: c for c, row in enumerate(self.ranked)}

    def difference(self, row: int, other: int) -> tuple[float, float, float, float]:
        """Mean z of ``row`` minus that of ``other``: value, standard error (0 where none is known), 95 % interval."""
        drawn = self.draws[:, self.place[row]] - self.draws[:, self.place[other]]
        z = {s: self.by_row[s].z or 0.0 for s in (row, other)}
        error = float(drawn.std(ddof=1))
        return z[row] - z[other], error if error > ROUNDING else 0.0, *stats.interval(drawn, LEVEL)

    def difference_in(self, setting: int, row: int, other: int) -> tuple[float, float, float]:
        """One setting's score of ``row`` minus that of ``other``: value and 95 % interval (paired bootstrap), in the
        setting's unit; positive where ``row`` is better. NaN where the interval cannot be known."""
        sheet, sign = self.sheet, 1.0 if self.sheet.settings[setting].higher_is_better else -1.0
        value = sign * float(sheet.values[row, setting] - sheet.values[other, setting])
        samples = stats.side_by_side([sheet.samples.get((i, setting), ()) for i in (row, other)])
        if samples is None:
            error = float(np.hypot(sheet.errors[row, setting], sheet.errors[other, setting]))
            reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
            return value, value - reach, value + reach
        means = stats.side_by_side([sheet.by_draw.get((i, setting), ()) for i in (row, other)])
        by_draw = [] if means is None else [means[:, :1] - means[:, 1:]]
        drawn = stats.paired_bootstrap(samples[:, :1] - samples[:, 1:], DRAWS, self.options.seed, by_draw)
        low, high = stats.interval(sign * drawn[:, 0], LEVEL)
        return value, low, high

    @property
    def has_errors(self) -> bool:
        """Whether any score of a ranked row comes with an error: without one, no difference can be tested."""
        return any(s.z_error is not None for s in self.standings)

    def images(self, data: str = "") -> int:
        """The number of test images of a data set, or of the smallest one; 0 where unknown."""
        counts: dict[str, int] = {}
        for (_, j), samples in self.sheet.samples.items():
            name = self.sheet.settings[j].data
            counts[name] = max(counts.get(name, 0), len(samples))
        return counts.get(data, 0) if data else min(counts.values(), default=0)

    def front(self, cost: str) -> list[int]:
        """Rows on the Pareto front of mean z against a cost column, cheapest first; of several machines, on that of
        their own: a cost on one is none on another, unless it is of money."""
        column, values = self.sheet.cost(cost)
        paid = {s.row: column.price(values[s.row]) for s in self.standings}
        front: list[int] = []
        groups = [self.standings]
        if not column.priced:
            of = [self.sheet.labels[s.row].get("machine", "") for s in self.standings]
            groups = [[s for s, on in zip(self.standings, of, strict=True) if on == m] for m in self.sheet.machines]
        for own in groups:
            on = stats.pareto_front([round(s.z or 0.0, FINE) for s in own], [paid[s.row] for s in own])
            front += [s.row for s, yes in zip(own, on, strict=True) if yes]
        return sorted(front, key=lambda row: paid[row] or 0.0)

    def ordered(self, by: str = "z") -> list[Standing]:
        """Standings by ``z``, ``mean_rank``, ``borda``, or any setting or cost column; best first.

        Raises:
            UserError: there is no such column.
        """
        if by == "z":
            return self.standings
        if by == "mean_rank":
            return sorted(self.standings, key=lambda s: s.mean_rank)
        if by == "borda":
            return sorted(self.standings, key=lambda s: -s.borda)
        names = [s.name for s in self.sheet.settings]
        if by in names:
            column, values = self.sheet.settings[names.index(by)], self.sheet.values[:, names.index(by)]
        elif by in (costs := [c.name for c in self.sheet.costs]):
            column, values = self.sheet.cost(by)
        else:
            raise unknown("order", by, ["z", "mean_rank", "borda", *names, *costs])

        def paid(standing: Standing) -> float:
            value = column.price(values[standing.row])
            return math.inf if value is None else value

        return sorted(self.standings, key=paid)

    def default_cost(self) -> str:
        """The cost that accuracy is plotted against: money, where a price was given; else median latency (with the
        head, where one head is all that is ranked); else the first there is."""
        names = [c.name for c in self.sheet.costs]
        if priced := [c.name for c in self.sheet.costs if c.priced]:
            return priced[0]
        whole = [c.name for c in self.sheet.costs if c.name == f"{c.head}.{LATENCY}"]
        if len(whole) == len(self.sheet.settings) == 1:
            return whole[0]
        return LATENCY if LATENCY in names else names[0] if names else ""

    def foot(self, cost: str = "") -> list[str]:
        """How the numbers came about: the options, in words."""
        n, s = len(self.ranked), len(self.sheet.settings)
        how = "excluded" if self.options.missing == "exclude" else "averaged over the settings they have"
        lines = [
            f"z: mean over {s} setting{'s' * (s != 1)} of (score − mean) / standard deviation over the {n} ranked "
            f"rows; ddof {self.options.ddof}; rows that lack a setting are {how}."
            if self.defined
            else "z: n/a, since " + _undefined(n)
        ]
        if self.has_errors:
            lines.append(
                "± is one standard error; that of z is relative to the mean of all ranked rows. Rank a–b: differences "
                "within this span are not significant. A difference is significant where the 95 % interval of a paired "
                f"bootstrap over test images ({DRAWS:,} resamples, each pair tested alone) excludes zero"
                + ("; training images drawn by seed are resampled as well." if self.sheet.by_draw else ".")
            )
        if self.undrawn:
            lines.append(
                f"{', '.join(self.undrawn)}: older records lack the scores of the single draws of training images, so "
                "ranks and errors of z leave this source of variance out. Remove those records and run again."
            )
        if self.has_errors:
            lines.append(
                "first %: share of the bootstrap resamples in which the row's z is the highest; rows that tie share "
                "it equally."
            )
        if self.clean:
            lines.append(
                "rank without †‡: the same rows without the scores so marked; each row's z is then the mean over its "
                "other settings (– where it has none)."
            )
        lines += published(known for (row, _), known in self.sheet.overlaps.items() if row in self.ranked)
        if cost:
            apart = len(self.sheet.machines) > 1 and not self.sheet.cost(cost)[0].priced
            where = " of its machine" if apart else ""
            lines.append(f"● is on the Pareto front of z against {cost}: no row{where} is both better and cheaper.")
        return [*lines, *self.sheet.money, *self.sheet.notes, *self.sheet.remarks]

    def as_rows(self, cost: str = "", by: str = "z") -> list[dict[str, Any]]:
        """Every row, ranked ones first, as flat JSON values: for CSV, JSON and Parquet."""
        front = set(self.front(cost)) if cost else set()
        aside = [i for i in range(len(self.sheet.labels)) if i not in self.place]
        ranked = [self._flat(s.row, s, s.row in front if cost else None) for s in self.ordered(by)]
        return ranked + [self._flat(i, None, None) for i in aside]

    def _flat(self, row: int, standing: Standing | None, on_front: bool | None) -> dict[str, Any]:
        sheet, s = self.sheet, standing
        flat: dict[str, Any] = dict(sheet.labels[row])
        flat |= {
            "status": sheet.status[row],
            "why": sheet.why[row],
            "flags": "; ".join(map(str, sheet.flags[row])),
            "on_front": on_front,
        }
        flat |= {"rank_low": s.low if s else None, "rank_high": s.high if s else None}
        flat |= {"first_share": s.first_share if s else None}
        clean = self.clean_standing(row)
        flat |= {"clean_rank_low": clean.low if clean else None, "clean_rank_high": clean.high if clean else None}
        flat |= {"clean_z": clean.z if clean else None}
        flat |= {"z": s.z if s else None, "z_stderr": s.z_error if s else None}
        flat |= {"mean_rank": s.mean_rank if s else None, "borda": s.borda if s else None}
        for j, setting in enumerate(sheet.settings):
            flat[setting.name] = _known(sheet.values[row, j])
            flat[f"{setting.name}_stderr"] = _known(sheet.errors[row, j])
            flat[f"{setting.name}_z"] = _known(self.z_by_setting[row, j])
            known = sheet.overlaps.get((row, j))
            flat[f"{setting.name}_overlap"] = known.strength if known else None
        for j, column in enumerate(sheet.costs):
            flat[column.name] = _known(sheet.cost_values[row, j])
        return flat


def _undefined(rows: int) -> str:
    if rows > 1:
        return "no two rows have a score in the same setting."
    return "one row alone cannot be compared with others." if rows else "no row may be ranked."


def _usable(sheet: Sheet, options: Options) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Settings that a mean may be taken over, [settings]: where rows are averaged over what they have, a score that
    no other row has moves no mean, since there is nothing to compare it with. All, where that would leave none."""
    fit = [i for i, status in enumerate(sheet.status) if status == "ok"]
    shared = (~np.isnan(sheet.values[fit])).sum(axis=0) > 1
    return shared if options.missing == "average" and shared.any() else np.ones(len(sheet.settings), np.bool_)


def _excluding(sheet: Sheet, options: Options) -> Sheet:
    """Bar the rows that lack a setting (every setting, where rows are averaged over what they have)."""
    status, why, usable = list(sheet.status), list(sheet.why), _usable(sheet, options)
    for i in range(len(status)):
        missing = np.isnan(sheet.values[i])
        lacks = [s.name for s, gone in zip(sheet.settings, missing | ~usable, strict=True) if gone]
        if status[i] == "ok" and lacks and (options.missing == "exclude" or len(lacks) == len(sheet.settings)):
            status[i] = "skipped"
            why[i] = "; ".join(filter(None, [why[i], f"no score for {', '.join(lacks)}"]))
    return replace(sheet, status=tuple(status), why=tuple(why))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
