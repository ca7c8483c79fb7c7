"""A sweep packed for a board: what can only be made here is made, measured in bytes, and copied beside the code."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec

from bench.boards import kit as kits
from bench.boards import ready, start, wheels
from bench.boards.kit import Kit, Network, Shown
from bench.boards.targets import Target
from bench.sweep import rotation
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.heads import Joint
from bench.sweep.history import absolute
from bench.sweep.scoring import Scoring
from engines.base import EngineSpec
from engines.catalog import REFERENCE, engine
from export import __version__
from export.artifact import Artifact
from export.child import ROOT
from export.errors import OutOfSpace, UserError, not_written
from export.places import require_writable
from export.progress import say
from export.store import Entry, Store, key, sha256_file, write_atomic
from tasks.base import FEATURES, MAPS
from tasks.data.base import DataSet

PACKAGES = ("export", "engines", "tasks", "bench")
PATH = "pillow"
"""The preprocessing path of a kit: it needs nothing that a board lacks."""
LARGEST = 200_000
"""Bytes of a file of the code: what is larger is published records, which no board reads."""


@dataclass
class Load:
    """What goes into a kit: its networks, and the store's entries that they need, each once."""

    networks: list[Network] = field(default_factory=list)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def take(self, entry: Entry) -> str:
        """Take an entry along; its key."""
        self.entries[entry.kind, entry.key] = entry
        return entry.key

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.bytes for entry in self.entries.values())

    def bytes(self, kind: str) -> int:
        return sum(entry.bytes for entry in self.entries.values() if entry.kind == kind)


def load(sweep: Assembly) -> Load:
    """Make every file, set of pixels and head that the board will need; a cell that cannot be made is left out.

    Raises:
        UserError: a task reads feature maps on the host, or no cell can be made.
    """
    first = sweep.cells[0].sweep
    if first.preprocess.partition(":")[0] != PATH:
        raise UserError(
            f"A kit is packed with the preprocessing path {PATH}, not {first.preprocess}.",
            "It needs nothing that a board lacks.",
            f"--preprocess {PATH}",
        )
    if not first.tasks and not first.scenarios:
        raise UserError("The sweep has neither tasks nor scenarios: a board would have nothing to do.")
    if first.meter:
        raise UserError("A kit reads no wall meter: its file is on another machine.", "", "the board's own sensors")
    for scorer in sweep.cells[0].tasks:
        if MAPS in scorer.meta.outputs and scorer.meta.head != "deployed":
            raise UserError(
                f"The task {scorer.meta.name} reads feature maps, which are too large to be brought home.",
                "",
                "tasks whose head is deployed, such as semantic_segmentation",
            )
    if left := [one.name for one in sweep.cells[0].scenarios if not one.on_board]:
        say(f"left out, because a board lacks what it needs: {', '.join(left)}")
    found = Load()
    for number, planned in enumerate(sweep.cells, 1):
        say(f"[{number}/{len(sweep.cells)}] {planned.cell}")
        if planned.precision not in planned.engine.precisions:
            say(f"  left out: {planned.availability.reason}")
            continue
        try:
            found.networks += _networks(planned, sweep.data, found)
        except OutOfSpace:
            raise
        except UserError as error:
            say(f"  left out: {error}")
    if not any(engine(network.spec).computes for network in found.networks):
        raise UserError("No cell of the sweep can be packed.", "The reasons are above.")
    return found


def _networks(planned: Planned, data: Sequence[DataSet], into: Load) -> list[Network]:
    """The backbone alone, where something is asked of it alone; then the backbone with each deployed head."""
    alone = _network(planned, planned.artifact(), data, "", into)
    pooled = [(i, s) for i, s in planned.owed(data) if s.meta.head != "deployed" and not planned.unscored(s)]
    sources = {source.digest: source for images, _ in pooled for source in images.sources}
    path = planned.path(planned.artifact())
    shown = []
    for digest, source in sources.items():
        entry = ready.prepare(source, source.samples, digest, path, planned.store)
        shown.append(Shown(source.name, len(source.samples), into.take(entry), digest))
    alone = replace(alone, outputs=(FEATURES,) if shown else (), shown=tuple(shown))
    return [alone, *_joints(planned, data, into)]


def _joints(planned: Planned, data: Sequence[DataSet], into: Load) -> Iterator[Network]:
    """The backbone with the head of every task that is deployed, shown the test images that it is judged on."""
    owed = [(i, s) for i, s in planned.owed(data) if s.meta.head == "deployed" and not planned.unscored(s)]
    if not owed:
        return
    planned = replace(planned, first=planned.first or engine(EngineSpec(REFERENCE)))
    with Scoring(planned, owed) as scoring:
        for images, scorer in owed:
            whole = Joint.of(planned, images, scorer, scoring.fitted(images, scorer)).artifact
            test = images.split("test")
            of = test_of(images)
            entry = ready.prepare(images, test, of, planned.path(whole), planned.store)
            head = f"{scorer.meta.name}@{images.name}"
            network = _network(planned, whole, data, head, into, timed=images is data[0])
            yield replace(
                network,
                task=scorer.meta.name,
                data=images.digest,
                fit=planned.fit_key(images, scorer),
                outputs=tuple(output.name for output in whole.outputs),
                shown=(Shown(f"test of {images.name}", len(test), into.take(entry), of),),
            )


def _network(
    planned: Planned, file: Artifact, data: Sequence[DataSet], head: str, into: Load, timed: bool = True
) -> Network:
    """The file on the cell's engine, with what is timed of it; its entries are taken along."""
    store, spec = planned.store, planned.engine.spec
    scenarios = [s for s in planned.scenarios if s.on_board and not (head and s.of_features)] if timed else []
    into.take(_entry(planned, "onnx", file.key))
    for entry in planned.engine.pack(file, planned.profile, store):
        into.take(entry)
    shown = rotation.prepare(data[0], planned.path(file), planned.sweep.seed, store)
    return Network(
        cell=planned.cell,
        title=f"{planned.cell}{f' with {head}' if head else ''}",
        onnx_key=file.key,
        engine=spec.name,
        provider=spec.provider,
        threads=planned.sweep.threads,
        batches=planned.profile.batches,
        # the peak of memory never falls again, so what is alone in memory goes first
        scenarios=tuple(s.name for s in sorted(scenarios, key=lambda s: not s.alone)),
        queries_key=into.take(shown),
    )


def _entry(planned: Planned, kind: str, key: str) -> Entry:
    entry = planned.store.try_load(kind, key)
    assert entry is not None, "it has just been made"
    return entry


def test_of(images: DataSet) -> str:
    """What stands for the test images of a data set in the keys of what a network emits for them."""
    return key("test of", data=images.digest)


def write(sweep: Assembly, made: Load, target: Target, brought: Sequence[Path], folder: Path) -> Kit:
    """Write the kit, which appears when it is whole.

    Raises:
        UserError: the folder is there already, or cannot be written. OutOfSpace: the disk is full.
    """
    first = sweep.cells[0]
    planned = Kit(
        version=__version__,
        target=target,
        sweep=asdict(absolute(first.sweep)),
        data={images.name: images.digest for images in sweep.data},
        preprocess=first.sweep.preprocess,
        pixels_by=first.preprocess,
        settings=first.settings,
        repeats=first.sweep.repeats,
        seed=first.sweep.seed,
        pin=first.sweep.cores,
        networks=tuple(made.networks),
    )
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for entry in made.entries.values():
            shutil.copytree(entry.path, part / kits.STORE / entry.kind / entry.key)
        (part / kits.WHEELS).mkdir()
        for wheel in brought:
            shutil.copyfile(wheel, part / kits.WHEELS / wheel.name)
        _write_code(part / kits.CODE)
        files = {file.relative_to(part).as_posix(): sha256_file(file) for file in _files(part)}
        sealed = planned.sealed(files)
        write_atomic(part / kits.KIT, msgspec.json.format(msgspec.json.encode(sealed), indent=1))
        part.rename(folder)
    except OSError as error:
        raise not_written(error, f"writing {folder.name}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sealed


def require_wheels(sweep: Assembly, target: Target) -> None:
    """Refuse an engine that cannot be brought to the target, before anything is made for it.

    Raises:
        UserError: the lock has no wheel of an engine for the target.
    """
    for planned in sweep.cells:
        wheels.locked(target, planned.engine.packages)


def wheels_for(made: Load, target: Target, store: Store) -> list[Path]:
    """The wheels that the kit's engines need on the target, from the lock for boards, kept in the store's folder.

    Raises:
        UserError: the lock has no wheel of an engine for the target. Unavailable: the package index cannot be reached.
    """
    engines = {network.engine: engine(network.spec) for network in made.networks}
    needed = {name for one in engines.values() for name in one.packages}
    folder = store.root / "wheels" / f"py{target.python}-{target.platform}"
    found = []
    pins, machine = wheels.locked(target, needed), wheels.Target(target.python, target.platform)
    for _, file in wheels.gather(pins, machine, folder):
        if isinstance(file, wheels.Missing):
            raise file
        say(f"  {file.name}")
        found.append(file)
    return found


def require_free(folder: Path, size: int) -> None:
    """Refuse a folder that is there already, or has no room.

    Raises:
        UserError: it is there. OutOfSpace: too little is free.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already.", "", "another name, or remove it")
    require_writable(folder.parent, "the kit's folder", size)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_code(file: Path) -> None:
    """The project's code as a program that Python runs by itself: the start is its ``__main__``."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        text = Path(start.__file__).read_text(encoding="utf-8")
        packed.writestr("__main__.py", f"{text}\n\nmain(Path(sys.argv[0]).resolve())\n")
        for name in PACKAGES:
            for source in _files(ROOT / name):
                if "__pycache__" not in source.parts and source.stat().st_size <= LARGEST:
                    packed.write(source, source.relative_to(ROOT).as_posix())
