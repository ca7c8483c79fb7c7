"""How the tensors of a checkpoint find their place in a module: by name, below whatever they are nested or wrapped in,
or in order. Every tensor of the file is used or named, and the module's are all filled, or the checkpoint is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export.errors import UserError, first_line
from export.zoo.checkpoint import Contents

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

Convert = Callable[["State"], "State"]
"""From a checkpoint's names and shapes to the module's, as timm does it for an architecture."""

_RANKS = (
    {"state_dict_ema", "model_ema", "ema", "ema_state_dict", "ema_model", "model_ema_state_dict", "averaged_model"},
    {"teacher", "encoder_q", "base_encoder"},
    set[str](),
    {"student", "encoder_k", "momentum_encoder", "target_encoder", "momentum_teacher"},
)
"""Where several networks of one file fit: averages of the weights first, then what the methods' authors evaluate, then
all other names, then what those are trained with. Two of one rank are ambiguous."""
_PLAIN = 2

_WITHIN = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What PyTorch's own wrappers write into names, also in the middle of one."""
_HEADS = {"fc", "head", "heads", "classifier", "head_dist", "last_linear", "linear_head"}
"""Names of a classifier where the module does not say its own."""
_COMPUTED = ("attn_mask", "relative_position_index", "relative_coords_table", "attention_bias_idxs", "inv_freq")
"""Ends of names of tensors that a network works out by itself, and that older files hold."""
_COUNT = "num_batches_tracked"


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


@dataclass(frozen=True)
class _Target:
    """The module to fill.

    Attributes:
        wanted: its tensors, by name. needed: names of those that are learned: parameters, and the statistics of a
            normalisation.
        heads: where its classifier is, or would be.
    """

    module: torch.nn.Module = field(repr=False)
    wanted: State = field(repr=False)
    needed: frozenset[str]
    heads: frozenset[str]

    @classmethod
    def of(cls, module: torch.nn.Module) -> _Target:
        wanted = module.state_dict()
        learned = {name for name, _ in module.named_parameters(remove_duplicate=False)}
        statistics = {n for n, _ in module.named_buffers(remove_duplicate=False) if n.endswith(("_mean", "_var"))}
        named = getattr(module, "pretrained_cfg", {}).get("classifier") or ()
        heads = _HEADS | ({named} if isinstance(named, str) else set(named))
        return cls(module, wanted, frozenset((learned | statistics) & set(wanted)), frozenset(heads))


@dataclass(frozen=True)
class _Reading:
    """The checkpoint's tensors below ``start``, as the module's.

    Attributes:
        of: names in the checkpoint, by what is left of them without ``start``.
        state: the tensors to load, under the module's names where it has them.
        missing, shapes, foreign: what speaks against it: the module's tensors that are not there or have another shape,
            and tensors of deeper or richer parts than the module's.
        error: what the conversion complained of.
    """

    start: str
    of: Mapping[str, str] = field(repr=False)
    state: State = field(repr=False)
    missing: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    error: str = ""
    convert: Convert | None = field(default=None, repr=False)

    @property
    def fits(self) -> bool:
        return not (self.missing or self.shapes or self.foreign or self.error)

    @property
    def rank(self) -> int:
        parts = set(self.start.split("."))
        return next((i for i, names in enumerate(_RANKS) if parts & names), _PLAIN)


def by_name(
    module: torch.nn.Module, contents: Contents, prefix: str, what: str, convert: Convert | None = None
) -> Placed:
    """Fill the module with the tensors that bear its names.

    Args:
        prefix: where the tensors' names begin with it, in the mapping that holds them; without one, what fits is found.
        convert: makes the module's names and shapes of others.

    Raises:
        UserError: some of the module's tensors are missing, have another shape or cannot be its numbers; the checkpoint
            is of a deeper network; several networks in it fit; or no name has the prefix.
    """
    target = _Target.of(module)
    names, wrapped = _unwrapped(contents.tensors, target.wanted)
    starts = _prefixed(contents.file, names, target.wanted, prefix) if prefix else _starts(names, target.wanted)
    best = starts.most_common(1)[0][0] if starts else ""
    full = [start for start, count in starts.items() if 2 * count >= max(1, len(target.needed))]
    if not full:
        full = list(starts) if prefix else list(dict.fromkeys([best, *_levels(names, contents.levels)]))
    readings = [_reading(target, names, contents.tensors, start, convert) for start in full]
    chosen, note = _chosen(readings, contents.file)
    if chosen is None:
        raise _mismatch(contents, names, readings, target.wanted, starts, what)
    notes = [*_found(chosen.start, contents.levels), *wrapped, *([note] if note else [])]
    return _load(target, contents, chosen, notes)


def in_order(module: torch.nn.Module, contents: Contents, what: str) -> Placed:
    """Fill the module tensor by tensor, each shape checked: for the same network under other names.

    Raises:
        UserError: another number of tensors or another shape at some place; or as :func:`by_name`.
    """
    target = _Target.of(module)
    if not contents.ordered:
        raise UserError(
            f"The checkpoint {contents.file} cannot be read in order.",
            "A safetensors file sorts its tensors by name.",
            "a file of torch.save, or the names of the network and reader: named",
        )
    wanted = {name: tensor for name, tensor in target.wanted.items() if not name.endswith(_COUNT)}
    readings = []
    for level in contents.levels:
        of = {n: n for n in contents.tensors if n.startswith(level) and not n.endswith(_COUNT)}
        state = {w: contents.tensors[g] for w, g in zip(wanted, of, strict=False)}
        shapes = tuple(w for w in state if wanted[w].shape != state[w].shape)
        missing = tuple(wanted)[len(of) :]
        foreign = tuple(of)[len(wanted) :]
        places = dict(zip(wanted, of, strict=False))
        readings.append(_Reading(level, places, state, missing, shapes, foreign))
    chosen, note = _chosen(readings, contents.file)
    if chosen is None:
        closest = min(readings, key=lambda r: (len(r.missing) + len(r.foreign), len(r.shapes)))
        problems = _problems(closest, wanted, closest.state)
        problems += [f"{len(closest.foreign)} are too many ({_few(closest.foreign)})"] if closest.foreign else []
        raise UserError(
            f"The checkpoint {contents.file} does not fit {what}.", f"In order: {'; '.join(problems)}.", _FIT
        )
    notes = [*_found(chosen.start, contents.levels), *([note] if note else [])]
    return _load(target, contents, chosen, notes)


# -- names -------------------------------------------------------------------------------------------------------------


def _unwrapped(tensors: Mapping[str, object], wanted: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Names in the checkpoint by their names without PyTorch's wrappers, and a note of those that were taken out."""
    names, notes = {name: name for name in tensors}, list[str]()
    for wrapper in _WITHIN:
        plain = {name.replace(wrapper, ""): given for name, given in names.items()}
        inside = any(wrapper in name for name in names) and not any(wrapper in name for name in wanted)
        if inside and len(plain) == len(names):
            names = plain
            notes.append(f"{wrapper!r} is taken out of its names")
    return names, notes


def _starts(names: Iterable[str], wanted: Mapping[str, object]) -> Counter[str]:
    """How many of the module's names follow each beginning that ends with a dot, or none."""
    found: Counter[str] = Counter()
    for name in names:
        at = 0
        while True:
            if name[at:] in wanted and not name.endswith(_COUNT):
                found[name[:at]] += 1
            dot = name.find(".", at)
            if dot < 0:
                break
            at = dot + 1
    return found


def _prefixed(file: str, names: Iterable[str], wanted: Mapping[str, object], prefix: str) -> Counter[str]:
    """The same for beginnings that end with the prefix that was asked for, with or without its dot.

    Raises:
        UserError: no name has it.
    """
    found: Counter[str] = Counter()
    for name in names:
        for match in re.finditer(rf"(?:^|(?<=\.)){re.escape(prefix)}\.?", name):
            found[name[: match.end()]] += name[match.end() :] in wanted
    if not found:
        raise UserError(
            f"No tensor of the checkpoint {file} has the prefix {prefix!r}.",
            f"Its names are {_few(names)}.",
            "correct or leave out the prefix",
        )
    return found


def _levels(names: Iterable[str], levels: Sequence[str]) -> list[str]:
    """Where a network under other names may begin: the nested mappings, and each without what all its names share."""
    found = dict[str, None]()
    for level in levels:
        below = [name[len(level) :] for name in names if name.startswith(level)]
        start = level
        while len(below) > 1:
            found[start] = None
            first = {name.partition(".")[0] for name in below}
            if len(first) > 1 or any("." not in name for name in below):
                break
            shared = f"{first.pop()}."
            start, below = start + shared, [name.removeprefix(shared) for name in below]
    return list(found)


def _reading(
    target: _Target, names: Mapping[str, str], tensors: State, start: str, convert: Convert | None
) -> _Reading:
    of = {name[len(start) :]: given for name, given in names.items() if name.startswith(start)}
    state = {name: tensors[given] for name, given in of.items()}
    if convert:
        try:
            state = {k: v for k, v in convert({k: _dense(v) for k, v in state.items()}).items() if hasattr(v, "shape")}
        except Exception as error:  # a conversion for one layout of names may stumble over another in any way
            return _Reading(start, of, {}, error=first_line(error))
    needed = [name for name in target.wanted if name in target.needed]
    missing = tuple(name for name in needed if name not in state)
    shapes = tuple(n for n in needed if n in state and target.wanted[n].shape != state[n].shape)
    return _Reading(start, of, state, missing, shapes, tuple(_foreign(target, state)), convert=convert)


def _foreign(target: _Target, state: State) -> Iterable[str]:
    """Learned tensors that the module lacks, below a child of it that has others: they are of another network."""
    own = {name for name, child in target.module.named_children() if any(True for _ in child.parameters())}
    for name, tensor in state.items():
        child, _, rest = name.partition(".")
        if name in target.wanted or child not in own or not rest or not tensor.is_floating_point():
            continue
        if not name.endswith((_COUNT, *_COMPUTED)) and not _below(name, target.heads):
            yield name


def _below(name: str, parts: Iterable[str]) -> bool:
    return any(name.startswith(f"{part}.") for part in parts)


# -- choice ------------------------------------------------------------------------------------------------------------


def _chosen(readings: Sequence[_Reading], file: str) -> tuple[_Reading | None, str]:
    """The reading to use, with a note where others would fit; None where none fits.

    Raises:
        UserError: several fit, hold other numbers, and nothing says which is meant.
    """
    fits = sorted((r for r in readings if r.fits), key=lambda r: (r.rank, len(r.start)))
    if not fits:
        return None, ""
    first, *others = fits
    others = [other for other in others if not _same(first.state, other.state)]
    if any(other.rank == first.rank and not other.start.startswith(first.start) for other in others):
        starts = ", ".join(repr(_shown(r.start)) for r in (first, *others))
        raise UserError(
            f"The checkpoint {file} holds several networks that fit.",
            f"They are below {starts}.",
            f"say which, in a row of your own zoo file: prefix: {others[0].start or first.start}",
        )
    if not others:
        return first, ""
    rest = ", ".join(repr(_shown(other.start)) for other in others)
    return first, f"{_shown(first.start)!r} is used where {rest} would fit too"


def _same(one: State, other: State) -> bool:
    shared = set(one) & set(other)
    return all(one[n] is other[n] or (one[n].shape == other[n].shape and one[n].equal(other[n])) for n in shared)


def _shown(start: str) -> str:
    return start.rstrip(".") or "its first level"


def _found(start: str, levels: Sequence[str]) -> list[str]:
    """Notes on where the tensors were found, and what was stripped."""
    level = max((one for one in levels if start.startswith(one)), key=len, default="")
    notes = [f"its weights are read from {_shown(level)!r}"] if level else []
    return [*notes, f"the prefix {start[len(level) :]!r} is stripped"] if start != level else notes


# -- numbers -----------------------------------------------------------------------------------------------------------


def _dense(tensor: torch.Tensor) -> torch.Tensor:

    return tensor.to_dense() if tensor.layout in _sparse() and tensor.device.type != "meta" else tensor


def _sparse() -> set[torch.layout]:
    import torch

    return {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}


def _load(target: _Target, contents: Contents, chosen: _Reading, notes: list[str]) -> Placed:
    """Check every number, then copy."""
    loaded: State = {}
    casts: Counter[tuple[torch.dtype, torch.dtype]] = Counter()
    adapted, sparse = list[str](), list[str]()
    for name, own in target.wanted.items():
        given = chosen.state.get(name)
        if given is None or (name not in target.needed and given.shape != own.shape):
            continue
        values = _values(given, own, name, contents.file)
        original = contents.tensors.get(chosen.of.get(name, ""))
        if original is not None and original.layout in _sparse():
            sparse.append(name)
        source = given if original is None else original
        if own.is_floating_point() and source.dtype != own.dtype:
            casts[source.dtype, own.dtype] += 1
        if original is not None and original.shape != own.shape and original.numel() != own.numel():
            adapted.append(f"{name} is resized from {_size(original)} to {_size(own)}")
        loaded[name] = values
    target.module.load_state_dict(loaded, strict=False)
    for (dtype, read), count in casts.items():
        notes.append(f"{count} tensors are {_kind(dtype)}, and are read as {_kind(read)}")
    if sparse:
        notes.append(f"{len(sparse)} sparse tensors are read as dense ones")
    notes += adapted
    computed = [n for n in target.wanted if n not in loaded and not n.endswith(_COUNT)]
    if computed:
        notes.append(f"{len(computed)} tensors that the network computes by itself are not in it ({_few(computed)})")
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
    if given.is_complex() or (target.is_floating_point() != floats and not name.endswith(_COUNT)):
        wanted = "floating-point numbers of 16 bits or more" if target.is_floating_point() else _kind(target.dtype)
        raise UserError(
            f"The tensor {name} of {file} is {_kind(given.dtype)}.", f"The network needs {wanted}.", _FLOATS
        )
    values = _dense(given).to(target.dtype)
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


def _accounted(target: _Target, contents: Contents, chosen: _Reading, loaded: set[str], notes: list[str]) -> Placed:
    """Say which of the file's tensors the module has now, and name the rest."""
    places = {
        tensor.data_ptr()
        for name, tensor in chosen.state.items()
        if name in loaded and tensor.numel() and tensor.layout not in _sparse()
    }
    used, left = list[str](), list[str]()
    below = {given: name for name, given in chosen.of.items()}
    for given, tensor in contents.tensors.items():
        name = below.get(given)
        moved = name not in chosen.state and tensor.layout not in _sparse() and tensor.data_ptr() in places
        (used if name is not None and (name in loaded or moved) else left).append(given)
    merged = _merged([given for given in left if given in below], contents, chosen, loaded)
    used, left = [*used, *merged], [given for given in left if given not in merged]
    converted = [n for n in loaded if n not in chosen.of]
    if converted:
        notes.append(f"{len(converted)} tensors have another name in it ({_few(converted)})")
    heads = [given for given in left if given in below and _below(below[given], target.heads)]
    counts = [given for given in left if given.endswith(_COUNT) and given not in heads]
    if heads:
        notes.append(f"left out: its classifier ({_few([below[given] for given in heads])})")
    rest = [given for given in left if given not in heads and given not in counts]
    if groups := _groups(rest, contents, below):
        notes.append(f"left out: {', '.join(groups)}")
    if contents.unread:
        notes.append(f"left out: {len(contents.unread)} tensors of other parts ({_few(contents.unread)})")
    if contents.others:
        notes.append(f"beside the tensors it holds {_few(contents.others, 8)}, which are not used")
    return Placed(tuple(used), tuple(left), tuple(notes))


def _merged(suspects: Sequence[str], contents: Contents, chosen: _Reading, loaded: set[str]) -> list[str]:
    """Which of these a conversion made something of: what it gives changes where they are NaN."""
    import torch

    names = {given: name for name, given in chosen.of.items()}
    kept = [given for given in suspects if contents.tensors[given].is_floating_point()]
    if not chosen.convert or not kept or not loaded - set(chosen.of):
        return []

    def changed(some: Sequence[str]) -> bool:
        state = {name: contents.tensors[given] for given, name in names.items()}
        state |= {names[given]: torch.full_like(_dense(contents.tensors[given]), torch.nan) for given in some}
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


def _groups(names: Sequence[str], contents: Contents, below: Mapping[str, str]) -> list[str]:
    """The names by the mapping that they are in, or by their first part where they stand beside what is used."""
    counts: Counter[str] = Counter()
    for given in names:
        if given in below:
            counts[below[given].partition(".")[0]] += 1
        else:
            level = min((one for one in contents.levels if one and given.startswith(one)), key=len, default="")
            counts[level.rstrip(".") or given.partition(".")[0]] += 1
    return [f"{name} ({count} tensor{'s' if count > 1 else ''})" for name, count in counts.items()]


def _few(names: Iterable[str], most: int = 3) -> str:
    listed = list(names)
    return f"{', '.join(listed[:most])}{', …' if len(listed) > most else ''}"


# -- refusal -----------------------------------------------------------------------------------------------------------

_FIT = "name the backbone that it was trained as"


def _problems(reading: _Reading, wanted: State, state: State) -> list[str]:
    total = len(wanted)
    found = []
    if reading.missing:
        found.append(f"{len(reading.missing)} of {total} tensors are missing ({_few(reading.missing)})")
    if reading.shapes:
        shown = [f"{n}: {_size(state[n])}, not {_size(wanted[n])}" for n in reading.shapes[:3]]
        more = ", …" if len(reading.shapes) > 3 else ""
        found.append(f"{len(reading.shapes)} of {total} tensors have another shape ({', '.join(shown)}{more})")
    return found


def _mismatch(
    contents: Contents,
    names: Mapping[str, str],
    readings: Sequence[_Reading],
    wanted: State,
    starts: Counter[str],
    what: str,
) -> UserError:
    """An error with the closest reading."""
    title = f"The checkpoint {contents.file} does not fit {what}."
    if not starts or not max(starts.values()):
        return UserError(
            title, f"None of its names is the network's: {_few(names)}; the network has {_few(wanted)}.", _FIT
        )
    closest = min(readings, key=lambda r: (bool(r.error), len(r.missing), len(r.shapes) + len(r.foreign)))
    problems = _problems(closest, wanted, closest.state)
    if closest.foreign:
        problems.append(f"it holds {len(closest.foreign)} that the network does not have ({_few(closest.foreign)})")
    if closest.error:
        problems.append(f"its tensors cannot be converted: {closest.error.rstrip('.')}")
    where = f"Read below {_shown(closest.start)!r}: " if closest.start else ""
    return UserError(title, f"{where}{'; '.join(problems)}.", _FIT)
