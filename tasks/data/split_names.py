"""Which names mean a split: of folders (``train``, ``seg_test``), of tables (``val.csv``), in a table's column."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.data.base import Split

WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout"), "test"),
}
GALLERY: dict[str, Split] = {"gallery": "train", "query": "test", "queries": "test"}
"""What is searched and what is looked for: the gallery is train, the queries are test, and nothing is val."""

_ADDED = frozenset(
    """
    set sets data dataset datasets image images img imgs photo photos picture pictures pics sample
    samples split splits part subset folder dir file files class classes list labels label v
    """.split()  # noqa: SIM905
)
"""What is often added to the name of a split, and changes nothing."""


@dataclass(frozen=True)
class Named:
    """``rest``: the words that say something else than the split. There are none in ``training_set``, ``train2017`` and
    ``01_train``: these need no other evidence; ``seg_train`` and ``train_station`` do."""

    split: Split
    rest: tuple[str, ...]

    @property
    def plain(self) -> bool:
        return not self.rest


def named(name: str) -> Named | None:
    """The split that a name means; None where it means none, or two."""
    found: set[Split] = set()
    rest = []
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+", name):
        word = word.lower()
        split = WORDS.get(word) or next(
            (WORDS[start] for start in WORDS if word.startswith(start) and word[len(start) :] in _ADDED), None
        )
        if split:
            found.add(split)
        elif word not in _ADDED:
            rest.append(word)
    return Named(found.pop(), tuple(rest)) if len(found) == 1 else None


def plain(name: str) -> Split | None:
    """The split that a name means and nothing else."""
    found = named(name)
    return found.split if found and found.plain else None
