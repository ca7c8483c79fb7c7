"""The sweeps that wrote a results folder, so that a cell can be made again from its records alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from bench.sweep.spec import SweepSpec, parse
from export.places import expanded
from export.store import key, write_atomic

FOLDER = "sweeps"
"""Within the results folder: a file for each sweep, named by its content."""


def keep(folder: Path, sweep: SweepSpec) -> None:
    """Write down a sweep, its paths absolute; one that is there becomes the newest."""
    document = asdict(absolute(sweep))
    path = folder / FOLDER / f"{key('sweep', **document)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(document, indent=1).encode())


def sweeps(folder: Path) -> Iterator[SweepSpec]:
    """What was written down, the newest first.

    Raises:
        UserError: a file is no sweep.
    """
    files = sorted((folder / FOLDER).glob("*.json"), key=lambda path: (-path.stat().st_mtime_ns, path.name))
    for path in files:
        yield parse(json.loads(path.read_text(encoding="utf-8")), path.name)


def absolute(sweep: SweepSpec) -> SweepSpec:
    """The sweep as it is understood in any working folder."""
    return replace(
        sweep,
        models=tuple(_place(text) if text.endswith(".onnx") else text for text in sweep.models),
        data=tuple(map(_place, sweep.data)),
        shifted=tuple(map(_place, sweep.shifted)),
        out_of_scope=tuple(map(_place, sweep.out_of_scope)),
        zoo=tuple(map(_place, sweep.zoo)),
        weights={model: _place(file) for model, file in sweep.weights.items()},
        meter=_place(sweep.meter) if sweep.meter else "",
    )


def _place(text: str) -> str:
    """The absolute path of what is there; a name, as it is. A data set may be ``reader=path``."""
    before, equals, after = text.rpartition("=")
    path = expanded(after)
    return f"{before}{equals}{path.resolve()}" if path.exists() else text
