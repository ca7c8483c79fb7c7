"""One sweep under two versions of a library: packed twice, run in turns, merged and compared.

Each version gets a kit, as a board does: the project's code, a few wheels, the same ONNX files and the same pixels. So
the library is all that differs, and neither version is installed anywhere.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.boards import pack, results, wheels
from bench.boards.kit import CODE
from bench.boards.merge import merge
from bench.boards.onboard import FILE
from bench.boards.pack import Load
from bench.boards.results import Results as Brought
from bench.boards.targets import HERE, target
from bench.drift.versions import Wheel
from bench.records.results import Results
from bench.sweep.assembly import Assembly
from bench.sweep.features import FILE as ROWS
from bench.sweep.features import KIND, SHARD
from bench.sweep.keys import shard_key
from bench.verdict.comparison import Difference, compare
from bench.verdict.row import Row
from bench.verdict.table import rows
from export.errors import CellError
from export.parity import cosine
from export.progress import say
from export.store import Store
from tasks.base import FEATURES

PYTHON = getattr(sys, "_base_executable", sys.executable)
"""An interpreter without this environment's packages."""


@dataclass(frozen=True)
class Side:
    """One version, and the kit that runs it."""

    wheel: Wheel
    kit: Path

    def run(self, repeats: int) -> None:
        """Go on until everything was measured so often.

        Raises:
            CellError: the kit does not run.
        """
        command = [PYTHON, str(self.kit / CODE), "run", "--repeats", str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["It gives no reason."])[-3:]
            raise CellError(f"The sweep fails under {self.wheel}.", " ".join(last), f"{PYTHON} {self.kit / CODE} run")

    @property
    def brought(self) -> Path:
        return self.kit / "results" / FILE


@dataclass(frozen=True)
class Drift:
    """What changed of one engine's cells.

    Attributes:
        cosines: cell → least and mean cosine of an image's features, before and after; 1 where they are equal.
        differences: of scores and timings.
    """

    before: Wheel
    after: Wheel
    cosines: dict[str, tuple[float, float]]
    differences: list[Difference]


def packed(asked: Assembly, versions: Sequence[Wheel], folder: Path, store: Store) -> list[Side]:
    """A kit a version, with the same networks and pixels."""
    here, made = target(HERE), pack.load(asked)
    plain = _plain(made, store)
    found = []
    for wheel in versions:
        place = folder / f"kit-{wheel.library}-{wheel.version}"
        pack.write(asked, made, here, [*plain, wheel.file], place)
        found.append(Side(wheel, place))
    return found


def _plain(made: Load, store: Store) -> list[Path]:
    """What both versions run beside, from the lock for boards."""
    here = target(HERE)
    pins = wheels.locked(here, ())
    place = store.root / "wheels" / f"py{here.python}-{here.platform}"
    found = []
    for _, file in wheels.gather(pins, wheels.Target(here.python, here.platform), place):
        if isinstance(file, wheels.Missing):
            raise file
        found.append(file)
    return found


def in_turns(sides: Sequence[Side], repeats: int) -> None:
    """Run the repeats of all versions in turns, the first of each before the second of any; who begins alternates.

    Raises:
        CellError: as :meth:`Side.run`.
    """
    for repeat in range(1, repeats + 1):
        for side in sides if repeat % 2 else reversed(sides):
            say(f"repeat {repeat} of {repeats}: {side.wheel}")
            side.run(repeat)


def compared(before: Side, after: Side, folder: Path, store: Store) -> Drift:
    """Score what both emitted, and compare.

    Raises:
        UserError: a kit brought nothing that can be scored.
    """
    brought: list[Brought] = []
    tables = []
    for name, side in (("before", before), ("after", after)):
        out = folder / f"results-{side.wheel.library}-{name}"
        merge(side.brought, out, store)
        tables.append(rows(Results.load(out))[0])
        known = results.said(side.brought)
        assert known is not None, "it has just been merged"
        _require_version(known, side.wheel)
        brought.append(known)
    cosines = {title: _cosine(*pair) for title, *pair in _features(brought[0], brought[1], store)}
    busy = {(str(row.cell), name) for found in tables for row in found for name in _disturbed(row)}
    differences = [
        replace(d, verdict="not comparable", why="not judged: other processes were busy")
        if (d.cell, d.result) in busy
        else d
        for d in compare(*tables)
        if d.cell in cosines
    ]
    return Drift(before.wheel, after.wheel, cosines, differences)


def _disturbed(row: Row) -> list[str]:
    """The scenarios beside which other processes took too much of the machine."""
    return [name for name, timing in row.timings.items() if any(m.disturbed for m in timing.monitoring)]


def _require_version(brought: Brought, wheel: Wheel) -> None:
    """Refuse results of another version than the one that was meant to run."""
    ran = brought.environment.libraries.get(wheel.library, "none")
    if ran != wheel.version:
        raise CellError(f"{wheel} was to run, and {ran} ran.", f"It lies in the way of {PYTHON}.", "another Python")


def _features(before: Brought, after: Brought, store: Store) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Title of each network that was shown images, and its features [n, d] on both sides."""
    for network, old, new in zip(before.kit.networks, before.networks, after.networks, strict=True):
        if not (old.built and new.built and network.shown and FEATURES in network.outputs):
            continue
        if old.built.plan_key == new.built.plan_key:
            raise CellError(f"Both versions ran one plan of {network.title}.", "The version is not in its key.")
        pair = []
        for built in (old.built, new.built):
            parts = []
            for shown in network.shown:
                for start in range(0, shown.count, SHARD):
                    entry = store.try_load(KIND, shard_key(built.emitted[shown.of][FEATURES], start, SHARD))
                    assert entry is not None, "it has just been merged"
                    parts.append(np.load(entry.file(ROWS)))
            pair.append(np.concatenate(parts))
        yield network.title, pair[0], pair[1]


def _cosine(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Least and mean over the images."""
    if np.array_equal(before, after):
        return 1.0, 1.0
    found = [cosine(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(before, after, strict=True)]
    return min(found), sum(found) / len(found)
