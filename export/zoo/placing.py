"""Fills a module from a checkpoint, by name or in order: all of the module is filled, all of the file used or named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from export.errors import UserError
from export.zoo import reading
from export.zoo.checkpoint import Contents
from export.zoo.layouts import Layout
from export.zoo.reading import Convert, Reading, Target, below, few

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Placed:
    """What became of a checkpoint's tensors.

    Attributes:
        used: names in the checkpoint, of tensors that are in the module now.
        left_out: the others' names.
        notes: what a reader has to know of it, a sentence each without its full stop.
    """

    used: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def by_name(
    module: torch.nn.Module,
    contents: Contents,
    prefix: str,
    what: str,
    convert: Convert | None = None,
    dry: bool = False,
) -> Placed:
    """Fill the module with the tensors that bear its names.

    Args:
        prefix: where the tensors' names begin with it, in the mapping that holds them; without one, what fits is found.
        convert: makes the module's names and shapes of others.
        dry: names and shapes are compared, and the module stays as it is: it may be on the device "meta".

    Raises:
        UserError: some of the module's tensors are missing, have another shape or cannot be its numbers; the checkpoint
            is of a deeper network; several networks in it fit; or no name has the prefix.
    """
    target = Target.of(module)
    names, wrapped = reading.unwrapped(contents.tensors, target.wanted)
    starts = (
        reading.prefixed(contents.file, names, target.wanted, prefix)
        if prefix
        else reading.starts_of(names, target.wanted)
    )
    best = starts.most_common(1)[0][0] if starts else ""
    full = [start for start, count in starts.items() if 2 * count >= max(1, len(target.needed))]
    if not full:
        full = list(starts) if prefix else list(dict.fromkeys([best, *reading.beginnings(names, contents.levels)]))
    readings = [reading.read_below(target, names, contents.tensors, start, convert) for start in full]
    chosen, note = reading.chosen_of(readings, contents.file)
    if chosen is None:
        raise _mismatch(contents, names, readings, target.wanted, starts, what)
    notes = [*reading.where(chosen.start, contents.levels), *wrapped, *([note] if note else [])]
    return _load(target, contents, chosen, notes, dry)


def by_layout(
    module: torch.nn.Module,
    contents: Contents,
    layouts: Sequence[Layout],
    what: str,
    convert: Convert | None = None,
    tolerant: bool = False,
    dry: bool = False,
) -> Placed:
    """Fill the module from a file of another project's, of which every name is used or listed as dropped.

    Args:
        tolerant: a file that is of none of these layouts is read as :func:`by_name` does it.
        dry: as there.

    Raises:
        UserError: a name is neither used nor dropped, or a part of a joined tensor is missing; or as :func:`by_name`.
    """
    target = Target.of(module)
    found = [layout.arranged(contents.tensors) for layout in layouts]
    best = max(found, key=lambda one: len(target.needed & set(one.of)))
    if tolerant and 2 * len(target.needed & set(best.of)) < len(target.needed):
        return by_name(module, contents, "", what, convert, dry)
    if best.gaps:
        raise UserError(
            f"The checkpoint {contents.file} does not fit {what}.",
            f"A part of {few(best.gaps)} is missing, which are joined out of {few(best.of[best.gaps[0]])}.",
            _FIT,
        )
    state = best.tensors(contents.tensors, target.wanted)
    arranged = replace(contents, tensors=state, levels=("",), unread=best.dropped)
    placed = by_name(module, arranged, "", what, convert, dry)
    left = [one for name in placed.left_out if not _spare(name, target) for one in best.of.get(name, (name,))]
    if strange := [*best.strange, *left]:
        raise UserError(
            f"The checkpoint {contents.file} holds {len(strange)} tensors that are neither used nor listed as dropped.",
            f"They are {few(strange, 8)}; the layout is {best.layout.name!r}.",
            "list them under drop, in a layout of your own: docs/backbones.md",
        )
    used = [one for name in placed.used for one in best.of.get(name, ())]
    return Placed(tuple(used), best.dropped, (*best.notes, *placed.notes))


def _spare(name: str, target: Target) -> bool:
    """Whether a module does without a tensor: of its classifier, or how often a statistic was updated."""
    return below(name, target.heads) or name.endswith(reading.COUNT)


def in_order(module: torch.nn.Module, contents: Contents, what: str) -> Placed:
    """Fill the module tensor by tensor, each shape checked: for the same network under other names.

    Raises:
        UserError: another number of tensors or another shape at some place; or as :func:`by_name`.
    """
    target = Target.of(module)
    if not contents.ordered:
        raise UserError(
            f"The checkpoint {contents.file} cannot be read in order.",
            "A safetensors file sorts its tensors by name.",
            "a file of torch.save, or the names of the network and reader: named",
        )
    wanted = {name: tensor for name, tensor in target.wanted.items() if not name.endswith(reading.COUNT)}
    readings = []
    for level in contents.levels:
        of = {n: n for n in contents.tensors if n.startswith(level) and not n.endswith(reading.COUNT)}
        state = {w: contents.tensors[g] for w, g in zip(wanted, of, strict=False)}
        shapes = tuple(w for w in state if wanted[w].shape != state[w].shape)
        missing = tuple(wanted)[len(of) :]
        foreign = tuple(of)[len(wanted) :]
        places = dict(zip(wanted, of, strict=False))
        readings.append(Reading(level, places, state, missing, shapes, foreign))
    chosen, note = reading.chosen_of(readings, contents.file)
    if chosen is None:
        closest = min(readings, key=lambda r: (len(r.missing) + len(r.foreign), len(r.shapes)))
        problems = _problems(closest, wanted, closest.state)
        problems += [f"{len(closest.foreign)} are too many ({few(closest.foreign)})"] if closest.foreign else []
        raise UserError(
            f"The checkpoint {contents.file} does not fit {what}.", f"In order: {'; '.join(problems)}.", _FIT
        )
    notes = [*reading.where(chosen.start, contents.levels), *([note] if note else [])]
    return _load(target, contents, chosen, notes)


# -- numbers -----------------------------------------------------------------------------------------------------------


def _load(target: Target, contents: Contents, chosen: Reading, notes: list[str], dry: bool = False) -> Placed:
    """Check every number, then copy; ``dry``: neither."""
    loaded: State = {}
    casts: Counter[tuple[torch.dtype, torch.dtype]] = Counter()
    adapted, sparse = list[str](), list[str]()
    for name, own in target.wanted.items():
        given = chosen.state.get(name)
        if given is None or (name not in target.needed and given.shape != own.shape):
            continue
        values = given if dry else _values(given, own, name, contents.file)
        original = contents.tensors.get(chosen.of.get(name, ""))
        if original is not None and original.layout in reading.sparse_layouts():
            sparse.append(name)
        source = given if original is None else original
        if own.is_floating_point() and source.dtype != own.dtype:
            casts[source.dtype, own.dtype] += 1
        if original is not None and original.shape != own.shape and original.numel() != own.numel():
            adapted.append(f"{name} is resized from {_size(original)} to {_size(own)}")
        loaded[name] = values
    if not dry:
        target.module.load_state_dict(loaded, strict=False)
    for (dtype, read), count in casts.items():
        notes.append(f"{count} tensors are {_kind(dtype)}, and are read as {_kind(read)}")
    if sparse:
        notes.append(f"{len(sparse)} sparse tensors are read as dense ones")
    notes += adapted
    computed = [n for n in target.wanted if n not in loaded and not n.endswith(reading.COUNT)]
    if computed:
        notes.append(f"{len(computed)} tensors that the network computes by itself are not in it ({few(computed)})")
    return _accounted(target, contents, chosen, set(loaded), notes)


def _values(given: torch.Tensor, target: torch.Tensor, name: str, file: str) -> torch.Tensor:
    """The tensor as numbers of the module's type.

    Raises:
        UserError: it has no numbers, numbers of another kind, or some that are not finite.
    """
    if given.device.type == "meta":
        raise UserError(f"The checkpoint {file} has no numbers for {name}.", "It is a tensor on the device 'meta'.")
    if given.is_quantized or given.is_nested:
        kind = "quantised" if given.is_quantized else "nested"
        raise UserError(f"The tensor {name} of {file} is {kind} ({_kind(given.dtype)}).", "", _FLOATS)
    floats = given.is_floating_point() and given.dtype.itemsize > 1
    if given.is_complex() or (target.is_floating_point() != floats and not name.endswith(reading.COUNT)):
        wanted = "floating-point numbers of 16 bits or more" if target.is_floating_point() else _kind(target.dtype)
        raise UserError(
            f"The tensor {name} of {file} is {_kind(given.dtype)}.", f"The network needs {wanted}.", _FLOATS
        )
    values = reading.dense(given).to(target.dtype)
    if floats and not bool(values.isfinite().all()):
        bad = "NaN" if bool(values.isnan().any()) else "Inf"
        count = int((~values.isfinite()).sum())
        raise UserError(
            f"The tensor {name} of {file} holds {bad}.",
            f"{count} of its {values.numel()} numbers are not finite: the training diverged, or the file is damaged.",
            "use an earlier checkpoint",
        )
    return values


_FLOATS = "use the checkpoint in floating point that it was made from"


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _size(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


# -- what is left ------------------------------------------------------------------------------------------------------


def _accounted(target: Target, contents: Contents, chosen: Reading, loaded: set[str], notes: list[str]) -> Placed:
    """Say which of the file's tensors the module has now, and name the rest."""
    places = {
        tensor.data_ptr()
        for name, tensor in chosen.state.items()
        if name in loaded and tensor.numel() and tensor.layout not in reading.sparse_layouts()
    }
    used, left = list[str](), list[str]()
    name_of = {given: name for name, given in chosen.of.items()}
    for given, tensor in contents.tensors.items():
        name = name_of.get(given)
        moved = (
            name not in chosen.state and tensor.layout not in reading.sparse_layouts() and tensor.data_ptr() in places
        )
        (used if name is not None and (name in loaded or moved) else left).append(given)
    merged = _merged([given for given in left if given in name_of], contents, chosen, loaded)
    used, left = [*used, *merged], [given for given in left if given not in merged]
    converted = [n for n in loaded if n not in chosen.of]
    if converted:
        notes.append(f"{len(converted)} tensors have another name in it ({few(converted)})")
    heads = [given for given in left if given in name_of and below(name_of[given], target.heads)]
    counts = {given for given in left if given in name_of and given.endswith(reading.COUNT)}
    if heads:
        notes.append(f"left out: its classifier ({few([name_of[given] for given in heads])})")
    rest = [given for given in left if given not in heads and given not in counts]
    if groups := _groups(rest, contents, name_of):
        notes.append(f"left out: {', '.join(groups)}")
    if contents.unread:
        notes.append(f"left out: {len(contents.unread)} tensors of other parts ({few(contents.unread)})")
    if contents.others:
        notes.append(f"beside the tensors it holds {few(contents.others, 8)}, which are not used")
    return Placed(tuple(used), tuple(left), tuple(notes))


def _merged(suspects: Sequence[str], contents: Contents, chosen: Reading, loaded: set[str]) -> list[str]:
    """Which of these a conversion made something of: what it gives changes where they are NaN."""
    import torch

    names = {given: name for name, given in chosen.of.items()}
    kept = [given for given in suspects if contents.tensors[given].is_floating_point()]
    if not chosen.convert or not kept or not loaded - set(chosen.of):
        return []

    def changed(some: Sequence[str]) -> bool:
        state = {name: contents.tensors[given] for given, name in names.items()}
        state |= {names[given]: torch.full_like(reading.dense(contents.tensors[given]), torch.nan) for given in some}
        try:
            found = chosen.convert(state) if chosen.convert else {}
        except Exception:  # it needs their numbers
            return True
        return any(bool(found[name].isnan().any()) for name in loaded if name in found)

    def among(some: Sequence[str]) -> list[str]:
        if not changed(some):
            return []
        half = len(some) // 2
        return [*among(some[:half]), *among(some[half:])] if half else list(some)

    return among(kept)


def _groups(names: Sequence[str], contents: Contents, name_of: Mapping[str, str]) -> list[str]:
    """The names by the mapping that they are in, or by their first part where they stand beside what is used."""
    counts: Counter[str] = Counter()
    for given in names:
        if given in name_of:
            counts[name_of[given].partition(".")[0]] += 1
        else:
            level = min((one for one in contents.levels if one and given.startswith(one)), key=len, default="")
            counts[level.rstrip(".") or given.partition(".")[0]] += 1
    return [f"{name} ({count} tensor{'s' if count > 1 else ''})" for name, count in counts.items()]


# -- refusal -----------------------------------------------------------------------------------------------------------

_FIT = "name the backbone that it was trained as"


def _problems(found_in: Reading, wanted: State, state: State) -> list[str]:
    total = len(wanted)
    found = []
    if found_in.missing:
        found.append(f"{len(found_in.missing)} of {total} tensors are missing ({few(found_in.missing)})")
    if found_in.shapes:
        shown = [f"{n}: {_size(state[n])}, not {_size(wanted[n])}" for n in found_in.shapes[:3]]
        more = ", …" if len(found_in.shapes) > 3 else ""
        found.append(f"{len(found_in.shapes)} of {total} tensors have another shape ({', '.join(shown)}{more})")
    return found


def _mismatch(
    contents: Contents,
    names: Mapping[str, str],
    readings: Sequence[Reading],
    wanted: State,
    starts: Counter[str],
    what: str,
) -> UserError:
    """An error with the closest reading."""
    title = f"The checkpoint {contents.file} does not fit {what}."
    if not starts or not max(starts.values()):
        return UserError(
            title, f"None of its names is the network's: {few(names)}; the network has {few(wanted)}.", _FIT
        )
    closest = min(readings, key=lambda r: (bool(r.error), len(r.missing), len(r.shapes) + len(r.foreign)))
    problems = _problems(closest, wanted, closest.state)
    if closest.foreign:
        problems.append(f"it holds {len(closest.foreign)} that the network does not have ({few(closest.foreign)})")
    if closest.error:
        problems.append(f"its tensors cannot be converted: {closest.error.rstrip('.')}")
    remedy = _FIT
    if closest.missing and all(name.rpartition(".")[2].startswith("running_") for name in closest.missing):
        remedy = "save state_dict(): the statistics of BatchNorm are no parameters, and were not saved"
    where = f"Read below {reading.shown(closest.start)!r}: " if closest.start else ""
    return UserError(title, f"{where}{'; '.join(problems)}.", remedy)
