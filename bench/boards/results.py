"""What a board brings home, as a value; and the one file that it travels in."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.boards import kit as kits
from bench.boards.kit import Kit
from bench.measure.worker import Outcome
from bench.records.parts import Environment, Failure
from bench.sweep import gate
from bench.sweep.features import KIND as FEATURES
from bench.sweep.features import SHARD
from bench.sweep.keys import parity_key, shard_key
from export.errors import UserError, first_line, not_written
from export.store import key

RESULTS = "results.json"
STORE = "store"
NONE = "copy results.tar from the board again: the last lines of `python3 kit.pyz run` say where it is"


@dataclass(frozen=True)
class Built:
    """A network's plan on the board, and what it emitted.

    Attributes:
        threads: that it used in all.
        emitted: :attr:`bench.boards.kit.Shown.of` → output → feature key.
    """

    plan_key: str
    content: str
    plan_bytes: int
    fields: dict[str, Any]
    threads: int
    emitted: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Came:
    """What came of one network of the kit, in its order.

    Attributes:
        built: None where it was skipped or failed. failure: why then; or why it could not be timed.
        skipped: nothing failed: the board lacks the engine.
        outcomes: of the timing's repeats, all of them or none.
    """

    built: Built | None = None
    failure: Failure | None = None
    skipped: bool = False
    outcomes: tuple[Outcome, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether the board has not come to it yet."""
        return self.built is None and self.failure is None


@dataclass(frozen=True)
class Results:
    """What a board brings home.

    Attributes:
        board: hash of what tells this board from another of its model.
        preprocess: identity of the preprocessing path on the board: end-to-end timings were taken with it.
        warnings: what a reader of the timings should know, before and after.
    """

    kit: Kit
    environment: Environment
    board: str
    preprocess: dict[str, Any]
    networks: tuple[Came, ...]
    warnings: tuple[str, ...] = ()

    @property
    def entries(self) -> Iterator[tuple[str, str]]:
        """Kind and key of what the networks emitted, and of their parity, which one without a reference has not."""
        for network, came in zip(self.kit.networks, self.networks, strict=True):
            if came.built is None:
                continue
            yield gate.KIND, parity_key(came.built.plan_key)
            for shown in network.shown:
                for own in came.built.emitted[shown.of].values():
                    for start in range(0, shown.count, SHARD):
                        yield FEATURES, shard_key(own, start, SHARD)

    @property
    def digest(self) -> str:
        """Hash over what it says, against damage on the way."""
        return key("board results", **msgspec.to_builtins(self))


def write(results: Results, entries: Iterable[Path], store: Path, file: Path) -> None:
    """Write the file: what is said, and the store's entries with what the plans emitted.

    Raises:
        UserError: the disk is full, or the file cannot be written there.
    """
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(part, "w") as tar:
            for name, text in (
                (RESULTS, msgspec.json.encode(results)),
                (f"{RESULTS}.key", results.digest.encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
            for entry in entries:
                tar.add(entry, f"{STORE}/{entry.relative_to(store).as_posix()}")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise not_written(error, f"writing {file.name}") from error


def read(file: Path, folder: Path) -> Results:
    """Unpack the file into an empty folder; what it says.

    Raises:
        UserError: it cannot be read, is not what a board wrote, or was damaged on the way.
    """
    if not file.is_file():
        raise UserError(f"There is no file {file}.", "", NONE)
    try:
        with tarfile.open(file) as tar:
            _unpack(tar, folder)
        text, own = (folder / RESULTS).read_bytes(), (folder / f"{RESULTS}.key").read_text()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise UserError(f"{file} holds no results of a board.", f"{first_line(error)}.", NONE) from error
    try:
        results = msgspec.json.decode(text, type=Results)
    except msgspec.DecodeError as error:
        raise UserError(f"{file} holds no results of a board.", str(error), NONE) from error
    if results.kit.schema > kits.SCHEMA:
        raise UserError(f"{file} comes from a kit of a newer version, {results.kit.version}.", "", "update this one")
    if results.digest != own.strip() or not results.kit.genuine:
        raise UserError(f"{file} was changed or damaged on the way.", "", "copy it again from the board")
    return results


def said(file: Path) -> Results | None:
    """What a file says that was written here before; None where there is none, or it cannot be read."""
    try:
        with tarfile.open(file) as tar:
            text = tar.extractfile(RESULTS)
            return msgspec.json.decode(text.read(), type=Results) if text else None
    except (OSError, tarfile.TarError, EOFError, KeyError, msgspec.DecodeError):
        return None


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Plain files and folders only, below ``folder``: the file comes from another machine."""
    for member in tar:
        place = (folder / member.name).resolve()
        if not place.is_relative_to(folder.resolve()) or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name} does not belong into such a file")
        if member.isfile():
            source = tar.extractfile(member)
            assert source is not None
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source.read())
