"""What runs on a node: it assembles the sweep for itself, does a piece of it, and hands back records.

The stages are the plain pipeline's own. What a node cannot do becomes records or a failure, never an exception: what
is raised here is Ray's trouble, or a bug of this file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import ray

from bench.cluster.entries import Others, listed
from bench.cluster.nodes import Has, Report
from bench.cluster.pieces import Piece
from bench.measure import rounds, worker
from bench.measure.machine import environment, versions
from bench.records.asked import Asked
from bench.records.parts import Environment, Failure
from bench.records.record import Record
from bench.sweep import passes, pipeline, timing
from bench.sweep.assembly import Assembly, assemble
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.features import Emitter, together
from bench.sweep.keys import feature_key
from bench.sweep.scoring import Scoring
from bench.sweep.spec import parse
from engines.preprocess.catalog import identity
from export import __version__
from export.child import ROOT
from export.errors import CellError, OutOfSpace, UserError
from export.store import Store
from tasks.base import FEATURES
from tasks.catalog import task

MAKING = (
    "torch",
    "timm",
    "onnx",
    "onnxslim",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "pillow",
    "scipy",
)
"""Libraries that files, features and fits depend on."""
ROOMS = ("export", "engines", "tasks", "bench")


@dataclass(frozen=True)
class Job:
    """What every piece of one sweep shares.

    Attributes:
        sweep: its document, as JSON.
        store: root of the nodes' stores; empty for each node's own default.
        token: a file that the driver left in its store, and what it holds.
        register: the actor that knows where entries lie, where stores are not shared.
    """

    sweep: str
    store: str
    token: tuple[str, str] = ("", "")
    register: Any = None


@dataclass(frozen=True)
class Answer:
    """What came of a piece.

    Attributes:
        records: as JSON. pictures: their sheets by file name.
        failure: why nothing of it could be done. full: that is the node's disk.
    """

    node: str
    records: tuple[bytes, ...] = ()
    pictures: dict[str, bytes] = field(default_factory=dict)
    failure: Failure | None = None
    full: bool = False


@dataclass(frozen=True)
class Outbox(Desk):
    """A desk that keeps what is made for whoever asked; nothing counts as finished but what was said to be."""

    done: frozenset[str] = frozenset()
    kept: list[Record] = field(default_factory=list)

    def finished(self, key: str) -> bool:
        return key in self.done

    def keep(self, record: Record, asked: Asked) -> None:
        self.kept.append(record)


def report(job: Job) -> Report:
    """This node before it is given work; what is wrong with it is said in the report."""
    here, made = _environment(), _making()
    try:
        store = _store(job.store)
        name, content = job.token
        there = store.root / name
        shared = bool(name) and there.is_file() and there.read_text() == content
        made = {**made, "preprocess": identity(_sweep(job.sweep).preprocess)}
        asked = _assembled(job.sweep, job.store)
    except UserError as error:
        return Report(here, _project(), made, trouble=error.sentence)
    engines = {str(cell.engine.spec): cell.engine for cell in asked.cells}
    fed = {str(c.engine.spec): c.availability for c in asked.cells if c.precision in c.engine.precisions}
    first = next((cell.first for cell in asked.cells if cell.first), None)
    return Report(
        here,
        _project(),
        made,
        free_bytes=shutil.disk_usage(store.root).free,
        engines={n: Has(fed.get(n, e.available()), msgspec.to_builtins(e.identity())) for n, e in engines.items()},
        first=str(first.spec) if first else "",
        data=tuple(images.digest for images in asked.data),
        store=str(store.root),
        shared=shared,
        entries=listed(store.root),
    )


def do(piece: Piece, job: Job) -> Answer:
    """Do one piece here."""
    with _outbox(piece) as desk:
        failure, full = None, False
        try:
            asked = _ready(job)
            planned = asked.cells[piece.cell if piece.of < 0 else piece.of]
            if piece.of >= 0:
                runner = asked.cells[piece.cell]
                planned = replace(planned, engine=runner.engine, availability=runner.availability)
            if piece.plan and planned.plan_key != piece.plan:
                raise CellError("The node would make another plan than it said.", "Its libraries have changed since.")
            _stage(piece, planned, asked, desk)
        except OutOfSpace as error:
            failure, full = Failure.of(error), True
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = Failure.of(error)
        pictures = {path.name: path.read_bytes() for path in sorted(desk.pictures.glob("*")) if path.is_file()}
        records = tuple(msgspec.json.encode(record) for record in desk.kept)
    return Answer(socket.gethostname(), records, pictures, failure, full)


def measure(child: worker.Job, job: Job) -> worker.Outcome:
    """Measure here what a child process measures; all that it needs is brought first."""
    _ready(job)
    store = _store(job.store)
    for kind, key in child.entries:
        store.try_load(kind, key)
    outcome = rounds.alone(replace(child, store=str(store.root)))
    return replace(outcome, node=socket.gethostname())


def _stage(piece: Piece, planned: Planned, asked: Assembly, desk: Outbox) -> None:
    due = [(asked.data[place], task(name)) for place, name in piece.due]
    if piece.kind == "export":
        (planned.origin if piece.base else planned).artifact()
    elif piece.kind == "plan":
        with Scoring(planned, due) as scoring:
            scoring.open()
    elif piece.kind == "pass":
        passes.read_once(passes.depths_of(planned, asked.cells), asked.data, desk)
    elif piece.kind == "features":
        _shard(piece, planned, asked)
    elif piece.kind == "score":
        with Scoring(planned, due) as scoring:
            scoring.open()
            pipeline.judge(scoring, due, desk, pipeline.Tally())
    else:
        timing.prepare(planned, asked.data[:1], desk)


def _shard(piece: Piece, planned: Planned, asked: Assembly) -> None:
    place, at, start = piece.source
    source, plan = asked.data[place].sources[at], planned.plan(planned.throughput)
    own = {FEATURES: feature_key(plan.key, planned.preprocess, source.digest, FEATURES)}
    emitter = Emitter(lambda: planned.throughput.load(plan), own)
    together([emitter], planned.path(plan.artifact), source, planned.store, starts=[start])


@contextmanager
def _outbox(piece: Piece) -> Iterator[Outbox]:
    with tempfile.TemporaryDirectory(prefix="bob-piece-") as folder:
        yield Outbox(Path(folder), _environment(), done=frozenset(piece.finished))


@cache
def _environment() -> Environment:
    return replace(environment(), node=socket.gethostname())


@cache
def _project() -> str:
    """Version and content of this project: two that differ may make different numbers of the same keys."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:8]}"


@cache
def _making() -> dict[str, Any]:
    return dict(versions(MAKING))


@cache
def _sweep(document: str) -> Any:
    return parse(json.loads(document), "the driver's sweep")


@cache
def _store(root: str) -> Store:
    return Store(Path(root) if root else None)


@cache
def _assembled(sweep: str, store: str) -> Assembly:
    return assemble(_sweep(sweep), _store(store))


def _ready(job: Job) -> Assembly:
    """The sweep, and the node's store with the others that entries may come from."""
    store = _store(job.store)
    if job.register is not None and store.peers is None:
        store.peers = Others(job.register, (ray.get_runtime_context().get_node_id(), str(store.root)))
    return _assembled(job.sweep, job.store)
