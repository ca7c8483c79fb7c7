"""A sheet of numbers: rows are what is ranked, columns are settings (what it is good for) and costs.

It comes from records or from any published table in a CSV file, so that both are ranked by the same code.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from export.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.verdict.overlap import Overlap

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
Status = Literal["ok", "parity", "skipped", "failed"]

VARIANT = ("input", "depth")
NAMING = ("machine", "backbone", *VARIANT, "engine", "precision", "preprocess", "batches")
"""The labels that may name a row, in their order."""
MISSING = frozenset({"", "-", "–", "—", "n/a", "na", "nan", "none"})


@dataclass(frozen=True)
class Flag:
    """What makes a timing doubtful, and of which scenario."""

    scenario: str
    text: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.text}"


@dataclass(frozen=True)
class Column:
    """A column's name, unit and direction.

    Attributes:
        about: what it is, for the report.
        test_set: the images behind a setting: settings of one test set are resampled together.
        task, data: of a setting that comes from records.
        head: ``task@data``, of a cost that is of the backbone with that task's head.
        priced: it follows from a price or a load that was given: every table shows it, and machines compare in it.
    """

    name: str
    unit: str = ""
    higher_is_better: bool = True
    about: str = ""
    test_set: str = ""
    task: str = ""
    data: str = ""
    head: str = ""
    priced: bool = False

    @property
    def title(self) -> str:
        """For a head: task and data set of a setting; of a cost its name as words, without the unit that it ends in."""
        return " ".join(self.words)

    def price(self, value: float) -> float | None:
        """A value as lower-is-better; None where it is unknown."""
        return None if np.isnan(value) else float(-value if self.higher_is_better else value)

    @property
    def task_name(self) -> str:
        """The task as a sentence names it; of a table from elsewhere the column's name."""
        return self.task.replace("_", " ") or self.name

    @property
    def words(self) -> list[str]:
        """The title in parts that a head may break between. Of names, only a cost's is taken apart, which is
        the code's own; a table's from elsewhere may break at its spaces."""
        if self.task:
            return [self.task_name, self.data]
        if not self.unit:
            return self.name.split()
        words = self.name.replace(".", "_").split("_")
        unit = self.unit.replace("/", "_per_").replace("%", "percent").lower().split("_")
        return words[: -len(unit)] if words[-len(unit) :] == unit else words


def label_text(label: Mapping[str, Any], name: str) -> str:
    """A row's label as tables show it: ``*`` marks a precision that is only emulated, ``▼`` one that loses much."""
    if name == "depth":
        return str(label.get(name) or "whole")
    text = str(label.get(name, ""))
    if name != "precision":
        return text
    return text + ("*" if label.get("emulated") else "") + (" ▼" if label.get("loses") else "")


@dataclass(frozen=True)
class Sheet:
    """Rows × (settings + costs).

    Attributes:
        labels: what each row is called: ``backbone``, and of a cell ``engine``, ``precision``, … in order.
        settings: columns that are ranked; values [rows, settings], NaN where there is none.
        errors: standard errors of ``values``, NaN where unknown.
        costs: columns that are paid; cost_values [rows, costs], NaN where there is none.
        status: "ok" rows may be ranked; ``why`` says what is wrong with the others (or ""), ``flags`` what is doubtful.
        samples: (row, setting) → per-sample values [n] whose mean is the value, in the test set's order.
        by_draw: (row, setting) → each seeded draw's mean over the test set [m], where a score is a mean over draws.
        overlaps: (row, setting) → what is known of its test images in the row's pretraining data; published sets only.
        notes: sentences for the foot of a whole table. remarks: on how the data sets were read, for every
            foot. money: on prices, likewise.
    """

    labels: tuple[dict[str, Any], ...]
    settings: tuple[Column, ...]
    values: Floats
    errors: Floats
    costs: tuple[Column, ...] = ()
    cost_values: Floats = field(default_factory=lambda: np.empty((0, 0)))
    status: tuple[Status, ...] = ()
    why: tuple[str, ...] = ()
    flags: tuple[tuple[Flag, ...], ...] = ()
    samples: Mapping[tuple[int, int], Floats] = field(default_factory=dict)
    by_draw: Mapping[tuple[int, int], Floats] = field(default_factory=dict)
    overlaps: Mapping[tuple[int, int], Overlap] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    money: tuple[str, ...] = ()

    @cached_property
    def naming(self) -> tuple[str, ...]:
        """The labels that name a row: backbone, engine and precision, and what else tells rows apart. Input and depth
        follow the backbone, with which they are one network; that one is cut is always said, and on which machine it
        ran, where there are several."""
        known = self.labels[0] if self.labels else {}
        names: tuple[str, ...] = tuple(k for k in ("backbone", "engine", "precision") if k in known)
        for more in ("machine", "input", "depth", "preprocess", "batches"):
            said = more == "machine" or (more == "depth" and any(label.get(more) for label in self.labels))
            if more in known and (said or self._distinct(names) < self._distinct((*names, more))):
                names = (*names, more)
        return tuple(sorted(names, key=NAMING.index))

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """The machines that rows were timed on, where there are several; else one without a name."""
        return tuple(dict.fromkeys(label.get("machine", "") for label in self.labels)) or ("",)

    def _distinct(self, names: Sequence[str]) -> int:
        return len({tuple(label[k] for k in names) for label in self.labels})

    def name(self, row: int) -> str:
        """``backbone · engine · precision``, or what there is of it."""
        return self._words(row, self.naming)

    def network(self, row: int) -> str:
        """The backbone, with its input and its depth where these tell rows apart."""
        return self._words(row, [k for k in self.naming if k in ("backbone", *VARIANT)])

    def variant(self, row: int) -> str:
        """Input and depth alone, where these tell rows apart."""
        return self._words(row, [k for k in self.naming if k in VARIANT])

    def _words(self, row: int, names: Sequence[str]) -> str:
        label = self.labels[row]
        return " · ".join(f"depth {label[k]}" if k == "depth" else str(label[k]) for k in names if label[k])

    def cost(self, name: str) -> tuple[Column, Floats]:
        """A cost column and its values [rows].

        Raises:
            UserError: there is no such column; the nearest ones are suggested.
        """
        for index, column in enumerate(self.costs):
            if column.name == name:
                return column, self.cost_values[:, index]
        raise unknown("cost column", name, [c.name for c in self.costs])

    def mark(self, row: int, setting: int) -> str:
        """The sign beside a score: † or ‡ where pretraining data contain the test images or may; else nothing."""
        known = self.overlaps.get((row, setting))
        return known.mark if known else ""

    def unflagged(self) -> Sheet:
        """The sheet without the scores on test images that the pretraining data contain or may contain."""
        flagged = {cell for cell, known in self.overlaps.items() if known.flagged}
        values, errors = self.values.copy(), self.errors.copy()
        for cell in flagged:
            values[cell] = errors[cell] = np.nan
        samples = {cell: v for cell, v in self.samples.items() if cell not in flagged}
        by_draw = {cell: v for cell, v in self.by_draw.items() if cell not in flagged}
        overlaps = {cell: v for cell, v in self.overlaps.items() if cell not in flagged}
        return replace(self, values=values, errors=errors, samples=samples, by_draw=by_draw, overlaps=overlaps)

    def only(self, settings: Collection[str]) -> Sheet:
        """The sheet with these settings alone.

        Raises:
            UserError: one of them is not there.
        """
        names = [s.name for s in self.settings]
        for name in settings:
            if name not in names:
                raise unknown("setting", name, names)
        keep = [i for i, name in enumerate(names) if name in settings]

        def kept(by_cell: Mapping[tuple[int, int], T]) -> dict[tuple[int, int], T]:
            return {(row, keep.index(s)): v for (row, s), v in by_cell.items() if s in keep}

        return replace(
            self,
            settings=tuple(self.settings[i] for i in keep),
            values=self.values[:, keep],
            errors=self.errors[:, keep],
            samples=kept(self.samples),
            by_draw=kept(self.by_draw),
            overlaps=kept(self.overlaps),
        )


def sheet_from_csv(path: Path, cost: str = "", lower: Collection[str] = (), ignore: Collection[str] = ()) -> Sheet:
    """Read a table: the first column names the rows, every other one is a setting.

    Args:
        cost: the column that is a cost (lower is better), not a setting.
        lower: settings where lower is better.
        ignore: columns to leave out.

    Raises:
        UserError: the file is no such table; the message names row and column.
    """
    header, body = _read(path)
    for name in (*([cost] if cost else []), *lower, *ignore):
        if name not in header[1:]:
            raise unknown("column", name, header[1:], f"correct the column's name (see {path.name})")
    kept = [i for i, name in enumerate(header) if i and name not in ignore and name != cost]
    if not kept:
        raise UserError(f"{path} has no column to rank by.", f"Its columns: {', '.join(header)}.")
    numbers = np.array([[_number(row, i, header, path) for i in kept] for row in body])
    paid = [_number(row, header.index(cost), header, path) for row in body] if cost else []
    return Sheet(
        labels=tuple({"backbone": row[0]} for row in body),
        settings=tuple(Column(header[i], higher_is_better=header[i] not in lower) for i in kept),
        values=numbers,
        errors=np.full(numbers.shape, np.nan),
        costs=(Column(cost, higher_is_better=False),) if cost else (),
        cost_values=np.array(paid).reshape(len(body), -1),
        status=tuple("ok" for _ in body),
        why=("",) * len(body),
        flags=((),) * len(body),
        notes=(f"Table: {path.name}, {len(body)} rows; it has no standard errors, so significance is not tested.",),
    )


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The table {str(path)!r} cannot be read.", str(error)) from error
    lines = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(c.strip() for c in row)]
    if len(lines) < 2 or len(lines[0]) < 2:
        raise UserError(
            f"{path} is not a table.", "It needs a line of column names, then one line a backbone: name,number,number,…"
        )
    header, body = lines[0], lines[1:]
    _unique(header, "columns", path)
    _unique([row[0] for row in body], "rows", path)
    for row in body:
        if len(row) != len(header):
            raise UserError(f"{path}: row {row[0]!r} has {len(row)} cells.", f"The header has {len(header)}.")
    return header, body


def _unique(names: Sequence[str], kind: str, path: Path) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UserError(f"{path}: two {kind} are called {twice[0]!r}.", "", "give each its own name")


def _number(row: Sequence[str], index: int, header: Sequence[str], path: Path) -> float:
    text = row[index]
    if text.lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            f"{path}: row {row[0]!r}, column {header[index]!r}: {text!r} is not a number.",
            "An empty cell or '-' stands for a missing number.",
            f"correct it, or leave the column out with --ignore {header[index]!r}",
        )
    return value
