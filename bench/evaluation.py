"""The door for Python: ``from bench import evaluate`` runs a sweep, and gives results to look at and to pick from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.budget import document
from bench.verdict.choose import ranking_of
from bench.verdict.picking import Limit, pick, suggestion
from bench.verdict.ranking import Ranking

FRAMES = ("pandas", "polars")
"""Libraries whose frame a table becomes: the first that is installed."""


@dataclass(frozen=True)
class Suggestion:
    """The cell to ship; as text, its sentences.

    Attributes:
        labels: what the cell is called: ``backbone``, ``engine``, ``precision``, ``preprocess``, ``batches``, ….
        best: the same of the most accurate cell within the limits.
        tied: the same of every cell whose accuracy is not significantly below the best one's, the best among them.
        cost: the cost column that decided; empty where no cost was measured.
        limits: each limit, whether it is ``binding``, and from which value on another cell is the ``pick`` or the
            ``best``.
        ladder: dearer cells on the front: how much ``more`` each costs, its lead ``z`` over the pick with the 95 %
            interval (``low``, ``high``), and whether that is ``significant``.
        budgets: how the pick moves with the budget: ``start``, ``end``, and the ``cell`` (None where nothing fits).
        sentences: what to ship and what it costs; why that one; what a limit or a dearer cell would change.
    """

    labels: Mapping[str, Any]
    best: Mapping[str, Any]
    tied: tuple[Mapping[str, Any], ...]
    cost: str
    limits: tuple[Mapping[str, Any], ...]
    ladder: tuple[Mapping[str, Any], ...]
    budgets: tuple[Mapping[str, Any], ...]
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The results in a folder, ranked. As text the table that a terminal shows, with the pick; in a notebook as HTML.

    Attributes:
        folder: the results folder.
        results: its records, as far as they may be compared.
    """

    folder: Path
    results: Results

    @classmethod
    def open(
        cls,
        folder: str | Path = "results",
        *,
        machine: str | None = None,
        data: str | Iterable[str] = (),
        protocols: str | Iterable[str] = (),
    ) -> Evaluation:
        """The results of an earlier sweep; nothing is run.

        Args:
            machine, data, protocols: keep what is meant by them (see :meth:`bench.records.results.Results.choose`).

        Raises:
            UserError: there is no record in the folder, or no such machine, data set or protocol.
        """
        found = Results.load(Path(folder)).choose(machine, _several(data), _several(protocols))
        return cls(Path(folder), found)

    @property
    def records(self) -> tuple[Record, ...]:
        """Every result, those that failed and those that were skipped included."""
        return self.results.records

    @cached_property
    def ranking(self) -> Ranking:
        """The cells in order, with errors.

        Raises:
            UserError: the folder holds results that may not stand in one table; the message says how to choose.
        """
        return ranking_of(self.results)

    def rows(self, cost: str = "") -> list[dict[str, Any]]:
        """One flat row a cell, ranked ones first, with the columns of ``bob rank --json``.

        Args:
            cost: the column that ``on_front`` is about; by default median latency.

        Raises:
            UserError: as :attr:`ranking`; or there is no such column.
        """
        return self.ranking.as_rows(cost or self.ranking.default_cost())

    def table(self, cost: str = "") -> Any:
        """:meth:`rows` as a frame: of pandas where it is installed, else of polars; the rows themselves without both.

        Raises:
            UserError: as :meth:`rows`.
        """
        rows = self.rows(cost)
        library = next((name for name in FRAMES if find_spec(name)), None)
        if library == "pandas":
            import pandas

            return pandas.DataFrame(rows)
        if library == "polars":
            import polars

            return polars.DataFrame(rows, infer_schema_length=None)
        return rows

    def pick(
        self, *, max: Mapping[str, float] | None = None, min: Mapping[str, float] | None = None, cost: str = ""
    ) -> Suggestion:
        """The cell to ship: the cheapest whose accuracy is not significantly below the best one's.

        Args:
            max: cost column → what it may be at most, for example ``{"latency_p50_ms": 20}``.
            min: column where more is better → what it must be at least.
            cost: the column that decides; by default median latency.

        Raises:
            UserError: an unknown column, a limit in the wrong direction, no cell within the limits, or no ranked cell.
        """
        limits = [Limit.parse(f"{column}={value}") for column, value in (max or {}).items()]
        limits += [Limit.parse(f"{column}={value}", least=True) for column, value in (min or {}).items()]
        found = document(self.ranking, pick(self.ranking, cost, limits))
        several = {name: tuple(found[name]) for name in ("tied", "limits", "ladder", "budgets", "sentences")}
        return Suggestion(found["pick"], found["best"], cost=found["cost"] or "", **several)

    def report(self, path: str | Path | None = None, photographs: bool = True) -> Path:
        """Write the HTML page, by default ``report.html`` in the folder; returns its path.

        Args:
            photographs: embed thumbnails of test photographs, and pictures of predictions.

        Raises:
            UserError: as :attr:`ranking`; or the file cannot be written.
        """
        from bench.report import write

        return write(self.results, Path(path) if path else self.folder / "report.html", photographs=photographs)

    def __str__(self) -> str:
        from bench.verdict.show import print_ranking

        text = io.StringIO()
        print_ranking(self.ranking, file=text)
        return f"{text.getvalue()}{suggestion(self.ranking)}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from bench.verdict.show import html

        return f"{html(self.ranking)}\n<p>{escape(suggestion(self.ranking))}</p>"


def evaluate(
    *,
    config: str | Path | None = None,
    out: str | Path = "results",
    store: str | Path | None = None,
    fresh: bool = False,
    **fields: Any,
) -> Evaluation:
    """Run what is not finished of a sweep, and give its results.

    Args:
        config: a sweep in YAML, over which ``fields`` come.
        out: the results folder.
        store: where built things lie; by default the user's cache folder.
        fresh: score and time again what is finished.
        fields: those of a sweep, as in YAML (docs/sweep.md). Lists, single texts and paths are taken.

    Raises:
        UserError: a mistake in what was asked; nothing has run. What fails later becomes a record, and is in the table.
    """
    from bench.sweep.assembly import assemble
    from bench.sweep.desk import Desk
    from bench.sweep.pipeline import run
    from bench.sweep.spec import read
    from export.progress import say
    from export.store import Store

    sweep = read(Path(config) if config else None, "the call of evaluate", **fields)
    opened = Store(Path(store) if store else None, say)
    desk = Desk.open(Path(out), sweep, opened, fresh)
    with desk.alone():
        asked = assemble(sweep, opened)
        run(asked, desk)
    return Evaluation.open(Path(out), protocols=asked.protocols(desk.machine))


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
