"""``python -m bench.cluster.simulate``: how a sweep would spread over many nodes.

The driver's own scheduler is run over the durations of finished records.

The model: nodes are equal to the machine that the records come from, and take one piece at a time. Scores and timings
take what they took there, features once for each cell and data set. Files and plans have no recorded duration: they
take :data:`EXPORT_SECONDS` and :data:`PLAN_SECONDS`. The driver handles one piece after another, each in
:data:`DRIVER_SECONDS`; a node takes its first piece after :data:`START_SECONDS`. The store is shared, without a wait.
Timings begin when all scores are there, each cell's on one node. No node dies.
"""

from __future__ import annotations

import argparse
import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cluster.deal import Deal
from bench.cluster.pieces import Kind, Piece
from bench.measure.rounds import CHILD_SECONDS
from bench.records.parts import TaskSubject
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import PUBLISHED, Results
from export.command import console, new_parser, print_table, sizes
from export.errors import UserError

CELLS, NODES = 1000, (4, 16, 64, 128)
HEADS = ("nodes", "work, h", "takes, h", "share of the ideal speed")
EXPORT_SECONDS, PLAN_SECONDS, START_SECONDS, DRIVER_SECONDS = 30.0, 5.0, 30.0, 0.05


@dataclass(frozen=True)
class Simulated:
    """A sweep on so many nodes.

    Attributes:
        seconds: until its last record. work: of all pieces and timings, one after another on one node.
    """

    nodes: int
    seconds: float
    work: float

    @property
    def of_ideal(self) -> float:
        """The share of the ideal speed, which is the work shared out evenly."""
        return self.work / self.nodes / self.seconds


def simulate(results: Results, cells: int, nodes: int) -> Simulated:
    """A sweep of ``cells`` cells that take what the finished ones of ``results`` took, again and again.

    Raises:
        UserError: no cell of the results was scored.
    """
    pieces, seconds, timings = _sweep(results, cells)
    scored, busy = _scored(pieces, seconds, nodes)
    free = [scored] * nodes
    for own in sorted(timings, reverse=True):
        heapq.heapreplace(free, free[0] + own)
    return Simulated(nodes, max(free), busy + sum(timings))


def lines(results: Results, nodes: Sequence[int], cells: int = CELLS) -> list[tuple[str, ...]]:
    """A table of :func:`simulate`, a line for each number of nodes."""
    found = [simulate(results, cells, number) for number in nodes]
    return [(f"{s.nodes}", f"{s.work / 3600:.1f}", f"{s.seconds / 3600:.2f}", f"{s.of_ideal:.2f}") for s in found]


def _scored(pieces: Sequence[Piece], seconds: Sequence[float], nodes: int) -> tuple[float, float]:
    """When the last piece is done, and what all took."""
    deal, last = Deal(pieces), dict.fromkeys(range(nodes), -1)
    idle, running = list(range(nodes)), list[tuple[float, int, int]]()
    now, driver = START_SECONDS, 0.0
    while deal.left:
        for node in list(idle):
            piece = deal.next(lambda home: True, last[node])
            if piece is None:
                break
            idle.remove(node)
            last[node] = piece.cell
            driver = max(driver, now) + DRIVER_SECONDS
            heapq.heappush(running, (driver + seconds[piece.number], node, piece.number))
        now, node, number = heapq.heappop(running)
        deal.done(pieces[number])
        idle.append(node)
    return now, sum(seconds)


def _sweep(results: Results, cells: int) -> tuple[list[Piece], list[float], list[float]]:
    """The pieces of the sweep, the seconds of each, and those of each cell's timings."""
    of: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in results.records:
        if record.status == "ok":
            of[record.cell.identity].append(record)
    templates = [own for own in of.values() if any(isinstance(record, ScoreRecord) for record in own)]
    if not templates:
        raise UserError("No cell of these results was scored.", "", "bob run")
    pieces, seconds, timings = list[Piece](), list[float](), list[float]()
    exports: dict[tuple[object, ...], int] = {}

    def add(kind: Kind, cell: int, takes: float, *needs: int) -> int:
        pieces.append(Piece(len(pieces), kind, cell, f"cell {cell}", needs=needs))
        seconds.append(takes)
        return len(pieces) - 1

    for number in range(cells):
        copy, own = number // len(templates), templates[number % len(templates)]
        cell = own[0].cell
        base = (copy, cell.network)
        if base not in exports:
            exports[base] = add("export", number, EXPORT_SECONDS)
        lowered = (*base, cell.precision)
        if lowered not in exports:
            exports[lowered] = add("export", number, EXPORT_SECONDS, exports[base])
        plan = add("plan", number, PLAN_SECONDS, exports[lowered])
        for takes in _by_data(own).values():
            add("score", number, takes, plan)
        timings.append(sum(r.seconds + CHILD_SECONDS * _repeats(r) for r in own if isinstance(r, TimingRecord)))
    return pieces, seconds, timings


def _repeats(record: TimingRecord) -> int:
    return len({series.repeat for series in record.series}) or 1


def _by_data(records: Sequence[Record]) -> Mapping[str, float]:
    """Seconds of all scores of one cell on each data set, with one extraction of its features."""
    scores, extracted = defaultdict[str, float](float), dict[str, float]()
    for record in records:
        if isinstance(record, ScoreRecord) and isinstance(record.subject, TaskSubject):
            own = record.extraction.seconds if record.extraction else 0.0
            data = record.subject.data_digest
            extracted[data] = max(extracted.get(data, 0.0), own)
            scores[data] += record.seconds - own if record.seconds > own else record.seconds
    return {data: scores[data] + extracted[data] for data in scores}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.cluster.simulate", (__doc__ or "").splitlines()[0])
    p.add_argument(
        "--results", type=Path, default=PUBLISHED, metavar="DIR", help="finished records (the published ones)"
    )
    p.add_argument("--cells", type=int, default=CELLS, metavar="N", help=f"cells of the sweep ({CELLS})")
    some = ",".join(map(str, NODES))
    p.add_argument("--nodes", default=some, metavar="A,B", help=f"numbers of nodes ({some})")
    return p


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table.

    Raises:
        UserError: there are no results, or none was scored.
    """
    args = parser().parse_args(argv)
    found = lines(Results.load(args.results), sizes(args.nodes, "--nodes"), args.cells)
    print_table([f">{head}" for head in HEADS], found)


if __name__ == "__main__":
    console(main)()
