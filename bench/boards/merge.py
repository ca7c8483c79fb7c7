"""What a board brought home becomes records: its own outputs are scored here, its own timings kept, under its name.

The ordinary pipeline does it. The board's plans, and what they emitted, lie in the store under their keys as if they
had been made here; a :class:`~bench.boards.returned.Returned` cell names these keys.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.boards import results as brought
from bench.boards.results import Came, Results
from bench.boards.returned import Received, Returned, returned
from bench.measure.scenarios.catalog import scenario
from bench.records.asked import Asked
from bench.records.parts import Environment
from bench.sweep import gate, history, pipeline, timing
from bench.sweep.assembly import Assembly, assemble
from bench.sweep.desk import Desk
from bench.sweep.spec import SweepSpec, parse
from export.errors import UserError
from export.progress import say
from export.store import Store, key, write_atomic
from tasks.base import Task

BOARDS = Path("machines", "boards.json")
"""In a results folder: machine id → which board it was."""


def merge(file: Path, out: Path, store: Store, name: str = "") -> pipeline.Tally:
    """Write the records of what ``file`` brings into a results folder.

    Args:
        name: tells the board from another of its model.

    Raises:
        UserError: it is not what a board wrote, or was damaged; the data or the backbones are no longer those that were
            packed; or the folder has results of another board that would count as the same machine.
    """
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        results = brought.read(file, Path(place))
        sweep = parse(results.kit.sweep, f"the sweep of {file.name}")
        desk = Desk.open(out, replace(sweep, pin=()), store)  # the board's cores, not these
        desk = replace(desk, environment=named(results.environment, name))
        with desk.alone():
            _require_one_board(desk, results)
            _take(results, Store(Path(place, brought.STORE), say), store)
            for line in results.warnings:
                say(f"on the board: {line}")
            return _records(results, sweep, desk, store)


def named(environment: Environment, name: str) -> Environment:
    """The machine with a name of its own, and so with an id of its own."""
    if not name:
        return environment
    called = f"{environment.board or environment.processor} “{name}”"
    return replace(environment, board=called, id=key("named", of=environment.id, name=name)[:8])


def _require_one_board(desk: Desk, results: Results) -> None:
    """Note which board the machine's id stands for; refuse another."""
    path, machine = desk.folder / BOARDS, desk.environment
    try:
        known = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        known = {}
    if results.board and known.setdefault(machine.id, results.board) != results.board:
        raise UserError(
            f"{desk.folder} holds results of another board of the same name, {machine.name}.",
            "Two boards of one model and one state count as one machine: these would replace those.",
            "name this one: bob kit merge --name NAME",
        )
    write_atomic(path, json.dumps(known, indent=1).encode())


def _take(results: Results, came: Store, store: Store) -> None:
    """Bring what the plans emitted, and their parity, into the store, each compared with its hashes.

    Raises:
        UserError: something of it is missing or damaged.
    """
    for kind, own in results.entries:
        entry = came.try_load(kind, own)
        if entry is None:
            if kind == gate.KIND:  # an artifact without a reference has none
                continue
            raise UserError(f"The results lack {kind} {own[:8]}, or it is damaged.", "", "copy the file again")

        def copy(folder: Path, path: Path = entry.path, files: tuple[str, ...] = tuple(entry.files)) -> None:
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path / name, folder / name)

        store.obtain(kind, own, lambda folder, copy=copy, entry=entry: copy(folder) or entry.fields)  # type: ignore[misc]


def _records(results: Results, sweep: SweepSpec, desk: Desk, store: Store) -> pipeline.Tally:
    asked = assemble(sweep, store)
    for images in asked.data:
        if results.kit.data.get(images.name) != images.digest:
            raise UserError(
                f"The data set {images.name} is not the one that was packed.",
                "Its images, labels or splits have changed since.",
                "restore it, or pack and run the kit again",
            )
    history.keep(desk.folder, sweep)
    tally = pipeline.Tally()
    for number, planned in enumerate(asked.cells, 1):
        cell = returned(planned, results)
        say(f"[{number}/{len(asked.cells)}] {cell.cell} on {desk.environment.name}")
        try:
            pipeline.score(cell, asked.data, desk, tally, Received)
        except pipeline.ENDS:
            raise
        except BaseException as error:
            pipeline.give_up(pipeline.scores(cell, asked.data, desk, keyed=False), error, desk, tally)
        for head, came in cell.timed_on_board(asked.data):
            try:
                _timing(cell, head, came, asked, desk)
            except pipeline.ENDS:
                raise
            except BaseException as error:
                pipeline.give_up(_timings(cell, head, asked, desk), error, desk, tally)
    if waiting := sum(came.waiting for came in results.networks):
        say(f"{waiting} of {len(results.networks)} networks are still to be measured: run the kit on the board again")
    return tally


def _timings(cell: Returned, head: Task | None, asked: Assembly, desk: Desk) -> list[Asked]:
    """What was to be timed of one network."""
    timed = [one for one in cell.scenarios if one.on_board and not (head and one.of_features)]
    return [desk.timing(cell, asked.data[0], one, head) for one in timed]


def _timing(cell: Returned, head: Task | None, came: Came, asked: Assembly, desk: Desk) -> None:
    """The records of one network's timings.

    Raises:
        UserError: why there are none.
    """
    if not came.outcomes:
        raise cell.why_not(came)
    images = asked.data[0]
    network = cell.network(head.meta.name if head else "", images.digest if head else "")
    plan = cell.plan_of(network)
    missing = []
    for one in map(scenario, network.scenarios):
        key = cell.timing_key(images, one, desk.machine, head)
        missing.append(timing.Missing(one, desk.timing(cell, images, one, head), key))
    job, parity = cell.kit.job(network, cell.store), gate.check(cell.engine, plan, cell.store)
    timing.record(timing.Timed(cell, plan, tuple(missing), job, parity), came.outcomes, desk)
