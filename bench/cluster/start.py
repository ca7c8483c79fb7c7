"""``bob run --on ray``: from the sweep that was asked for to its records, with the work done by the nodes of a cluster."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.cluster import nodes, pieces, work
from bench.cluster.crew import Crew
from bench.cluster.drive import Driver
from bench.sweep import history, pipeline, thumbnails, timing
from bench.sweep.assembly import Assembly
from bench.sweep.desk import Desk
from bench.sweep.looks import Looks
from bench.sweep.pipeline import Tally
from bench.sweep.spec import SweepSpec
from export.progress import say
from export.store import Store


def run(sweep: SweepSpec, asked: Assembly, desk: Desk, store: Store, looks: Looks | None = None) -> Tally:
    """As :func:`bench.sweep.pipeline.run`, on the cluster that this process is connected to.

    Args:
        store: the driver's.

    Raises:
        UserError: no node can do the sweep.
        OutOfSpace: the disk is full.
    """
    tally = Tally()
    history.keep(desk.folder, asked.cells[0].sweep)
    thumbnails.keep(asked.cells, asked.data, desk.pictures)
    with _token(store) as token:
        job = work.Job(json.dumps(asdict(history.absolute(sweep))), str(store.root), token)
        crew = Crew(job, work.report(job))
        crew.gather()
    asked, homes = nodes.choose_homes(asked, crew.nodes, desk.machine)
    crew.settle(asked)
    todo = pieces.pieces_of(asked, desk, homes, tally)
    driver = Driver(asked, desk, crew, tally)
    driver.run(todo.made)
    return tally


@contextmanager
def _token(store: Store) -> Iterator[tuple[str, str]]:
    """A file in the store that a node sees if it shares it."""
    path = store.root / f".shared-{secrets.token_hex(4)}"
    content = secrets.token_hex(16)
    path.write_text(content)
    try:
        yield path.name, content
    finally:
        path.unlink(missing_ok=True)


__all__ = ["Path", "run", "timing", "pipeline", "say"]
