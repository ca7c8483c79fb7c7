"""What a sweep has to do, as values: each piece names a cell by its number, and the pieces that come before it.

Every stage that the plain pipeline runs for a cell is a piece: its file, its plan with the parity gate, the shards of
its features, and its scores on each data set. Only what is not finished becomes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from bench.sweep import passes, pipeline
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.features import shards_of
from tasks.base import FEATURES, Task
from tasks.data.base import DataSet

Kind = Literal["export", "plan", "pass", "features", "score", "ready"]


@dataclass(frozen=True)
class Piece:
    """One thing to do, on one node.

    Attributes:
        number: its place among the pieces of the sweep.
        cell, name: of the cell: its number in the sweep, and what it is called.
        home: of the nodes that make this cell's plans (see :mod:`bench.cluster.nodes`); empty where any node will do.
        plan: the key of the plan that must come of it.
        due: what is to be scored: number of the data set, and name of the task.
        source: of features: number of the data set, of the source in it, and the first row of the shard.
        of: number of the cell whose file is taken, where that is another: a baseline has none of its own.
        base: an export is of the fp32 file, and not of the cell's own.
        finished: keys of the cell's results that are there.
        needs: numbers of the pieces that come before.
        images: how many pictures go through it, about.
    """

    number: int
    kind: Kind
    cell: int
    name: str
    home: str = ""
    plan: str = ""
    due: tuple[tuple[int, str], ...] = ()
    source: tuple[int, int, int] = (0, 0, 0)
    of: int = -1
    base: bool = False
    finished: tuple[str, ...] = ()
    needs: tuple[int, ...] = ()
    images: int = 0

    def __str__(self) -> str:
        return f"{self.kind} of {self.name}"


@dataclass
class Pieces:
    """The pieces of a sweep while they are made, in the order in which they may be done.

    Attributes:
        asked: what the sweep asks for, with the engines as the nodes have them.
        homes: of each cell (see :class:`Piece`).
        trouble: what is wrong with cells of which no piece is made.
    """

    asked: Assembly
    desk: Desk
    homes: Sequence[str]
    made: list[Piece] = field(default_factory=list)
    trouble: dict[int, BaseException] = field(default_factory=dict)
    _exports: dict[str, int] = field(default_factory=dict)
    _plans: dict[int, int] = field(default_factory=dict)
    _passes: dict[int, int] = field(default_factory=dict)
    _shards: dict[str, int] = field(default_factory=dict)
    _scores: dict[tuple[int, str], int] = field(default_factory=dict)

    def of_cell(self, number: int, due: Sequence[tuple[DataSet, Task]]) -> None:
        """Make the pieces of one cell that has these scores due."""
        if not due:
            return
        planned = self.asked.cells[number]
        at = {id(images): place for place, images in enumerate(self.asked.data)}
        wanted = [(at[id(images)], scorer) for images, scorer in due]
        plan = self._plan(number, planned, wanted)
        first = self._pass(number, planned, plan)
        for place, images in enumerate(self.asked.data):
            own = [scorer for where, scorer in wanted if where == place]
            if own:
                self._score(number, planned, place, images, own, plan, first)

    def _add(self, kind: Kind, cell: int, **fields: object) -> int:
        name = str(self.asked.cells[cell].cell)
        self.made.append(Piece(len(self.made), kind, cell, name, **fields))  # type: ignore[arg-type]
        return len(self.made) - 1

    def _export(self, number: int, planned: Planned) -> int:
        base = planned.origin.onnx_key
        if base not in self._exports:
            self._exports[base] = self._add("export", number, base=True)
        if planned.onnx_key not in self._exports:
            self._exports[planned.onnx_key] = self._add("export", number, needs=(self._exports[base],))
        return self._exports[planned.onnx_key]

    def _plan(self, number: int, planned: Planned, due: Sequence[tuple[int, Task]]) -> int:
        named = tuple((place, scorer.meta.name) for place, scorer in due)
        needs = (self._export(number, planned),)
        self._plans[number] = self._add(
            "plan", number, home=self.homes[number], plan=planned.plan_key, due=named, needs=needs
        )
        return self._plans[number]

    def _pass(self, number: int, planned: Planned, plan: int) -> int:
        """Of cells that differ in depth alone: one pass over the images for all of them."""
        if not planned.backbone.depth:
            return plan
        group = passes.depths_of(planned, self.asked.cells)
        first = next(at for at, cell in enumerate(self.asked.cells) if cell is group[0])
        if first not in self._passes:
            done = [
                key
                for cell in group
                if cell.availability.ok and not cell.trouble
                for images, scorer in cell.owed(self.asked.data)
                if not cell.unscored(scorer) and self.desk.finished(key := cell.score_key(images, scorer))
            ]
            self._passes[first] = self._add(
                "pass",
                number,
                home=self.homes[number],
                plan=planned.plan_key,
                needs=(plan,),
                finished=tuple(done),
                images=sum(len(images.samples) for images in self.asked.data),
            )
        return self._passes[first]

    def _score(
        self, number: int, planned: Planned, place: int, images: DataSet, own: Sequence[Task], plan: int, first: int
    ) -> None:
        fits = {planned.fit_key(images, scorer) for scorer in own}
        before = {self._scores[number, fit] for fit in fits if (number, fit) in self._scores}  # they make the fit
        shards = self._features(number, planned, place, images, own, first) if not planned.backbone.depth else []
        piece = self._add(
            "score",
            number,
            home=self.homes[number],
            plan=planned.plan_key,
            due=tuple((place, scorer.meta.name) for scorer in own),
            needs=tuple(sorted({plan, first, *before, *shards})),
            images=len(images.samples),
        )
        for fit in fits:
            self._scores.setdefault((number, fit), piece)

    def _features(
        self, number: int, planned: Planned, place: int, images: DataSet, own: Sequence[Task], first: int
    ) -> list[int]:
        """The shards of pooled features, where there are several: of one, the score makes it itself."""
        if not any(FEATURES in scorer.meta.outputs and scorer.meta.head != "deployed" for scorer in own):
            return []
        found = []
        for at, source in enumerate(images.sources):
            starts = shards_of(source)
            if len(starts) < 2:
                continue
            for start in starts:
                own_key = f"{planned.plan_key} {source.digest} {start}"
                if own_key not in self._shards:
                    self._shards[own_key] = self._add(
                        "features",
                        number,
                        home=self.homes[number],
                        plan=planned.plan_key,
                        source=(place, at, start),
                        needs=(first,),
                        images=min(starts.step, len(source.samples) - start),
                    )
                found.append(self._shards[own_key])
        return found


def pieces_of(asked: Assembly, desk: Desk, homes: Sequence[str], tally: pipeline.Tally) -> Pieces:
    """Everything that the sweep still has to score, as pieces; what is never scored becomes records.

    Args:
        homes: of each cell; empty for one that no node can run.
    """
    pieces = Pieces(asked, desk, homes)
    for number, planned in enumerate(asked.cells):
        try:
            pipeline.require_available(planned)
            pieces.of_cell(number, pipeline.due(planned, asked.data, desk, tally))
        except pipeline.ENDS:
            raise
        except BaseException as error:
            pieces.trouble[number] = error
    return pieces


def unfinished(pieces: Sequence[Piece], lost: int) -> Iterator[Piece]:
    """The pieces that cannot be done without that one, itself first: what needs its file or its plan.

    What only comes after it (a score after a pass over the images) makes what is missing itself.
    """
    gone = {lost} if pieces[lost].kind in ("export", "plan") else set[int]()
    for piece in pieces:
        if piece.number == lost or gone & set(piece.needs):
            if piece.kind in ("export", "plan"):
                gone.add(piece.number)
            yield piece


def ready_to_time(asked: Assembly, cells: Sequence[tuple[int, int, str, tuple[str, ...]]]) -> list[Piece]:
    """What the timings of cells need, to be made on nodes that will time them.

    Args:
        cells: number of the cell, of the cell whose file it takes, its home, and the keys that are finished.
    """
    made: list[Piece] = []
    for number, of, home, finished in cells:
        planned = asked.cells[of]
        if of != number:
            planned = replace(planned, engine=asked.cells[number].engine)
        name = str(planned.cell)
        made.append(
            Piece(
                len(made),
                "ready",
                number,
                name,
                home=home,
                plan=planned.plan_key,
                of=of if of != number else -1,
                finished=finished,
            )
        )
    return made
