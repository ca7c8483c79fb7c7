"""``bob run --on ray``: from the sweep that was asked for to its records, with the work done by a cluster's nodes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from bench.cluster import nodes, timed, work
from bench.cluster.crew import Crew
from bench.cluster.drive import Driver
from bench.cluster.nodes import Node
from bench.cluster.pieces import Piece, pieces_of, ready_to_time
from bench.cluster.status import Status
from bench.sweep import history, pipeline, thumbnails, timing
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.looks import Looks
from bench.sweep.pipeline import ENDS, Skip, Tally
from bench.sweep.spec import SweepSpec
from export.errors import UserError
from export.store import Store
from tasks.data.layout import few


@dataclass
class Gathered:
    """A sweep and the nodes that will do it: its cells with the engines as those have them, and each cell's home."""

    asked: Assembly
    homes: list[str]
    crew: Crew

    @property
    def where(self) -> list[str]:
        """The nodes that can do each cell, in words."""
        found = []
        for home in self.homes:
            names = [node.name for node in self.crew.nodes if home and self.crew.at_home(node, home)]
            found.append(few(names) if len(names) < len(self.crew.nodes) else f"all {len(names)}")
        return found

    def run(self, desk: Desk, looks: Looks | None = None) -> Tally:
        """As :func:`bench.sweep.pipeline.run`, on the cluster that this process is connected to.

        Args:
            looks: shows the scores so far; timings come after all of them.

        Raises:
            UserError: no node is left that can do the rest.
            OutOfSpace: the disk is full.
        """
        asked, crew, tally = self.asked, self.crew, Tally()
        history.keep(desk.folder, asked.cells[0].sweep)
        thumbnails.keep(asked.cells, asked.data, desk.pictures)
        todo = pieces_of(asked, desk, self.homes, tally)
        driver = Driver(asked, desk, crew, tally)
        status = Status(todo.made, crew)
        with status.shown() as count:

            def heard(piece: Piece) -> None:
                count(piece)
                if looks and looks.due(status.cells):
                    pipeline.look(looks, status.cells, [])

            driver.heard = heard
            driver.run(todo.made)
        for number, error in todo.trouble.items():
            pipeline.give_up(pipeline.owed(asked.cells[number], asked.data, desk), error, desk, tally)
        _time(self, driver, frozenset(todo.trouble), desk, tally)
        return tally


@contextmanager
def gathered(
    sweep: SweepSpec, asked: Assembly, desk: Desk, store: Store, own_store: bool, promised: bool
) -> Iterator[Gathered]:
    """Ask the nodes what they are, and choose where each cell is at home.

    Args:
        own_store: the store is the user's default, which each node may have at another place.
        promised: the user says that all nodes share the store.

    Raises:
        UserError: no node can do anything of the sweep.
    """
    with _token(store) as token:  # nodes that come later look for it too
        job = work.Job(json.dumps(asdict(history.absolute(sweep))), "" if own_store else str(store.root), token)
        crew = Crew(job, work.report(job), store, promised)
        crew.gather()

        def finished(planned: Planned) -> int:
            due = [(images, one) for images, one in planned.owed(asked.data) if not planned.unscored(one)]
            try:
                return sum(desk.finished(planned.score_key(images, one)) for images, one in due)
            except UserError:  # it is said where the cell is
                return 0

        chosen, homes = nodes.choose_homes(asked, crew.nodes, desk.machine, finished)
        crew.settle(chosen.cells)
        crew.introduce(homes)
        yield Gathered(chosen, homes, crew)


def _time(found: Gathered, driver: Driver, out: frozenset[int], desk: Desk, tally: Tally) -> None:
    """Time what is not out, on nodes that are this machine: a timing's key holds the machine."""
    asked, crew = found.asked, found.crew
    wanted: list[tuple[int, int, str, tuple[str, ...]]] = []
    sound: list[Planned] = []
    cells: dict[int, Planned] = {}
    for number, one in enumerate(asked.cells):
        if number in out or number in driver.failed or not one.scenarios:
            continue
        planned = pipeline.of_a_sound_file(one, sound)
        of = number if planned is one else next(at for at, cell in enumerate(asked.cells) if cell is sound[0])
        try:
            keys = {planned.timing_key(asked.data[0], s, desk.machine, h) for s, h in planned.timed(asked.data)}
            done = tuple(sorted(filter(desk.finished, keys)))
            home = f"{found.homes[number]}@{desk.machine}"
            if len(done) < len(keys):
                if not any(crew.at_home(node, home) for node in crew.nodes):
                    raise Skip(
                        "No node of the cluster is this machine.",
                        f"Timings are of {desk.environment.name}, and belong to it.",
                        "the same command on a node, without --on",
                    )
                wanted.append((number, of, home, done))
                cells[number] = planned
            sound.append(one)
        except ENDS:
            raise
        except BaseException as error:
            pipeline.give_up(pipeline.timings(planned, asked.data, desk, False), error, desk, tally)
    maker = Driver(asked, desk, crew, tally)
    maker.run(ready_to_time(asked, wanted))
    ready: list[timing.Timed] = []
    places: list[Sequence[Node]] = []
    for number, _, home, _ in wanted:
        if number in maker.failed:
            continue
        try:
            for made in timing.prepare(cells[number], asked.data[:1], desk):
                ready.append(made)
                places.append([node for node in crew.nodes if crew.at_home(node, home)])
        except ENDS:
            raise
        except BaseException as error:
            pipeline.give_up(pipeline.timings(cells[number], asked.data, desk, True), error, desk, tally)
    for failure in timed.run(ready, places, desk, crew):
        tally.count(failure)


@contextmanager
def _token(store: Store) -> Iterator[tuple[str, str]]:
    """A file in the store that a node sees if it shares it."""
    path = store.root / f".shared-{secrets.token_hex(4)}"
    content = secrets.token_hex(16)
    store.root.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    try:
        yield path.name, content
    finally:
        path.unlink(missing_ok=True)
