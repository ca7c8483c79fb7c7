"""From a sweep to its cells: every model on every engine at every precision, with what is left out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.measure.scenarios.catalog import scenario
from bench.sweep.backbones import named
from bench.sweep.cells import Planned
from bench.sweep.spec import SweepSpec
from engines.base import Availability, Engine, EngineSpec
from engines.catalog import BASELINE, engine
from engines.preprocess.catalog import identity, refusal
from engines.processor import granted
from export.errors import UserError
from export.lower.precision import precision_of
from export.progress import say
from export.store import Store
from export.variant import ALL, WHOLE, input_size
from tasks.catalog import TASKS, task


def expand(sweep: SweepSpec, store: Store) -> list[Planned]:
    """The sweep's cells, and one of an engine that does nothing: the harness's own cost.

    Precision by precision and engine by engine, so that all backbones can be compared early. Every name is checked
    here, before anything runs.

    Raises:
        UserError: no model can be used, or an unknown model, engine, precision, task, scenario, preprocessing path or
            excluded name; or all cells are excluded.
        Unavailable: none of the engines runs on this machine; the first one's reason is reported. Or a scenario's
            library is missing.
    """
    sweep = _with_all_tasks(sweep)
    _require_scopes(sweep)
    for name in sweep.scenarios:
        scenario(name).require()
    identity(sweep.preprocess)
    precisions = [precision_of(name) for name in sweep.precisions]
    for name in sweep.weights:
        if name not in sweep.models:
            raise UserError(f"--weights names {name!r}, which is not among the models.")
    backbones = named(sweep, store)
    threads = granted(sweep.threads, sweep.cores)
    engines = [engine(EngineSpec.parse(text, threads)) for text in sweep.engines]
    available = [e.available() for e in engines]
    if not any(a.ok for a in available):
        engines[0].require()
    feeding = [
        e for e, a in zip(engines, available, strict=True) if e.computes and _fed(e, a, sweep.preprocess, store).ok
    ]
    first = next(iter(feeding), None)
    cells = [
        Planned(
            one.backbone,
            e,
            _fed(e, a, sweep.preprocess, store) if p in e.precisions else _refused(e),
            p,
            sweep,
            store,
            finished=finished,
            trouble=one.trouble,
            first=first,
        )
        for precision in precisions
        for e, a in zip(engines, available, strict=True)
        for one in backbones
        for p, finished in one.taken(precision, precisions)
    ]
    for words in sweep.exclude:
        rest = [c for c in cells if not _meant(c, words.split())]
        if len(rest) in (0, len(cells)):
            raise UserError(
                f"exclude {words!r} leaves out {'no cell' if rest else 'every cell'} of the sweep.",
                "Each word must name a backbone, an engine, a precision, an input size or a depth of the sweep.",
                "--exclude 'ort int8' or --exclude 'vit_s 128 depth 3'",
            )
        cells = rest
    if sweep.scenarios and all(c.engine.computes for c in cells):
        nothing = engine(EngineSpec(BASELINE, threads=threads))
        found = _fed(nothing, nothing.available(), sweep.preprocess, store)
        usable = next((c for c in cells if not c.trouble), cells[0])
        cells.append(replace(usable, engine=nothing, availability=found))
    return cells


def _meant(cell: Planned, words: Sequence[str]) -> bool:
    """Whether each of the words names the cell's backbone, engine, precision, input size, or, after ``depth``, depth.

    A word is a whole name: 224 is the size 224x224, and no backbone whose name has that number in it.
    """
    spec, backbone = cell.engine.spec, cell.backbone
    names = {backbone.name, spec.name, str(spec), str(cell.precision)}
    asked = iter(words)
    for word in asked:
        if word == "depth":
            if next(asked, "") != str(backbone.depth or WHOLE):
                return False
        elif word not in names and not (backbone.size and _size(word) == backbone.size):
            return False
    return bool(words)


def _size(word: str) -> str:
    """The input size that a word names; empty where it names none."""
    try:
        return input_size(word)
    except UserError:
        return ""


def _require_scopes(sweep: SweepSpec) -> None:
    """Refuse tasks that no data set is for, and a data set that no task is for."""
    scopes = {name: task(name).meta.scope for name in sweep.tasks}
    lonely = [name for name, scope in scopes.items() if scope == "open"]
    if lonely and not sweep.out_of_scope:
        raise UserError(
            f"The task {lonely[0]} needs out-of-scope images: of none of the classes.",
            "The sweep names no such data set.",
            "--out-of-scope SET",
        )
    if sweep.out_of_scope and not lonely:
        known = ", ".join(name for name in TASKS if task(name).meta.scope == "open")
        raise UserError(
            "The sweep has out-of-scope images, but no task that uses them.",
            f"Its tasks are {', '.join(sweep.tasks) or 'none'}.",
            f"--tasks {','.join([*sweep.tasks, known])}",
        )


def _with_all_tasks(sweep: SweepSpec) -> SweepSpec:
    """The sweep with the names of all tasks for ``all``; without images out of scope, of those that need none."""
    if sweep.tasks != (ALL,):
        return sweep
    tasks = tuple(name for name in TASKS if sweep.out_of_scope or task(name).meta.scope == "closed")
    if left := sorted(set(TASKS) - set(tasks)):
        say(f"tasks left out, because --out-of-scope is not given: {', '.join(left)}")
    return replace(sweep, tasks=tasks)


def _fed(engine: Engine, found: Availability, path: str, store: Store) -> Availability:
    """``found``, unless the preprocessing path cannot feed the engine."""
    why, remedy = refusal(path, engine, store) if found.ok else ("", "")
    return replace(found, ok=False, reason=why, remedy=remedy) if why else found


def _refused(engine: Engine) -> Availability:
    return Availability(False, f"It runs {', '.join(sorted(engine.precisions))}.")
