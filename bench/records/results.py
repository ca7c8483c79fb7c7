"""A folder of records, as it lies on the disk: read, counted, and narrowed to what may be compared.

Records of several machines merge by copying, so a folder may hold more than belongs into one table. Nothing is thrown
together here: what differs in its protocol is refused by :mod:`bench.verdict.table` until the reader has chosen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.records import archive
from bench.records.record import Record, ScoreRecord, TimingRecord, read
from export.errors import UserError, unknown

RUN = "bob run"
PUBLISHED = Path(__file__).parent / "published.xz"
"""The records that come with the project."""
LEAST = 4
"""Characters of an id or hash that say which is meant."""


@dataclass(frozen=True)
class Unread:
    """A file that should be a record and is none."""

    name: str
    reason: str


@dataclass(frozen=True)
class Results:
    """All records of a folder, by file name.

    Attributes:
        unread: the files that could not be read.
        pictures: the folder of the pictures that records name; None where there is none.
    """

    records: tuple[Record, ...]
    unread: tuple[Unread, ...] = ()
    pictures: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Read ``folder/records/*.json`` (or ``folder/*.json``, where the folder is the records' own), or one file
        that :mod:`bench.records.archive` wrote.

        Raises:
            UserError: there is no such folder or file, or no record in it.
        """
        if folder.is_file():
            return cls(archive.unpack(folder.read_bytes(), str(folder)))
        inner = folder / "records"
        place = inner if inner.is_dir() else folder
        if not place.is_dir():
            raise UserError(f"There is no results folder {str(folder)!r}.", "", f"{RUN} --out {folder}")
        records, unread = [], []
        for path in sorted(place.glob("*.json")):
            try:
                records.append(read(path))
            except (UserError, OSError) as error:
                why = error.why or error.what if isinstance(error, UserError) else str(error)
                unread.append(Unread(path.name, why))
        if not records:
            why = f"{len(unread)} files could not be read; the first: {unread[0].reason}" if unread else ""
            raise UserError(f"{str(folder)!r} holds no record.", why, f"{RUN} --out {folder}")
        return cls(tuple(records), tuple(unread), place.parent / "pictures")

    def choose(self, machine: str | None = None, data: Iterable[str] = (), protocols: Iterable[str] = ()) -> Results:
        """Keep what was chosen.

        Args:
            machine: the beginning of a machine's id; its name, its processor's or its board's; or a part of its name
                that no other has. Timings of others are left out, and scores of plans that it did not run where it ran
                another of the same cell.
            data: names of data sets, or beginnings of their digests: scores on others are left out, and timings over
                other images where there are some over these.
            protocols: beginnings of protocol hashes: of a task on a data set, or a scenario, that has records of these
                protocols, the others are left out. Where timings are among them, their machine is chosen as well.

        Raises:
            UserError: there is no such machine, data set or protocol among the records.
        """
        kept = list(self.records)
        if machine:
            kept = self._of_machine(kept, machine)
        wanted = tuple(data)
        if wanted:
            for one in wanted:
                _require(one, kept, "data set", _data, lambda r: r.subject.data)
            kept = _narrow(kept, lambda r: any(_data(r).means(one) for one in wanted), drop=ScoreRecord)
        hashes = tuple(protocols)
        if hashes:
            for one in hashes:
                _require(one, kept, "protocol", _protocol, lambda r: r.protocol)
            kept = _narrow(kept, lambda r: any(_protocol(r).means(one) for one in hashes))
            meant = [r for r in kept if isinstance(r, TimingRecord) and any(_protocol(r).means(one) for one in hashes)]
            if machines := {machine_id(r) for r in meant}:
                own, others = run_by(kept, lambda r: machine_id(r) in machines)
                kept = own + others
        return replace(self, records=tuple(kept))

    @staticmethod
    def _of_machine(records: list[Record], machine: str) -> list[Record]:
        timed = [r for r in records if isinstance(r, TimingRecord)]
        part = {r.environment.id for r in timed if machine.lower() in r.environment.name.lower()}
        if len(part) == 1 and len(machine) >= LEAST and not any(_machine(r).means(machine) for r in timed):
            [machine] = part  # a part of one machine's name
        _require(machine, timed, "machine", _machine, lambda r: f"{machine_id(r)} ({r.environment.name})")
        own, others = run_by(records, lambda r: _machine(r).means(machine))
        return own + others

    @property
    def machines(self) -> dict[str, str]:
        """The machines that timed something: id → name; of two with one name, with the id."""
        timed = [r for r in self.records if isinstance(r, TimingRecord) and r.status == "ok"]
        names = {machine_id(r): r.environment.name for r in timed}
        count = Counter(names.values())
        return {of: name if count[name] == 1 else f"{name} #{of}" for of, name in names.items()}


def run_by(records: Iterable[Record], own: Callable[[Record], bool]) -> tuple[list[Record], list[Record]]:
    """The results of one machine: its ``own``, and the scores that others computed of the plans that it timed, for a
    score belongs to the plan. Then the scores of others of cells that it has nothing of."""
    records = list(records)
    mine = [r for r in records if own(r)]
    plans: dict[Any, set[str]] = defaultdict(set)
    for record in mine:
        plans[record.cell.identity].add(record.keys.plan)
    scored = {(r.cell.identity, r.subject.name) for r in mine if isinstance(r, ScoreRecord) and r.status == "ok"}
    theirs = [r for r in records if isinstance(r, ScoreRecord) and not own(r)]
    shared: list[Record] = [
        r
        for r in theirs
        if r.keys.plan in plans[r.cell.identity] - {""} and (r.cell.identity, r.subject.name) not in scored
    ]
    return mine + shared, [r for r in theirs if not plans[r.cell.identity]]


def machine_id(record: Record) -> str:
    """The id of the hardware that the record comes from."""
    return record.environment.id


@dataclass(frozen=True)
class _Called:
    """What a reader may call something: by one of its names, or by the beginning of its id or hash."""

    id: str
    names: tuple[str, ...] = ()

    def means(self, asked: str) -> bool:
        return asked in self.names or asked == self.id or (len(asked) >= LEAST and self.id.startswith(asked))


def _machine(record: Record) -> _Called:
    e = record.environment
    return _Called(e.id, (e.processor, e.board, e.name))


def _data(record: Record) -> _Called:
    return _Called(record.subject.data_digest, (record.subject.data,))


def _protocol(record: Record) -> _Called:
    return _Called(record.protocol)


def _require(
    asked: str,
    records: Iterable[Record],
    kind: str,
    called: Callable[[Record], _Called],
    shown: Callable[[Record], str],
) -> None:
    records = list(records)
    if not any(called(r).means(asked) for r in records):
        raise unknown(kind, asked, {shown(r) for r in records} - {""})


def _narrow(records: list[Record], wanted: Callable[[Record], bool], drop: type[Record] | None = None) -> list[Record]:
    """Of each subject keep the wanted records; a subject that has none stays whole, unless its kind is ``drop``."""
    has_wanted = {(type(r), r.subject.name) for r in records if wanted(r)}

    def stays(r: Record) -> bool:
        return not (drop and isinstance(r, drop)) and (type(r), r.subject.name) not in has_wanted

    return [r for r in records if wanted(r) or stays(r)]
