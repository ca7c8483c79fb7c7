"""Which class each value of a set's masks stands for: by the values, the source's names, and the user's void.

The rules, which ``docs/data.md`` gives: a value without a class is refused; 255 is void, but where 0 and 255 are all
there is; colours need a table of classes, or must be few and without soft edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from export.errors import UserError
from tasks.data.base import Counted
from tasks.data.dense.class_names import Table
from tasks.data.dense.mask_files import MOST, Contents
from tasks.data.layout import few
from tasks.data.targets import VOID

MOST_CLASSES = 256
VOID_VALUE = 255


@dataclass(frozen=True)
class Meaning:
    """Attributes:
    numbers: value (or colour, where ``coloured``) → its class, or VOID.
    coloured: palette images are read by their colours.
    """

    classes: tuple[str, ...]
    numbers: Mapping[int, int]
    coloured: bool
    notes: tuple[str, ...] = ()

    def of(self, contents: Contents) -> dict[int, int]:
        """Class → its pixels, of one mask."""
        found: Counter[int] = Counter()
        for value, count in contents.pixels.items():
            found[self.numbers.get(self._seen(contents, value), VOID)] += count
        del found[VOID]
        return dict(found)

    def _seen(self, contents: Contents, value: int) -> int:
        return contents.colours.get(value, value) if self.coloured else _grey(contents, value)


def meaning(masks: Mapping[str, Contents], table: Table | None, void: Collection[int]) -> Meaning:
    """What the values of these masks mean.

    Args:
        masks: by name, for messages. void: the user's.

    Raises:
        UserError: a value has no class; colours have no table and are too many; there are fewer than two classes.
    """
    coloured = _coloured(masks, table)
    if coloured and void:
        raise UserError(
            "--void is given, and the masks are of colours.",
            "Void is a value; a colour is void by its name.",
            "a line void,R,G,B in class_dict.csv (name,r,g,b)",
        )
    if too := [name for name, one in masks.items() if one.many > MOST]:
        raise UserError(
            f"{Counted.of('masks have too many values to be classes', too)}.",
            f"{too[0]} has {masks[too[0]].many:,}. It looks like a picture, depths, or numbers of instances.",
            "masks with a class for each pixel, saved without loss and scaled with nearest neighbour",
        )
    totals: Counter[int] = Counter()
    solid: Counter[int] = Counter()
    holders: dict[int, list[str]] = {}
    for name, one in masks.items():
        for value, count in one.pixels.items():
            seen = one.colours.get(value, value) if coloured else _grey(one, value)
            totals[seen] += count
            solid[seen] += one.solid.get(value, 0)
            holders.setdefault(seen, []).append(name)
    notes = [f"value {value} of --void is in no mask" for value in sorted(void) if value not in totals]
    if not coloured and {*totals} <= {0, VOID_VALUE} and VOID_VALUE in totals and VOID_VALUE not in void:
        found = _binary(table)
        if found:
            return Meaning(
                found, {0: 0, VOID_VALUE: 1}, False, (f"masks of 0 and 255: {found[0]} and {found[1]}", *notes)
            )
    said, classes, numbers = (
        _by_table(totals, holders, table, void, coloured) if table else _by_values(totals, solid, void, coloured)
    )
    _require_two(classes, totals, numbers)
    return Meaning(classes, numbers, coloured, (*said, *notes))


def _grey(contents: Contents, value: int) -> int:
    return value & 255 if contents.form == "colours" else value


def _coloured(masks: Mapping[str, Contents], table: Table | None) -> bool:
    """Whether colours tell the classes: in RGB that is not all grey, and in palettes that the table knows.

    Raises:
        UserError: some masks have colours and others none.
    """
    known = {row.colour for row in table.rows} if table and table.coloured else set()
    rgb = {name: one for name, one in masks.items() if one.form == "colours"}
    hues = [
        name
        for name, one in rgb.items()
        if any(value & 255 != value >> 16 or value & 255 != value >> 8 & 255 for value in one.pixels)
    ]
    if table and not known and hues:
        raise UserError(
            f"{table.file} names classes, and {Counted.of('masks are of colours', hues)}.",
            "Which colour stands for which class is not said.",
            "class_dict.csv with the columns name,r,g,b",
        )
    greys = [name for name, one in masks.items() if one.form == "values"]
    if greys and hues:
        raise UserError(
            f"{Counted.of('masks are of colours', hues)}, and {Counted.of('are grey', greys)}.",
            "What a value means in both is not known.",
            "save all masks in one form",
        )
    if known and not greys:
        used = {
            colour
            for one in masks.values()
            for colour in (one.pixels if one.form == "colours" else one.colours.values())
        }
        return bool(rgb) or used <= known
    return bool(hues)


def _binary(table: Table | None) -> tuple[str, str] | None:
    if table is None:
        return "background", "foreground"
    return (table.names[0], table.names[1]) if len(table.names) == 2 else None


def _by_table(
    totals: Mapping[int, int],
    holders: Mapping[int, Sequence[str]],
    table: Table,
    void: Collection[int],
    coloured: bool,
) -> tuple[list[str], tuple[str, ...], dict[int, int]]:
    rows = [row for row in table.rows if not row.void and (coloured or row.value not in void)]
    at = {row.name: (row.colour or 0) if coloured else row.value for row in table.rows}
    numbers = {at[row.name]: number for number, row in enumerate(rows)}
    named = {at[row.name]: row.name for row in table.rows if row.void}
    ignored = named.keys() | (set() if coloured else {*void, VOID_VALUE} - numbers.keys())
    unknown = [] if table.rest_void else sorted({*totals} - numbers.keys() - ignored)
    if unknown:
        shown = [_shown(value, coloured) for value in unknown]
        first = unknown[0]
        remedy = f"--void {','.join(shown[:5])}, where such pixels are neither right nor wrong; or "
        raise UserError(
            f"Masks have {'colours' if coloured else 'values'} that {table.file} does not name: {few(shown)}.",
            f"{shown[0]} is in {len(holders[first]):,} masks, first in {min(holders[first])}; the file names "
            f"{len(table.rows)} classes{'' if coloured else f', values {_span(table)}'}.",
            ("" if coloured else remedy) + f"a line for each in {table.file}",
        )
    notes = [f"classes from {table.file}"]
    if seen := sorted(ignored & totals.keys()):
        words = [_shown(value, coloured) + (f" ({named[value]})" if value in named else "") for value in seen]
        notes.append(f"void, neither right nor wrong: {few(words)}")
    return notes, tuple(row.name for row in rows), numbers


def _span(table: Table) -> str:
    values = [row.value for row in table.rows]
    return f"{min(values)} to {max(values)}"


def _by_values(
    totals: Mapping[int, int], solid: Mapping[int, int], void: Collection[int], coloured: bool
) -> tuple[list[str], tuple[str, ...], dict[int, int]]:
    values = sorted(value for value in totals if coloured or value not in {*void, VOID_VALUE})
    what = "colours" if coloured else "values"
    soft = [value for value in values if solid[value] < totals[value] / 10]
    if len(soft) > max(2, len(values) / 3):
        raise UserError(
            f"{len(soft)} of {len(values)} {what} of the masks are hardly ever next to themselves: "
            f"{few([_shown(value, coloured) for value in soft])}.",
            "The masks look smoothed or compressed: between two classes there are pixels that are neither.",
            "masks that were scaled with nearest neighbour and saved without loss; or name the classes (classes.txt)",
        )
    if len(values) > MOST_CLASSES:
        raise UserError(
            f"The masks have {len(values):,} different {what}, and no file names classes.",
            f"At most {MOST_CLASSES} are read as classes; these look like numbers of instances.",
            "classes.txt with a name a line" if not coloured else "class_dict.csv with the columns name,r,g,b",
        )
    said = [f"no file names the classes: they are the {what} {few([_shown(value, coloured) for value in values])}"]
    ignored = sorted({*totals} - {*values})
    said += [f"void, neither right nor wrong: {', '.join(map(str, ignored))}"] if ignored else []
    names = tuple(_shown(value, coloured) for value in values)
    return said, names, {value: number for number, value in enumerate(values)}


def _shown(value: int, coloured: bool) -> str:
    return f"#{value:06x}" if coloured else str(value)


def _require_two(classes: Sequence[str], totals: Mapping[int, int], numbers: Mapping[int, int]) -> None:
    seen = {numbers[value] for value in totals if value in numbers}
    if len(classes) < 2 or not seen:
        raise UserError(
            f"The masks have {len(classes)} classes: {few(list(classes)) or 'every pixel is void'}.",
            f"Their values are {few([str(value) for value in sorted(totals)])}. Segmentation needs two classes.",
            "name the classes in classes.txt, a name a line",
        )
