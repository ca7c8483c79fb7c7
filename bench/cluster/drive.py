"""The driver: deals pieces to nodes, takes in what came of them, and writes the records, alone.

A piece is a task of Ray's, on the node that it was dealt to. Where its process or its node dies, it is dealt again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import ray

from bench.cluster import work
from bench.cluster.crew import LOST, Crew
from bench.cluster.deal import Deal
from bench.cluster.nodes import Node
from bench.cluster.pieces import Piece
from bench.records.parts import Failure, TaskSubject
from bench.records.record import ScoreRecord
from bench.sweep import pipeline
from bench.sweep.assembly import Assembly
from bench.sweep.desk import Desk
from bench.sweep.pipeline import Tally
from export.errors import OutOfSpace, UserError, first_line
from export.progress import say
from export.store import write_atomic
from tasks.base import Task
from tasks.data.base import DataSet

STEP_SECONDS = 1.0
WAIT_SECONDS = 300.0
"""So long the sweep waits for a node, where none can do what is left."""


@dataclass
class _Flight:
    piece: Piece
    node: Node


@dataclass
class Driver:
    """One sweep on a cluster.

    Attributes:
        heard: called with each piece that is done, or will not be.
    """

    asked: Assembly
    desk: Desk
    crew: Crew
    tally: Tally
    heard: Callable[[Piece], None] = lambda piece: None
    _flights: dict[Any, _Flight] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)

    @property
    def failed(self) -> frozenset[int]:
        """Cells of which the plan could not be made: they are not timed."""
        return frozenset(self._failed)

    def run(self, pieces: Sequence[Piece]) -> None:
        """Have all of them done.

        Raises:
            UserError: no node that can do what is left has come for a while; what was finished is kept.
            OutOfSpace: the driver's own disk is full, or every node's.
        """
        deal, idle = Deal(pieces), time.monotonic()
        try:
            while deal.left:
                self.crew.refresh()
                self._deal(deal)
                if self._flights:
                    idle = time.monotonic()
                    done, _ = ray.wait(list(self._flights), timeout=STEP_SECONDS)
                    for ref in done:
                        self._land(ref, deal)
                    continue
                if time.monotonic() - idle > WAIT_SECONDS:
                    raise self._stranded(deal)
                time.sleep(STEP_SECONDS)
        finally:
            for ref in self._flights:
                ray.cancel(ref, force=True)
            self._flights.clear()

    def _deal(self, deal: Deal) -> None:
        for node in self.crew.nodes:
            while self.crew.room(node, self._flying(node)):
                piece = deal.next(lambda home, node=node: self.crew.at_home(node, home), self._last.get(node.id, -1))  # type: ignore[misc]
                if piece is None:
                    break
                self._last[node.id] = piece.cell
                ref = self.crew.submit(
                    work.do, node, piece, self.crew.job, gpu=node.gpus >= 1 and self.crew.on_gpu(piece)
                )
                self._flights[ref] = _Flight(piece, node)

    def _flying(self, node: Node) -> list[Piece]:
        return [flight.piece for flight in self._flights.values() if flight.node.id == node.id]

    def _land(self, ref: Any, deal: Deal) -> None:
        flight = self._flights.pop(ref)
        piece, node = flight.piece, flight.node
        try:
            answer: work.Answer = ray.get(ref)
        except LOST as error:
            self._lost(piece, node, error, deal)
            return
        except ray.exceptions.RayTaskError as error:  # a bug of the worker's own
            answer = work.Answer(node.name, failure=Failure.of(error.cause or error))
        if answer.full:
            say(f"{node.name}: its disk is full; it gets no more of this sweep")
            self.crew.leave_out(node)
            deal.back(piece)
            if not self.crew.nodes:
                assert answer.failure is not None
                raise OutOfSpace(answer.failure.what, answer.failure.why, answer.failure.remedy)
            return
        self.take(piece, answer)
        if answer.failure and piece.kind == "plan":  # its scores fail with it
            self._drop([one for one in deal.drop(piece) if one != piece], answer.failure)
        else:
            deal.done(piece)
        self.heard(piece)

    def _lost(self, piece: Piece, node: Node, error: Exception, deal: Deal) -> None:
        if isinstance(error, ray.exceptions.WorkerCrashedError):
            time.sleep(STEP_SECONDS)  # of a node that is gone, the processes are missed first
        alive = self.crew.alive(node)
        if not alive:
            self.crew.leave_out(node)
        if isinstance(error, ray.exceptions.TaskUnschedulableError):  # it never began
            self.crew.leave_out(node)
            deal.back(piece)
            return
        where = f"{node.name}: its process died" if alive else f"{node.name} is gone"
        if deal.died(piece, with_node=not alive):
            say(f"{where}; {piece} goes elsewhere")
            return
        say(f"{where}; {piece} is given up")
        what = f"Every process that did the {piece.kind} of this cell died."
        self._drop(deal.drop(piece), Failure("Died", what, first_line(error)))

    def take(self, piece: Piece, answer: work.Answer) -> None:
        """Write what came of a piece, under what was asked here."""
        planned = self.asked.cells[piece.cell]
        for name, sheet in answer.pictures.items():
            write_atomic(self.desk.pictures / name, sheet)
        for document in answer.records:
            record = msgspec.json.decode(document, type=ScoreRecord)
            images, scorer = self._of(piece, record.subject)
            asked = self.desk.score(planned, images, scorer)
            key = record.key if record.status == "ok" else asked.key
            self.desk.keep(replace(record, cell=asked.cell, key=key), asked)
            if record.failure:
                self.tally.count(record.failure)
                say(f"  {planned.cell}: {scorer.meta.name} on {images.name} failed: {record.failure.what}")
            else:
                main = record.main
                said = f"{main.name} {main.value:.2f} {main.unit}"
                say(f"  {planned.cell}: {scorer.meta.name} on {images.name}: {said} ({answer.node})")
        if answer.failure and piece.kind in ("plan", "score", "ready"):
            self._give_up([piece], answer.failure)

    def _drop(self, pieces: Sequence[Piece], failure: Failure) -> None:
        self._give_up(pieces, failure)
        for piece in pieces:
            self.heard(piece)

    def _give_up(self, pieces: Sequence[Piece], failure: Failure) -> None:
        """Write records with the reason for all that these pieces would have given."""
        for piece in pieces:
            planned = self.asked.cells[piece.cell]
            if piece.kind in ("plan", "ready"):
                self._failed.add(piece.cell)
                say(f"{planned.cell}")
                owed = pipeline.timings(planned, self.asked.data, self.desk, keyed="plan_key" in vars(planned))
                pipeline.give_up(owed, failure, self.desk, self.tally)
            if piece.kind == "score":
                due = [(self.asked.data[place], name) for place, name in piece.due]
                owed = [
                    self.desk.score(planned, images, scorer)
                    for images, name in due
                    for scorer in planned.tasks
                    if scorer.meta.name == name
                ]
                pipeline.give_up(owed, failure, self.desk, self.tally)

    def _of(self, piece: Piece, subject: TaskSubject) -> tuple[DataSet, Task]:
        planned = self.asked.cells[piece.cell]
        for place, name in piece.due:
            images = self.asked.data[place]
            if name == subject.task and images.digest == subject.data_digest:
                return images, next(scorer for scorer in planned.tasks if scorer.meta.name == name)
        raise AssertionError(f"{piece} gave a record of {subject.task} that was not due")

    def _stranded(self, deal: Deal) -> UserError:
        lost = deal.stuck(lambda home: any(self.crew.at_home(node, home) for node in self.crew.nodes))
        first = lost[0] if lost else None
        return UserError(
            f"No node is left that can do the {first}." if first else "No node is left.",
            f"{deal.left} pieces of the sweep are not done; what is finished is kept.",
            "the same command again, once the nodes are back",
        )
