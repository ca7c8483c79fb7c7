"""Layouts: how a project other than timm names the tensors of its checkpoints, declared in ``layouts.yaml``.

A name is that of the whole file, nested mappings joined by dots: ``state_dict.module.base_encoder.norm.weight``. Every
name is dropped, or kept and renamed to what the module calls it; a name that is neither is an error. Imports no
framework.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import UserError, unknown
from export.zoo.yaml_file import read_yaml

if TYPE_CHECKING:
    import torch

LAYOUTS = Path(__file__).with_name("layouts.yaml")
_PART = re.compile(r"(.*)\[(\d+)\]$")


@dataclass(frozen=True)
class Layout:
    """One layout. All patterns are regular expressions that are matched from the beginning of a name.

    Attributes:
        keep: what is stripped from the names that are read; names without it are not read. Empty: all names are.
        drop: whole names that are known and not used; these come first.
        rename: (pattern, replacement) pairs, applied one after the other wherever they are found in the rest of a name.
            Names that end in ``[0]``, ``[1]``, … afterwards are parts of one tensor, joined along its first axis.
        ones, zeros: tensors of the module that such a file does not hold, and their value.
    """

    name: str
    keep: str = ""
    drop: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, from which :func:`layout_of` makes it again."""
        found = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v}
        return {**found, **({"rename": [list(pair) for pair in self.rename]} if self.rename else {})}

    def arranged(self, names: Iterable[str]) -> Arranged:
        """Where each name of a file goes.

        Raises:
            UserError: two names become one.
        """
        keep, drop = re.compile(self.keep), [re.compile(one) for one in self.drop]
        rename = [(re.compile(pattern), new) for pattern, new in self.rename]
        parts: dict[str, dict[int, str]] = {}
        dropped, strange, changed = list[str](), list[str](), 0
        for name in names:
            if any(one.match(name) for one in drop):
                dropped.append(name)
                continue
            if not (start := keep.match(name)):
                strange.append(name)
                continue
            ours = rest = name[start.end() :]
            for pattern, new in rename:
                ours = pattern.sub(new, ours)
            changed += ours != rest
            part = _PART.match(ours)
            place = parts.setdefault(part[1] if part else ours, {})
            number = int(part[2]) if part else -1
            if number in place or (place and (number < 0 or -1 in place)):
                raise UserError(
                    f"The layout {self.name!r} gives two tensors one name.",
                    f"{name} and {next(iter(place.values()))} would both be {part[1] if part else ours}.",
                    "correct its rename",
                )
            place[number] = name
        of = {ours: tuple(place[i] for i in sorted(place)) for ours, place in parts.items()}
        gaps = tuple(ours for ours, place in parts.items() if -1 not in place and max(place) + 1 != len(place))
        return Arranged(self, of, tuple(dropped), tuple(strange), gaps, changed)


@dataclass(frozen=True)
class Arranged:
    """A file's names by a layout.

    Attributes:
        of: names in the file, by the module's name: several where they are joined.
        dropped, strange: names that are listed as dropped, and names that the layout does not know.
        gaps: names of joined tensors of which a part is missing.
        changed: how many names are others in the module.
    """

    layout: Layout
    of: Mapping[str, tuple[str, ...]] = field(repr=False)
    dropped: tuple[str, ...] = field(repr=False)
    strange: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    changed: int = 0

    def tensors(self, found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The file's tensors under the module's names, with what the layout adds. ``wanted``: the module's own."""
        import torch

        state = {
            ours: found[theirs[0]] if len(theirs) == 1 else torch.cat([found[one] for one in theirs])
            for ours, theirs in self.of.items()
        }
        for names, make in ((self.layout.ones, torch.ones_like), (self.layout.zeros, torch.zeros_like)):
            state |= {name: make(wanted[name]) for name in names if name in wanted and name not in state}
        return state

    @property
    def notes(self) -> tuple[str, ...]:
        joined = sum(len(theirs) > 1 for theirs in self.of.values())
        said = [f"{self.changed} names are changed"] if self.changed else []
        said += [f"{joined} tensors are joined out of parts"] if joined else []
        found = [f"read by the layout {self.layout.name}{': ' if said else ''}{', '.join(said)}"]
        if added := [*self.layout.ones, *self.layout.zeros]:
            found.append(f"it does not hold {', '.join(added)}: scale 1 and shift 0 stand for them")
        return tuple(found)


def layout_of(values: Mapping[str, Any], where: str) -> Layout:
    """A layout from plain values.

    Raises:
        UserError: an unknown field, another type, or a pattern that is no regular expression.
    """
    known = [f.name for f in fields(Layout)]
    for name in values:
        if name not in known:
            raise unknown("field of a layout", str(name), known, f"correct the {where}")
    found: dict[str, Any] = {"name": "own"}
    for name, value in values.items():
        text = name in ("name", "keep")
        pairs = name == "rename"
        given = [value] if text else value
        if not isinstance(given, list) or not all(_fits(one, pairs) for one in given):
            wanted = "a text" if text else "a list of [pattern, replacement]" if pairs else "a list of texts"
            raise UserError(f"The field {name} of the {where} is {value!r}.", f"It must be {wanted}.")
        for one in given if name in ("keep", "drop", "rename") else ():
            _compiled(one[0] if pairs else one, one[1] if pairs else "", where)
        found[name] = value if text else tuple(tuple(one) if pairs else one for one in value)
    return Layout(**found)


def _fits(value: Any, pair: bool) -> bool:
    if pair:
        return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    return isinstance(value, str)


def _compiled(pattern: str, replacement: str, where: str) -> None:
    try:
        compiled = re.compile(pattern)
        if groups := [int(n) for n in re.findall(r"\\(\d+)", replacement)]:
            assert max(groups) <= compiled.groups, f"{replacement!r} names a group that {pattern!r} does not have"
    except (re.error, AssertionError) as error:
        raise UserError(f"A pattern of the {where} is not valid: {pattern!r}.", f"{error}.") from error


@lru_cache
def known() -> dict[str, Layout]:
    """The declared layouts, by name."""
    document: dict[str, dict[str, Any]] = read_yaml(LAYOUTS, "list of layouts")
    return {name: layout_of({"name": name, **values}, f"layout {name!r}") for name, values in document.items()}


def listed(given: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """What a row says under ``layout``: names of declared layouts, or layouts of its own; as plain values.

    Raises:
        UserError: there is no layout of that name, or as :func:`layout_of`.
    """
    found = []
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, str):
            if one not in known():
                raise unknown("layout", one, known(), f"correct the {where}")
            found.append(known()[one].as_json())
        elif isinstance(one, Mapping):
            found.append(layout_of(one, f"layout of the {where}").as_json())
        else:
            raise UserError(f"The field layout of the {where} is {one!r}.", "It must be a name or a mapping.")
    return found
