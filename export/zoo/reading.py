"""Where in a checkpoint the network is: below mappings and prefixes, under its own names or ones that timm converts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export.errors import UserError, first_line

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
COUNT = "num_batches_tracked"


@dataclass(frozen=True)
class Target:
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
    def of(cls, module: torch.nn.Module) -> Target:
        wanted = module.state_dict()
        learned = {name for name, _ in module.named_parameters(remove_duplicate=False)}
        statistics = {n for n, _ in module.named_buffers(remove_duplicate=False) if n.endswith(("_mean", "_var"))}
        named = getattr(module, "pretrained_cfg", {}).get("classifier") or ()
        heads = _HEADS | ({named} if isinstance(named, str) else set(named))
        return cls(module, wanted, frozenset((learned | statistics) & set(wanted)), frozenset(heads))


@dataclass(frozen=True)
class Reading:
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


# -- names -------------------------------------------------------------------------------------------------------------


def unwrapped(tensors: Mapping[str, object], wanted: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Names in the checkpoint by their names without PyTorch's wrappers, and a note of those that were taken out."""
    names, notes = {name: name for name in tensors}, list[str]()
    for wrapper in _WITHIN:
        plain = {name.replace(wrapper, ""): given for name, given in names.items()}
        inside = any(wrapper in name for name in names) and not any(wrapper in name for name in wanted)
        if inside and len(plain) == len(names):
            names = plain
            notes.append(f"{wrapper!r} is taken out of its names")
    return names, notes


def starts_of(names: Iterable[str], wanted: Mapping[str, object]) -> Counter[str]:
    """How many of the module's names follow each beginning that ends with a dot, or none."""
    found: Counter[str] = Counter()
    for name in names:
        at = 0
        while True:
            if name[at:] in wanted and not name.endswith(COUNT):
                found[name[:at]] += 1
            dot = name.find(".", at)
            if dot < 0:
                break
            at = dot + 1
    return found


def prefixed(file: str, names: Iterable[str], wanted: Mapping[str, object], prefix: str) -> Counter[str]:
    """The same for beginnings that end with the prefix that was asked for, with or without its dot.

    Raises:
        UserError: no name has it.
    """
    found: Counter[str] = Counter()
    for name in names:
        for at in (0, *(dot + 1 for dot, character in enumerate(name) if character == ".")):
            if name.startswith(prefix, at):
                end = at + len(prefix) + name.startswith(".", at + len(prefix))
                found[name[:end]] += name[end:] in wanted
    if not found:
        raise UserError(
            f"No tensor of the checkpoint {file} has the prefix {prefix!r}.",
            f"Its names are {few(names)}.",
            "correct or leave out the prefix",
        )
    return found


def beginnings(names: Iterable[str], levels: Sequence[str]) -> list[str]:
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


def read_below(
    target: Target, names: Mapping[str, str], tensors: State, start: str, convert: Convert | None
) -> Reading:
    """The tensors below a beginning, converted, and what speaks against them."""
    of = {name[len(start) :]: given for name, given in names.items() if name.startswith(start)}
    state = {name: tensors[given] for name, given in of.items()}
    if convert:
        try:
            state = {k: v for k, v in convert({k: dense(v) for k, v in state.items()}).items() if hasattr(v, "shape")}
        except Exception as error:  # a conversion for one layout of names may stumble over another in any way
            return Reading(start, of, {}, error=first_line(error))
    needed = [name for name in target.wanted if name in target.needed]
    missing = tuple(name for name in needed if name not in state)
    shapes = tuple(n for n in needed if n in state and target.wanted[n].shape != state[n].shape)
    return Reading(start, of, state, missing, shapes, tuple(_foreign(target, state)), convert=convert)


def _foreign(target: Target, state: State) -> Iterable[str]:
    """Learned tensors that the module lacks, below a child of it that has others: they are of another network."""
    own = {name for name, child in target.module.named_children() if any(True for _ in child.parameters())}
    for name, tensor in state.items():
        child, _, rest = name.partition(".")
        if name in target.wanted or child not in own or not rest or not tensor.is_floating_point():
            continue
        if not name.endswith((COUNT, *_COMPUTED)) and not below(name, target.heads):
            yield name


def below(name: str, parts: Iterable[str]) -> bool:
    """Whether a name lies below one of these parts."""
    return any(name.startswith(f"{part}.") for part in parts)


# -- choice ------------------------------------------------------------------------------------------------------------


def chosen_of(readings: Sequence[Reading], file: str) -> tuple[Reading | None, str]:
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
        starts = ", ".join(repr(shown(r.start)) for r in (first, *others))
        raise UserError(
            f"The checkpoint {file} holds several networks that fit.",
            f"They are below {starts}.",
            f"say which, in a row of your own zoo file: prefix: {others[0].start or first.start}",
        )
    if not others:
        return first, ""
    rest = ", ".join(repr(shown(other.start)) for other in others)
    return first, f"{shown(first.start)!r} is used where {rest} would fit too"


def _same(one: State, other: State) -> bool:
    shared = set(one) & set(other)
    return all(one[n] is other[n] or (one[n].shape == other[n].shape and one[n].equal(other[n])) for n in shared)


def shown(start: str) -> str:
    """A beginning of names for a reader."""
    return start.rstrip(".") or "its first level"


def where(start: str, levels: Sequence[str]) -> list[str]:
    """Notes on where the tensors were found, and what was stripped."""
    level = max((one for one in levels if start.startswith(one)), key=len, default="")
    notes = [f"its weights are read from {shown(level)!r}"] if level else []
    return [*notes, f"the prefix {start[len(level) :]!r} is stripped"] if start != level else notes


def few(names: Iterable[str], most: int = 3) -> str:
    """The first names, and whether there are more."""
    listed = list(names)
    return f"{', '.join(listed[:most])}{', …' if len(listed) > most else ''}"


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, those included that are not stored because they are 0."""
    return tensor.to_dense() if tensor.layout in sparse_layouts() and tensor.device.type != "meta" else tensor


def sparse_layouts() -> set[torch.layout]:
    """Those that store no zeros."""
    import torch

    return {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}
