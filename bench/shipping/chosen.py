"""The cell that is shipped: from a row of a ranking back to what makes it, and the head that is joined to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.records.results import Results
from bench.sweep import history
from bench.sweep.assembly import assemble
from bench.sweep.cells import Planned
from bench.sweep.spec import SweepSpec
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.sheet import label_text
from bench.verdict.table import rows
from export.errors import UserError, unknown
from export.store import Store
from tasks.base import Task
from tasks.catalog import TASKS, task
from tasks.data.base import DataSet

DEPLOYED = "deployed"


@dataclass(frozen=True)
class Chosen:
    """What is shipped.

    Attributes:
        row: what was measured of the cell. name: as tables call it.
        planned: the cell itself. images: what its head is fitted and judged on. scorer: the head's task.
    """

    row: Row
    name: str
    planned: Planned
    images: DataSet
    scorer: Task


def meant(ranking: Ranking, words: str) -> int:
    """The row of a sheet that every one of some words names.

    Raises:
        UserError: no ranked row is meant, or several.
    """
    sheet = ranking.sheet
    named = [row for row, label in enumerate(sheet.labels) if set(_words(label)).issuperset(words.split())]
    found = [row for row in named if sheet.status[row] == "ok"]
    if len(found) == 1:
        return found[0]
    if named and not found:
        raise UserError(f"{sheet.name(named[0])} cannot be shipped.", f"It is not ranked: {sheet.why[named[0]]}.")
    shown = sorted(sheet.name(row) for row in found or range(len(sheet.labels)) if sheet.status[row] == "ok")
    raise UserError(
        f"--cell {words!r} names {f'{len(found)} cells' if found else 'no cell'}.",
        f"{'They are' if found else 'There are'}: {'; '.join(shown[:8])}{'; …' if len(shown) > 8 else ''}.",
        "--cell 'BACKBONE ENGINE PRECISION'",
    )


def _words(label: Mapping[str, Any]) -> list[str]:
    """Everything that a reader may call a row by, word by word."""
    names = ("backbone", "input", "engine", "precision", "preprocess")
    depth = f"depth {label['depth']}" if label["depth"] else "whole"
    texts = [*(label_text(label, name) for name in names), str(label["precision"]), depth]
    return [word for text in texts for word in (text, *text.split(), *text.split(":")[:1])]


def chosen(results: Results, ranking: Ranking, row: int, folder: Path, name: str, store: Store) -> Chosen:
    """The cell of a row of the ranking of some results.

    Args:
        folder: of the results. name: of the task whose head is shipped; empty for the first that the data set is for.

    Raises:
        UserError: the folder does not say what was run; the cell is not in it any more; no task has a head for its
            data.
    """
    found = rows(results)[0][row]
    wanted = found.records[0].cell.identity
    known = list(history.sweeps(folder))
    if not known:
        raise UserError(
            f"{folder} does not say which sweep wrote it.",
            "Records alone do not make a network: weights and photographs are needed.",
            "run its sweep again with this --out: what is finished is not computed again",
        )
    missing: UserError | None = None
    for sweep in known:
        try:
            made = assemble(_alone(sweep, name), store)
        except UserError as error:  # its data or weights are gone: another sweep may have the cell
            missing = missing or error
            continue
        planned = next((cell for cell in made.cells if cell.cell.identity == wanted), None)
        if planned and planned.owed(made.data[:1]):
            [(images, scorer), *_] = planned.owed(made.data[:1])
            if why := planned.unscored(scorer):
                raise UserError(f"{ranking.sheet.name(row)} cannot be shipped.", why)
            return Chosen(found, ranking.sheet.name(row), planned, images, scorer)
    raise missing or UserError(
        f"No sweep of {folder} has {ranking.sheet.name(row)} any more.",
        "Its weights or what reads them have changed since it was measured.",
        "run its sweep again",
    )


def _alone(sweep: SweepSpec, name: str) -> SweepSpec:
    """The sweep with nothing but its first data set, and tasks that have a head to ship: the one of that name, else
    those of the sweep, else those for data of the same kind.

    Raises:
        UserError: that task has none.
    """
    heads = [known for known in TASKS if task(known).meta.head == DEPLOYED]
    if name and name not in heads:
        raise unknown("task with a head to ship", name, heads)
    kinds = {task(known).meta.kind for known in sweep.tasks} or {"labels"}
    alike = tuple(known for known in heads if task(known).meta.kind in kinds)
    tasks = (name,) if name else tuple(known for known in sweep.tasks if known in heads) or alike
    return replace(sweep, data=sweep.data[:1], shifted=(), corruptions=(), out_of_scope=(), scenarios=(), tasks=tasks)
