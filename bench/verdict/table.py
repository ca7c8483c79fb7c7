"""Records joined to one row a cell: its scores and its costs, side by side, from one plan.

What may not be compared is refused here, in a sentence that says what differs and how to choose. Nothing is dropped
without being counted in the table's notes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.records import stats
from bench.records.energy import of_energy
from bench.records.parts import SCENARIOS, Cell, TaskSubject
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import Results, machine_id, run_by
from bench.verdict import energies
from bench.verdict.hot import hot
from bench.verdict.losses import losses, note
from bench.verdict.overlap import overlap
from bench.verdict.row import Row, throttled
from bench.verdict.sheet import Column, Sheet
from export.errors import UserError
from export.spec import Metric


def rows(results: Results, by_machine: bool = False) -> tuple[list[Row], list[str]]:
    """One row a cell, and notes on what was left out.

    A cell is backbone, weights, engine, precision, preprocessing and batches. Of several builds of its plan (an engine
    was updated) the newest counts, and of several records of one subject the newest. Where several networks have one
    name, each is named by its weights too.

    Args:
        by_machine: where several machines timed cells, one row a cell and machine, with the scores of its own plans.

    Raises:
        UserError: records of different protocol or machine would stand in one column.
    """
    machines = results.machines
    known = [_with_weights(record, _networks(r.cell for r in results.records)) for record in _in_time(results)]
    if by_machine and len(machines) > 1:
        kept = _of_machines(known, machines)
    else:
        if len(machines) > 1:
            _refuse_machines(results, machines)
        kept = [("", group) for group in _by_cell(known)]
    _require_comparable([(machine, r) for machine, group in kept for r in group])
    found = _told_apart([_row(group, machine) for machine, group in kept])
    present = {r.key for row in found for r in (*row.records, *row.troubles)}
    notes = []
    if older := len({r.key for r in results.records} - present):
        notes.append(f"{older} older records are left out: an earlier build of the plan, or measured again since.")
    notes += [f"Not readable: {u.name}: {u.reason}" for u in results.unread]
    for row in found:
        if len({r.keys.plan_content for r in row.records}) > len({r.keys.joint for r in row.records}):
            notes.append(f"{row.cell}: its records come from more than one build of the same plan.")
    found.sort(key=lambda r: (r.cell.backbone, r.cell.engine, r.cell.precision, r.machine))
    if any(row.emulated for row in found):
        notes.append("* emulated: the engine computes most of the network in another precision than the file's.")
    return found, [*notes, *_rounded(found), *note(found), *hot(found), *energies.notes(found)]


def _in_time(results: Results) -> list[Record]:
    return sorted(results.records, key=lambda r: (r.started_at, r.key))


def _with_weights(record: Record, networks: dict[str, set[str]]) -> Record:
    """The record; an older one, or a failure, that does not know its weights, with those that alone have the name."""
    known = networks[record.cell.backbone] - {""}
    if record.cell.weights or len(known) != 1:
        return record
    return replace(record, cell=replace(record.cell, weights=min(known)))


def _by_cell(records: Iterable[Record]) -> list[list[Record]]:
    """The records of each cell's newest plan."""
    cells: dict[Any, list[Record]] = defaultdict(list)
    for record in records:
        cells[record.cell.identity].append(record)
    return [_newest_plan(group) for group in cells.values()]


def _of_machines(records: Sequence[Record], machines: dict[str, str]) -> list[tuple[str, list[Record]]]:
    """The records of each cell's newest plan on each machine that timed something, then of scores alone."""
    found: list[tuple[str, list[Record]]] = []
    taken: set[str] = set()
    for machine, name in machines.items():
        own, _ = run_by(records, lambda r, machine=machine: machine_id(r) == machine)  # type: ignore[misc]
        taken |= {r.key for r in own}
        found += [(name, group) for group in _by_cell(own)]
    return found + [("", group) for group in _by_cell(r for r in records if r.key not in taken)]


def _refuse_machines(results: Results, machines: dict[str, str]) -> None:
    counts = Counter(machine_id(r) for r in results.records if isinstance(r, TimingRecord))
    raise UserError(
        f"The timings were taken on {len(machines)} machines; this needs those of one.",
        "; ".join(f"{of} is {name} ({counts[of]} records)" for of, name in machines.items()) + ".",
        f"--machine {next(iter(machines))}",
    )


def _rounded(found: Iterable[Row]) -> list[str]:
    """A sentence on inputs that are not of the size that was asked for."""
    taken = {(r.cell.backbone, r.cell.size): "x".join(map(str, r.about.input)) for r in found if r.about.input}
    other = [f"{name} takes {size} for {asked}" for (name, asked), size in taken.items() if asked not in ("", size)]
    return [f"Inputs are rounded to what the network takes: {', '.join(other)}."] if other else []


def _remarks(found: Iterable[Row]) -> tuple[str, ...]:
    """How the data sets were read, where a reader should know: once for each."""
    subjects = [record.subject for row in found for record in row.scores.values()]
    return tuple(dict.fromkeys(f"{subject.data}: {remark}" for subject in subjects for remark in subject.remarks))


def sheet(found: Sequence[Row], notes: Iterable[str] = ()) -> Sheet:
    """The rows as numbers. Settings are the main metrics of all tasks; costs are the metrics of all scenarios."""
    settings = _settings(found)
    owners = _owners(found)
    domains = energies.domains(found)
    costs = [_costs_of(row, owners, len(domains) > 1) for row in found]
    columns = {c.name: c for paid in costs for c, _ in paid}
    values, errors = np.full((2, len(found), len(settings)), np.nan)
    places = {name: place for place, name in enumerate(columns)}
    paid_values = np.full((len(found), len(columns)), np.nan)
    samples, by_draw, overlaps = {}, {}, {}
    for i, row in enumerate(found):
        for j, setting in enumerate(settings):
            if setting.name not in row.scores:
                continue
            record = row.scores[setting.name]
            main = record.main
            if main.value is None:
                continue
            values[i, j] = main.value
            errors[i, j] = np.nan if main.stderr is None else main.stderr
            if known := overlap(record.about.pretrain_data, record.subject.published):
                overlaps[i, j] = known
            parts = np.array(record.per_sample)
            if stats.is_mean(parts, main.value):
                samples[i, j] = parts
                if stats.is_mean(record.per_draw, main.value):
                    by_draw[i, j] = np.array(record.per_draw)
        for column, value in costs[i]:
            paid_values[i, places[column.name]] = value
    judged = [row.judge() for row in found]
    return Sheet(
        labels=tuple(_label(row, found, domains) for row in found),
        settings=tuple(settings),
        values=values,
        errors=errors,
        costs=tuple(columns.values()),
        cost_values=paid_values,
        status=tuple(status for status, _ in judged),
        why=tuple(why for _, why in judged),
        flags=tuple(tuple(row.flags) for row in found),
        samples=samples,
        by_draw=by_draw,
        overlaps=overlaps,
        notes=tuple(notes),
        remarks=_remarks(found),
    )


def _label(row: Row, found: Sequence[Row], domains: Sequence[str]) -> dict[str, Any]:
    """What it is called; with what its energy is of, where any row has one."""
    own = {"energy_domain": " / ".join(energies.domains([row]))} if domains else {}
    return row.label | {"loses": ", ".join(losses(row, found))} | own


def sheet_of(results: Results, by_machine: bool = False) -> Sheet:
    """Records → sheet, in one step."""
    return sheet(*rows(results, by_machine))


def _newest_plan(records: list[Record]) -> list[Record]:
    """The records of the newest plan, and the failures (which may have none)."""
    done = [r for r in records if r.status == "ok"]
    if not done:
        return records
    plan = done[-1].keys.plan
    return [r for r in records if r.status != "ok" or r.keys.plan == plan]


def _row(records: list[Record], machine: str) -> Row:
    newest = {(type(r), r.subject.name): r for r in records}
    good = [r for r in newest.values() if r.status == "ok" and r.metrics and not throttled(r)]
    troubles = tuple(r for r in newest.values() if r.status != "ok" or throttled(r))
    return Row(
        records[-1].cell,
        {r.subject.name: r for r in good if isinstance(r, ScoreRecord)},
        {r.subject.name: r for r in good if isinstance(r, TimingRecord)},
        troubles,
        machine,
    )


def _networks(cells: Iterable[Cell]) -> dict[str, set[str]]:
    """Backbone → the weights that bear its name; "" where a cell does not know them."""
    networks: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        networks[cell.backbone].add(cell.weights)
    return networks


def _told_apart(found: list[Row]) -> list[Row]:
    """The rows; a name that several networks have becomes ``NAME #…``, with the beginning of their weights' hash."""
    networks = _networks(row.cell for row in found)
    return [
        replace(row, cell=replace(row.cell, backbone=f"{row.cell.backbone} #{_short(row.cell.weights)}"))
        if len(networks[row.cell.backbone]) > 1
        else row
        for row in found
    ]


def _short(weights: str) -> str:
    return weights if "@" in weights else weights[:8] or "unknown weights"


def _require_comparable(records: Sequence[tuple[str, Record]]) -> None:
    """Refuse results of several protocols in one column.

    Timings of several machines differ in it by right, and so do those of cells that preprocess otherwise: these must
    agree in all else.
    """
    columns: dict[Any, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    stated: dict[Any, dict[str, list[Record]]] = defaultdict(dict)
    for machine, record in records:
        if record.status != "ok":
            continue
        name, timed = record.subject.name, isinstance(record, TimingRecord)
        columns[machine if timed else "", record.cell.preprocess if timed else "", type(record), name][
            record.protocol
        ].append(record)
        if timed:
            rest = {of: value for of, value in _stated(record).items() if of != "preprocess"}
            stated[machine, name].setdefault(str(rest), []).append(record)
    for groups in stated.values():
        if len(heads := {group[0].protocol: group for group in groups.values()}) > 1:
            _refuse(heads)
    for protocols in columns.values():
        if len(protocols) > 1:
            _refuse(protocols)


def _refuse(protocols: dict[str, list[Record]]) -> None:
    subject = next(iter(protocols.values()))[0].subject.name
    raise UserError(
        f"{subject} has results of {len(protocols)} protocols; one column cannot hold them.",
        _difference(protocols),
        " or ".join(f"--protocol {p}" for p in protocols),
    )


def _difference(protocols: dict[str, list[Record]]) -> str:
    """What differs, as far as it is recorded."""
    stated = {p: _stated(rs[0]) for p, rs in protocols.items()}
    names = list(dict.fromkeys(name for values in stated.values() for name in values))
    differ = [n for n in names if len({str(values.get(n)) for values in stated.values()}) > 1]
    each = [
        f"{p} ({len(rs)} records): "
        + (", ".join(f"{n} {stated[p].get(n)}" for n in differ) or "a setting not recorded")
        for p, rs in protocols.items()
    ]
    return "; ".join(each) + "."


def _stated(record: Record) -> dict[str, Any]:
    s = record.subject
    if isinstance(s, TaskSubject):
        return {n: getattr(s, n) for n in ("data_digest", "n_test", "version", "settings", "seed")}
    return {
        "machine": machine_id(record),
        "threads": record.cell.threads,
        "pin": s.settings.get("pin"),
        "data": s.data,
        "data_digest": s.data_digest,
        "version": s.version,
        "index_size": s.settings.get("index_size"),
        "preprocess": record.cell.preprocess,
    }


def _settings(found: Sequence[Row]) -> list[Column]:
    settings = {}
    for row in found:
        for name, record in row.scores.items():
            main, s = record.main, record.subject
            about = f"{main.name} of {s.task} on {s.data}"
            settings[name] = Column(name, main.unit, main.higher_is_better, about, s.data_digest, s.task, s.data)
    return [settings[name] for name in sorted(settings)]


def _owners(found: Sequence[Row]) -> dict[str, str]:
    """Metric name → the scenario that gives the plain column: the first, where two report one (peak memory)."""
    owners: dict[str, str] = {}
    for scenario in in_order({s for row in found for s in row.timings}):
        for row in found:
            timing = row.timings.get(scenario)
            for metric in timing.metrics if timing and not timing.subject.head else ():
                owners.setdefault(metric.name, scenario)
    return owners


def _costs_of(row: Row, owners: dict[str, str], apart: bool) -> list[tuple[Column, float]]:
    """What the row costs; ``apart``: energies of several domains are there, and each has columns of its own."""
    costs: list[tuple[Column, float]] = []
    named = set()
    for scenario in in_order(row.timings):
        timing = row.timings[scenario]
        head = timing.subject.head
        for m in timing.metrics:
            name = m.name if not head and owners[m.name] == scenario else f"{head or scenario}.{m.name}"
            about = f"{m.name} of {scenario}"
            if of_energy(m.name):
                if m.value is None or timing.energy is None:
                    continue  # where no row has any, there is no column
                name = energies.column(name, timing.energy.domain, apart)
                about += f": {timing.energy.domain}"
            if name not in named:  # two scenarios of one head may report the same
                named.add(name)
                costs.append((Column(name, m.unit, m.higher_is_better, about, head=head), _value(m)))
    known = row.about
    if known.parameters:
        column = Column("parameters_m", "M", False, "parameters of the exported network")
        costs.append((column, known.parameters / 1e6))
    if known.gmacs:
        costs.append((Column("gmacs", "10⁹", False, "multiply-accumulates for one image"), known.gmacs))
    return costs


def _value(metric: Metric) -> float:
    return np.nan if metric.value is None else metric.value


def in_order(names: Iterable[str]) -> list[str]:
    """Scenarios in the order of ``SCENARIOS``; others after them."""
    known = {name: i for i, name in enumerate(SCENARIOS)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))
