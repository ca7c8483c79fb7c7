"""The kit on the board: ``python3 kit.pyz run``. Needs no network, no PyTorch, no installing.

Everything finished is kept at once, and the same command goes on after a power cut.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.boards import kit as kits
from bench.boards import results as brought
from bench.boards.errand import Errand, stored
from bench.boards.kit import Kit
from bench.boards.results import Built, Came, Results
from bench.measure import rounds, runner
from bench.measure.guards import cautions
from bench.measure.machine import environment
from bench.measure.scenarios.catalog import headline
from bench.measure.worker import Job
from bench.records.parts import Failure
from bench.sweep import gate
from engines.preprocess.catalog import identity
from engines.processor import require_pinnable
from export import child
from export.command import console, new_parser
from export.errors import OutOfSpace, UserError
from export.places import require_writable
from export.progress import say
from export.store import Store, write_atomic

LEAST_BYTES = 50 << 20
FILE = "results.tar"


def parser() -> argparse.ArgumentParser:
    """The command line; the first argument is the kit's folder, which ``kit.pyz`` gives."""
    p = new_parser("kit.pyz", "Measure the kit's networks on this board.")
    p.prog = "kit.pyz"
    p.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    p.add_argument("command", choices=("run", "show"), help="run: measure; show: what the kit holds")
    p.add_argument("--only", metavar="WORD", default="", help="the networks whose title has this word")
    p.add_argument("--repeats", type=int, metavar="N", help="stop after N repeats of each timing; the next run goes on")
    p.add_argument("--out", type=Path, metavar="DIR", help="where results are written (results, beside the kit)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run or show the kit; 0 when everything came, 1 where a network failed."""
    args = parser().parse_args(argv)
    kit = kits.load(args.folder)
    chosen = [n for n, network in enumerate(kit.networks) if args.only.lower() in network.title.lower()]
    if not chosen:
        titles = "; ".join(network.title for network in kit.networks)
        raise UserError(f"No network of the kit has {args.only!r} in its title.", f"It has: {titles}.")
    if args.command == "show":
        print(f"kit {kit.id[:8]} for {kit.target}, packed by version {kit.version}")
        for number in chosen:
            print(f"  {kit.networks[number].title}")
        return 0
    require_pinnable(kit.pin)
    out = args.out or args.folder / "results"
    require_writable(out, "--out", LEAST_BYTES)
    return Run(kit, Store(args.folder / kits.STORE, say), out, chosen, args.repeats).run()


class Run:
    """One run of a kit; ``chosen`` are the numbers of the networks that are measured, ``repeats`` how often by now."""

    def __init__(self, kit: Kit, store: Store, out: Path, chosen: Sequence[int], repeats: int | None = None) -> None:
        self._repeats = repeats
        self.kit, self._store, self._out, self._chosen = kit, store, out, chosen
        self._machine, self._board = environment(), board_id()
        # results of another kit, another board or another power mode are never mixed with these
        self._folder = out / "-".join(filter(None, [kit.id[:8], self._machine.id, self._board[:4]]))
        self._failures: dict[int, Failure] = {}
        self._skipped: set[int] = set()

    def run(self) -> int:
        """Plans and features, then timings in random order, then the file to bring home."""
        machine = self._machine
        say(f"{machine.name}, {machine.cores} cores; kit {self.kit.id[:8]}, {len(self._chosen)} networks")
        before = cautions(self._out)
        for caution in before:
            say(f"warning: {caution}")
        try:
            for place, number in enumerate(self._chosen, 1):
                say(f"[{place}/{len(self._chosen)}] {self.kit.networks[number].title}")
                self._build(number)
            self._time()
        finally:
            warnings = self._warned([caution.what for caution in (*before, *cautions(self._out))])
            came = tuple(map(self._came, range(len(self.kit.networks))))
            path = identity(self.kit.preprocess)
            results = Results(self.kit, machine, self._board, path, came, warnings)
            self._set_aside()
            brought.write(results, self._entries(results), self._store.root, self._out / FILE)
        done = sum(one.built is not None and not one.failure for one in came)
        say(f"{done} of {len(came)} networks are measured, {len(self._skipped)} skipped, {self._failed} failed")
        print(f"Bring this home: {self._out / FILE}")
        print(f"There: bob kit merge {FILE}")
        return 1 if self._failed else 0

    def _warned(self, now: Sequence[str]) -> tuple[str, ...]:
        """The warnings of this run and of those before, whose results are kept: each once."""
        file = self._folder / "warnings.json"
        try:
            before = msgspec.json.decode(file.read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            before = []
        found = tuple(dict.fromkeys([*before, *now]))
        write_atomic(file, msgspec.json.encode(found))
        return found

    def _set_aside(self) -> None:
        """Keep the file of another machine or power mode, under a name of its own."""
        file = self._out / FILE
        before = brought.said(file)
        if before is None:
            return
        if (before.kit.id, before.environment.id, before.board) != (self.kit.id, self._machine.id, self._board):
            kept = file.with_name(f"results-{before.kit.id[:8]}-{before.environment.id}.tar")
            file.replace(kept)
            say(f"the results of another kit or machine ({before.environment.name}) are kept as {kept.name}")

    @property
    def _failed(self) -> int:
        return len(self._failures.keys() - self._skipped)

    def _built_file(self, number: int) -> Path:
        return self._folder / f"{number}-built.json"

    def _part(self, number: int, turn: int) -> Path:
        return self._folder / f"{number}-{turn}.json"

    def _build(self, number: int) -> None:
        file, network = self._built_file(number), self.kit.networks[number]
        if self._built(number):
            return
        errand = Errand(str(self._store.root), network, self.kit.pixels_by, self.kit.pin)
        try:
            found = child.alone("bench.boards.errand:work", msgspec.to_builtins(errand), network.title, say)
        except OutOfSpace:
            raise
        except Exception as error:
            self._failures[number] = Failure.of(error)
            say(f"  failed: {error.what if isinstance(error, UserError) else self._failures[number].what}")
            return
        if "skipped" in found:
            reason, remedy = found["skipped"]
            self._failures[number] = Failure("Skip", f"{network.engine} cannot run on this board.", reason, remedy)
            self._skipped.add(number)
            say(f"  skipped: {reason}")
            return
        write_atomic(file, msgspec.json.encode(msgspec.convert(found, Built)))

    def _built(self, number: int) -> Built | None:
        try:
            return msgspec.json.decode(self._built_file(number).read_bytes(), type=Built)
        except (OSError, msgspec.DecodeError):
            return None

    def _time(self) -> None:
        timed = [n for n in self._chosen if n not in self._failures and self.kit.networks[n].scenarios]
        jobs = [self._jobs(n)[: self._repeats] for n in timed]
        if timed:
            takes = rounds.takes(turn for turns in jobs for turn in turns)
            say(f"timing {len(timed)} networks, {self.kit.repeats} repeats each, in random order: {takes}")
            say(runner.metering(jobs[0][0]).said(self.kit.repeats))
        for turn, seen in rounds.measured(
            jobs,
            lambda index, turn: self._part(timed[index], turn),
            self.kit.seed,
            lambda index: timed[index] in self._failures,
        ):
            number = timed[turn.index]
            where = f"{turn} {self.kit.networks[number].title}"
            if seen.failure:
                self._failures[number] = seen.failure
                say(f"{where} failed: {seen.failure.what}")
            else:
                say(f"{where}: {turn.note}{headline(seen.series, self.kit.settings)}{rounds.trouble(seen)}")

    def _jobs(self, number: int) -> tuple[Job, ...]:
        """What the child processes of one network measure."""
        return self.kit.job(self.kit.networks[number], self._store).turns

    def _came(self, number: int) -> Came:
        parts = [self._part(number, turn) for turn in range(len(self._jobs(number)))]
        whole = self.kit.networks[number].scenarios and all(part.exists() for part in parts)
        outcomes = tuple(rounds.read(parts)) if whole else ()
        return Came(self._built(number), self._failures.get(number), number in self._skipped, outcomes)

    def _entries(self, results: Results) -> Iterator[Path]:
        """Where in the store what is brought home lies."""
        for kind, key in results.entries:
            if kind != gate.KIND or self._store.folder(kind, key).exists():
                yield stored(self._store, kind, key).path


def board_id(root: Path = Path("/")) -> str:
    """A hash that tells this board from another of its model; empty where the system names neither."""
    for name in ("sys/firmware/devicetree/base/serial-number", "etc/machine-id"):
        try:
            text = (root / name).read_text().strip("\0\n ")
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return hashlib.sha256(f"board {text}".encode()).hexdigest()[:16]
    return ""


cli = console(main)

if __name__ == "__main__":
    cli()
