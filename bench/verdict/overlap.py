"""Test images that the pretraining data contain, or may contain: what was published of each pair, from
``export/zoo/overlaps.yaml``.

The score of a backbone that has seen the test images may be too high. So such pairs are marked, and ranks are given
with and without them. A user's own photographs are never marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

Strength = Literal["contains", "may contain", "apart", "unknown"]
ORDER: tuple[Strength, ...] = ("contains", "may contain", "unknown", "apart")
"""Of several data sets that a backbone was trained on, the first of these counts."""

MARKS: Mapping[Strength, str] = {"contains": "†", "may contain": "‡"}
"""The sign beside a score."""

STEPS = re.compile(", (?:ft|then) ")
"""Between what a backbone was pretrained on and what it was trained on afterwards."""


@dataclass(frozen=True)
class Overlap:
    """What is known of one pair.

    Attributes:
        pretraining: one kind of data, as the zoo calls it. data: the named set that the test images come from.
        strength: "contains" and "may contain" are flagged; "apart" was kept apart; of "unknown" nothing was published.
        how, source: in words; empty where unknown.
    """

    pretraining: str
    data: str
    strength: Strength
    how: str = ""
    source: str = ""

    @property
    def flagged(self) -> bool:
        return self.strength in MARKS

    @property
    def mark(self) -> str:
        return MARKS.get(self.strength, "")


def overlap(pretrain_data: str, data: str) -> Overlap | None:
    """What is known of test images of ``data`` in a backbone's pretraining data.

    Args:
        pretrain_data: as in the zoo: ``IN-22k``, or ``IN-22k, ft IN-1k``, of which the worse one counts; may be empty.
        data: a named data set; empty for the user's own.

    Returns:
        None where there is nothing to overlap: the user's own photographs, and sets that are not images on the web.
    """
    year = facts()["published"].get(data)
    if year is None:
        return None
    found = [_of(part, data, year) for part in STEPS.split(pretrain_data)]
    return min(found, key=lambda one: ORDER.index(one.strength))


def _of(pretraining: str, data: str, year: int) -> Overlap:
    known = facts()["pretraining"].get(pretraining, {})
    if fact := known.get("sets", {}).get(data):
        return Overlap(pretraining, data, fact["strength"], fact["how"], fact["source"])
    if known.get("crawled", 0) > year:
        return Overlap(pretraining, data, "may contain", known["how"], known["source"])
    return Overlap(pretraining, data, "unknown")


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """The table: ``published`` (set → year) and ``pretraining`` (data → what is known of it)."""
    import yaml

    text = (files("export.zoo") / "overlaps.yaml").read_text("utf-8")
    return dict(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def published(pairs: Iterable[Overlap]) -> list[str]:
    """Sentences for the foot of a table: each kind of pretraining data, the sets that it is flagged for, how that is
    known, and at last the pairs of which nothing was published."""
    groups: dict[tuple[Strength, str, str, str], set[str]] = {}
    for one in pairs:
        if one.strength != "apart":
            groups.setdefault((one.strength, one.pretraining, one.how, one.source), set()).add(one.data)
    lines, unknown = [], []
    for (strength, pretraining, how, source), sets in sorted(groups.items(), key=lambda g: ORDER.index(g[0][0])):
        names = ", ".join(sorted(sets))
        if strength == "unknown":
            unknown.append(f"{names} in {pretraining or 'undocumented pretraining data'}")
        else:
            lines.append(f"{MARKS[strength]} {pretraining} {strength} test images of {names}: {how} ({source}).")
    if unknown:
        lines.append(f"Overlap of test images and pretraining data is not published for: {'; '.join(unknown)}.")
    return lines
