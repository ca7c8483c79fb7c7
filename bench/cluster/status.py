"""One line for the whole sweep: how many cells are done, on how many nodes, images/s and the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.cluster.crew import Crew
from bench.cluster.pieces import Piece
from export.progress import counting


@dataclass
class Status:
    """What is done of these pieces."""

    pieces: Sequence[Piece]
    crew: Crew
    _left: Counter[int] = field(init=False)
    _cells: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = Counter(piece.cell for piece in self.pieces)
        self._cells = len(self._left)

    @property
    def cells(self) -> int:
        """Those of which nothing is left to do."""
        return sum(not left for left in self._left.values())

    def __str__(self) -> str:
        nodes = len(self.crew.nodes)
        return f"{self.cells} of {self._cells} cells on {nodes} {'node' if nodes == 1 else 'nodes'}"

    @contextmanager
    def shown(self) -> Iterator[Callable[[Piece], None]]:
        """The line, while this is entered; what is given is told of each piece that is done."""
        with counting(self.__str__, sum(piece.images for piece in self.pieces)) as advance:

            def heard(piece: Piece) -> None:
                self._left[piece.cell] -= 1
                advance(piece.images)

            yield heard
