"""A folder of records, as it lies on the disk: read, counted, and narrowed to what may be compared.

Records of several machines merge by copying, so a folder may hold more than belongs into one table. Nothing is thrown
together here: what differs in its protocol is refused by :mod:`bench.verdict.table` until the reader has chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.records.record import Record, read
from export.errors import UserError, unknown

RUN = "python -m bench.run"


@dataclass(frozen=True)
class Unread:
    """A file that should be a record and is none."""

    name: str
    reason: str


@dataclass(frozen=True)
class Results:
    """All records of a folder, by file name; ``unread`` are the files that could not be read."""

    records: tuple[Record, ...]
    unread: tuple[Unread, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Read ``folder/records/*.json`` (or ``folder/*.json``, where the folder is the records' own).

        Raises:
            UserError: there is no such folder, or no record in it.
        """
        inner = folder / "records"
        place = inner if inner.is_dir() else folder
        if not place.is_dir():
            raise UserError(f"There is no results folder {str(folder)!r}.", "", f"{RUN} --out {folder}")
        records, unread = [], []
        for path in sorted(place.glob("*.json")):
            try:
                records.append(read(path))
            except (UserError, OSError) as error:
                why = f"{error.what} {error.why}" if isinstance(error, UserError) else str(error)
                unread.append(Unread(path.name, why.replace(str(path), "it").strip()))
        if not records:
            why = f"{len(unread)} files could not be read; the first: {unread[0].reason}" if unread else ""
            raise UserError(f"{str(folder)!r} holds no record.", why, f"{RUN} --out {folder}")
        return cls(tuple(records), tuple(unread))

    def choose(self, machine: str | None = None, data: Iterable[str] = (), protocols: Iterable[str] = ()) -> Results:
        """Keep what was chosen.

        Args:
            machine: the beginning of a machine's id, or its processor's or board's name: timings of others are left
                out. Scores stay, whoever computed them: they belong to the plan, not to the machine.
            data: names of data sets, or beginnings of their digests: scores on others are left out, and timings over
                other images where there are some over these.
            protocols: beginnings of protocol hashes: of a task on a data set, or a scenario, that has records of these
                protocols, the others are left out.

        Raises:
            UserError: there is no such machine, data set or protocol among the records.
        """
        kept = list(self.records)
        if machine:
            kept = self._of_machine(kept, machine)
        wanted = tuple(data)
        if wanted:
            for one in wanted:
                _require(one, kept, "data set", lambda r: str(r.subject.get("data", "")), _data_names)
            kept = _narrow(kept, lambda r: any(_is_one(one, _data_names(r)) for one in wanted), drop="score")
        hashes = tuple(protocols)
        if hashes:
            for one in hashes:
                _require(one, kept, "protocol", lambda r: r.protocol, lambda r: [r.protocol])
            kept = _narrow(kept, lambda r: any(r.protocol.startswith(one) for one in hashes))
        return Results(tuple(kept), self.unread)

    @staticmethod
    def _of_machine(records: list[Record], machine: str) -> list[Record]:
        timed = [r for r in records if r.kind == "timing"]
        _require(machine, timed, "machine", machine_id, machine_names)
        return [r for r in records if r.kind == "score" or _is_one(machine, machine_names(r))]


def machine_id(record: Record) -> str:
    """The id of the hardware that the record comes from."""
    return str(record.environment.get("id", ""))


def machine_names(record: Record) -> list[str]:
    """What a reader may call that hardware."""
    return [str(record.environment.get(name, "")) for name in ("id", "processor", "board")]


def subject_name(record: Record) -> str:
    """``task@data`` of a score, the scenario of a timing: what names a column or a group of them."""
    s = record.subject
    return f"{s.get('task')}@{s.get('data')}" if record.kind == "score" else str(s.get("scenario"))


def _data_names(record: Record) -> list[str]:
    return [str(record.subject.get("data", "")), str(record.subject.get("data_digest", ""))]


def _is_one(asked: str, names: list[str]) -> bool:
    """Whether ``asked`` is one of the names, or the beginning (4 characters or more) of an id or digest."""
    return any(name and (name == asked or (len(asked) >= 4 and name.startswith(asked))) for name in names)


def _require(
    asked: str,
    records: Iterable[Record],
    kind: str,
    shown: Callable[[Record], str],
    names: Callable[[Record], list[str]],
) -> None:
    records = list(records)
    if not any(_is_one(asked, names(r)) for r in records):
        raise unknown(kind, asked, {shown(r) for r in records} - {""})


def _narrow(records: list[Record], wanted: Callable[[Record], bool], drop: str = "") -> list[Record]:
    """Of each subject keep the wanted records; a subject that has none stays whole, unless its kind is ``drop``."""
    has_wanted = {(r.kind, subject_name(r)) for r in records if wanted(r)}
    return [r for r in records if wanted(r) or (r.kind != drop and (r.kind, subject_name(r)) not in has_wanted)]
