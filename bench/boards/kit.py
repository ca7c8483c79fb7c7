"""A kit as a value: what a board is asked to do, in strings, numbers and keys. It is written as ``kit.json``.

Everything heavy lies beside it in the kit's store, under these keys: nothing is made on the board but plans, and what
they emit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.boards.targets import Target
from bench.measure.scenarios.base import Settings
from bench.measure.worker import Job
from bench.records.parts import Cell
from engines.base import EngineSpec, Profile
from export.errors import UserError
from export.store import Store, key, sha256_file

KIT, CODE, WHEELS, STORE = "kit.json", "kit.pyz", "wheels", "store"
SCHEMA = 1
AGAIN = "pack the kit again (bob kit pack) and copy it whole"


@dataclass(frozen=True)
class Shown:
    """Images that a network is shown.

    Attributes:
        name: of the data set. count: of images.
        pixels_key: their pixels in the kit's store (see :mod:`bench.boards.ready`).
        of: what stands for the data in the keys of what the network emits for them.
    """

    name: str
    count: int
    pixels_key: str
    of: str


@dataclass(frozen=True)
class Network:
    """One ONNX file on one engine: a backbone, or a backbone with the head of a task.

    Attributes:
        cell: as the workstation planned it; its threads are the workstation's.
        task, data: the task whose head it has, and the digest of the data that the head was fitted on; or empty.
        fit: key of that fit.
        title: what it is called while it runs.
        outputs: what it emits that is brought home, for all that is ``shown``.
        threads: as asked for; 0 stands for all cores of the board.
        scenarios: what is timed; the queries' pixels and files lie under ``queries_key``.
    """

    cell: Cell
    title: str
    onnx_key: str
    provider: str
    engine: str
    threads: int
    batches: tuple[int, ...]
    outputs: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    scenarios: tuple[str, ...] = ()
    queries_key: str = ""
    task: str = ""
    data: str = ""
    fit: str = ""

    @property
    def spec(self) -> EngineSpec:
        return EngineSpec(self.engine, self.provider, self.threads)

    @property
    def profile(self) -> Profile:
        return Profile(self.batches)


@dataclass(frozen=True)
class Kit:
    """What a board is asked to do.

    Attributes:
        id: hash over everything else: equal ids are the same kit.
        version: of the project that packed it.
        sweep: the fields of the sweep that it comes from (see :mod:`bench.sweep.spec`).
        data: name → digest of each data set.
        pin: the board's cores that timings run on; empty for wherever the system puts them.
        preprocess: the path that made the pixels. pixels_by: its identity, which the features' keys hold.
        files: path in the kit → SHA-256, of all that lies beside ``kit.json``.
        schema: of this file.
    """

    version: str
    target: Target
    sweep: dict[str, Any]
    data: dict[str, str]
    preprocess: str
    pixels_by: dict[str, Any]
    settings: Settings
    repeats: int
    seed: int
    networks: tuple[Network, ...]
    pin: tuple[int, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    id: str = ""
    schema: int = SCHEMA

    def sealed(self, files: Mapping[str, str]) -> Kit:
        """The kit with its files and its id."""
        whole = replace(self, files=dict(files), id="")
        return replace(whole, id=key("kit", **msgspec.to_builtins(whole)))

    def job(self, network: Network, store: Store) -> Job:
        """What one child process measures of a network."""
        return Job(
            store=str(store.root),
            engine=network.engine,
            provider=network.provider,
            threads=network.threads,
            onnx_key=network.onnx_key,
            batches=network.batches,
            preprocess=self.preprocess,
            queries_key=network.queries_key,
            scenarios=network.scenarios,
            settings=self.settings,
            repeats=self.repeats,
            pin=self.pin,
        )

    @property
    def genuine(self) -> bool:
        """Whether the id is that of what it says."""
        return self.sealed(self.files).id == self.id


def decode(text: bytes, where: str) -> Kit:
    """Read a kit.

    Raises:
        UserError: it is none, was changed, or is of a newer version of the project.
    """
    try:
        kit = msgspec.json.decode(text, type=Kit)
    except msgspec.DecodeError as error:
        raise UserError(f"{where} is not a kit.", str(error), AGAIN) from error
    if kit.schema > SCHEMA:
        raise UserError(f"{where} was packed by a newer version, {kit.version}.", "", "update this installation")
    if not kit.genuine:
        raise UserError(f"{where} was changed after it was packed.", "", AGAIN)
    return kit


def load(folder: Path) -> Kit:
    """The kit in a folder, whole: every file is compared with its hash, but wheels, which are when they are unpacked.

    Raises:
        UserError: as :func:`decode`; there is none; or names the first file that is missing or was changed.
    """
    try:
        kit = decode((folder / KIT).read_bytes(), str(folder / KIT))
    except OSError as error:
        raise UserError(f"{folder} is not a kit.", f"{KIT} cannot be read: {error.strerror}.", AGAIN) from error
    for name, digest in kit.files.items():
        if name.startswith(f"{WHEELS}/"):
            continue
        try:
            same = sha256_file(folder / name) == digest
        except OSError as error:
            raise UserError(f"{name} of the kit cannot be read.", str(error.strerror), AGAIN) from error
        if not same:
            raise UserError(f"{name} was changed after the kit was packed.", "", AGAIN)
    return kit
