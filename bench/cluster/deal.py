"""Who does which piece next: a pure scheduler that the driver and the simulated cluster share.

A piece takes a whole node, as a cell takes the whole machine in a plain run: its features come from all cores. A piece
on a GPU takes one of the node's GPUs instead, so that a node with several does several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.cluster.pieces import Piece, unfinished

WORKERS = 3
"""So many processes may die of one piece on nodes that live on."""
NODES = 6
"""So many nodes may die under one piece: mostly it is not the piece."""


@dataclass
class Deal:
    """The pieces of a sweep, while they are dealt.

    Args:
        pieces: each after those that it needs; their numbers are their places.
    """

    pieces: Sequence[Piece]
    _waits: list[int] = field(init=False)
    _after: list[list[int]] = field(init=False)
    _ready: dict[str, dict[int, None]] = field(init=False, default_factory=dict)
    _left: set[int] = field(init=False)
    _deaths: dict[int, list[bool]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._waits = [len(piece.needs) for piece in self.pieces]
        self._after = [[] for _ in self.pieces]
        self._left = set(range(len(self.pieces)))
        for piece in self.pieces:
            for need in piece.needs:
                self._after[need].append(piece.number)
            if not piece.needs:
                self._open(piece)

    @property
    def left(self) -> int:
        """Pieces that are not done, those under way among them."""
        return len(self._left)

    def next(self, homes: Callable[[str], bool], last: int = -1) -> Piece | None:
        """The next piece for a node; None where it can do none now.

        Args:
            homes: whether the node is of a home; asked with "" for what any node can do.
            last: the cell that it worked on: what it made is near, so that a piece of the same cell comes first.
        """
        best: Piece | None = None
        for home, ready in self._ready.items():
            if ready and homes(home):
                near = next((n for n in ready if self.pieces[n].cell == last), None) if last >= 0 else None
                one = self.pieces[next(iter(ready)) if near is None else near]
                if best is None or (one.cell != last, one.number) < (best.cell != last, best.number):
                    best = one
        if best is not None:
            del self._ready[best.home][best.number]
        return best

    def done(self, piece: Piece) -> None:
        """It is done, or has failed: what comes after it may be."""
        self._left.discard(piece.number)
        for number in self._after[piece.number]:
            self._waits[number] -= 1
            if not self._waits[number] and number in self._left:
                self._open(self.pieces[number])

    def back(self, piece: Piece) -> None:
        """It was not done, and is to be dealt again, before others."""
        self._ready[piece.home] = {piece.number: None, **self._ready.get(piece.home, {})}

    def died(self, piece: Piece, with_node: bool) -> bool:
        """A process died of the piece, or its node died under it; whether it is to be tried again, and is dealt."""
        deaths = self._deaths.setdefault(piece.number, [])
        deaths.append(with_node)
        if deaths.count(False) >= WORKERS or deaths.count(True) >= NODES:
            return False
        self.back(piece)
        return True

    def drop(self, piece: Piece) -> list[Piece]:
        """Take out what cannot be done without the piece, itself first; returns it."""
        gone = [one for one in unfinished(self.pieces, piece.number) if one.number in self._left]
        for one in gone:
            self._left.discard(one.number)
            self._ready.get(one.home, {}).pop(one.number, None)
        for one in gone:
            self.done(one)
        return gone

    def stuck(self, homes: Callable[[str], bool]) -> list[Piece]:
        """What could be done now, but by none of these nodes."""
        return [self.pieces[n] for home, ready in self._ready.items() if not homes(home) for n in ready]

    def _open(self, piece: Piece) -> None:
        self._ready.setdefault(piece.home, {})[piece.number] = None
