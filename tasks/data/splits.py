"""Which images train, which choose, which test. Pure: names, labels and groups in, splits out.

Every order is drawn from SHA-256 of the seed and the name, not from a random generator: the same data are split the
same way on every machine and with every version of numpy, so that records of several machines can be compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from export.errors import UserError
from tasks.data.base import SPLITS, Split
from tasks.data.layout import Item, few

SHARES: dict[Split, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
CARVED = 0.2
"""The part of a given training set that becomes val where none is given."""


def shuffled(names: Sequence[str], seed: int, purpose: str) -> list[str]:
    """The names in an order that depends on seed, purpose and each name alone."""
    return sorted(
        names, key=lambda name: hashlib.sha256(f"{seed}\0{purpose}\0{name}".encode("utf-8", "replace")).digest()
    )


def subset(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """A stratified part of at most ``limit`` items: every class, and every given split of it, by its share.

    Raises:
        UserError: the limit leaves some class, or some split of it, without an image.
    """
    if limit >= len(items):
        return list(items)
    strata: dict[tuple[str, Split | None], list[Item]] = defaultdict(list)
    by_name = {item.id: item for item in items}
    for name in shuffled(list(by_name), seed, "subset"):
        strata[by_name[name].label, by_name[name].split].append(by_name[name])
    least = {at: min(len(members), 3 if at[1] in (None, "train") else 1) for at, members in strata.items()}
    if limit < sum(least.values()):
        raise UserError(
            f"A limit of {limit} images is too small for {len({item.label for item in items})} classes."
            if any(item.label for item in items)
            else f"A limit of {limit} images is too small.",
            "Every class needs an image in each split."
            if any(item.label for item in items)
            else "Each split needs images.",
            f"a limit of at least {sum(least.values())}",
        )
    quota = apportioned({at: len(members) for at, members in strata.items()}, limit, least)
    return sorted((item for at, members in strata.items() for item in members[: quota[at]]), key=lambda item: item.id)


def instances(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """A part of at most ``limit`` items of gallery and queries: whole instances (all images of a class) in a seeded
    order, each that still fits; the first of them has a query. So no query loses what it looks for.

    Raises:
        UserError: the limit has no room for an instance with a query and another one.
    """
    if limit >= len(items):
        return list(items)
    members: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        members[item.label].append(item)
    sizes = {label: len(part) for label, part in members.items()}
    smallest = nsmallest(2, sizes, key=sizes.__getitem__)
    asked = {item.label for item in items if item.split == "test"}
    room = {label: sizes[label] + min(sizes[other] for other in smallest if other != label) for label in asked}
    if room and limit < min(room.values()):
        raise UserError(
            f"A limit of {limit} images is too small for two instances.",
            "All images of an instance are kept together, or a query would lose its matches.",
            f"a limit of at least {min(room.values())}",
        )
    order = shuffled(list(members), seed, "subset")
    first = next((label for label in order if label in room and room[label] <= limit), order[0])
    chosen: list[Item] = []
    for label in sorted(order, key=lambda label: label != first):
        if len(chosen) + sizes[label] <= limit:
            chosen += members[label]
    return sorted(chosen, key=lambda item: item.id)


def apportioned(
    sizes: Mapping[tuple[str, Split | None], int], total: int, least: Mapping[tuple[str, Split | None], int]
) -> dict[tuple[str, Split | None], int]:
    """``total`` seats over strata by size (Webster's method), none below its least nor above its size."""
    import heapq

    seats = dict(least)
    heap = [(-size / (seats[at] + 0.5), repr(at), at) for at, size in sizes.items() if seats[at] < size]
    heapq.heapify(heap)
    for _ in range(total - sum(seats.values())):
        _, _, at = heapq.heappop(heap)
        seats[at] += 1
        if seats[at] < sizes[at]:
            heapq.heappush(heap, (-sizes[at] / (seats[at] + 0.5), repr(at), at))
    return seats


def assign(items: Sequence[Item], group: Mapping[str, int], seed: int) -> tuple[dict[str, Split], str]:
    """The split of every item, and a text that says where it comes from.

    Given splits are kept. Without a given val, val is carved out of train; with train and val only, val is the test
    (as with ImageNet, whose test labels nobody has) and a new val is carved out of train. Without any, 60/20/20.
    Pictures of one group are never divided by a split that is made here.

    Raises:
        UserError: a class is not present in every split that is made, or there is no training split.
    """
    given = {item.split for item in items} - {None}
    if not given:
        return _divided(items, group, SHARES, seed), f"seeded 60/20/20, {_how(items)}; seed {seed}"
    if "train" not in given or len(given) == 1:
        raise UserError(
            f"The data set gives only the split {' and '.join(sorted(str(s) for s in given))}.",
            "A task needs training and test images.",
            "give train and test, or class folders without splits",
        )
    split: dict[str, Split] = {item.id: item.split for item in items if item.split}
    words = "given"
    if "test" not in given:
        split = {name: "test" if where == "val" else where for name, where in split.items()}
        words = "given, its val as test"
    if set(split.values()) != set(SPLITS):
        train = [item for item in items if split[item.id] == "train"]
        split |= _divided(train, group, {"train": 1 - CARVED, "val": CARVED}, seed)
        words += f"; val = {CARVED:.0%} of train, {_how(train)}; seed {seed}"
    return split, words + _absent(items, split)


def _how(items: Sequence[Item]) -> str:
    return ("stratified, " if any(item.label for item in items) else "") + "duplicates together"


def given_queries(items: Sequence[Item]) -> tuple[dict[str, Split], str]:
    """The splits of a set that was given as gallery (train) and queries (test), and a text on where they come from.

    A gallery may hold classes that nobody asks for (distractors).

    Raises:
        UserError: there is no gallery or no query, or a query's class is not in the gallery.
    """
    split = {item.id: item.split for item in items if item.split}
    for where, words in (("train", "gallery"), ("test", "queries")):
        if where not in split.values():
            raise UserError(f"The data set has no {words}.", "Retrieval needs a gallery and queries.")
    held, asked = ({item.label for item in items if item.split == where} for where in ("train", "test"))
    if foreign := sorted(asked - held):
        raise UserError(
            f"The queries have {len(foreign)} classes that the gallery lacks.",
            f"They are: {few(foreign)}. These queries have no match.",
            "add an image of each to the gallery, or remove these queries",
        )
    nobody = len(held - asked)
    return split, "given: gallery and queries" + (f"; {nobody} classes without queries" if nobody else "")


def _absent(items: Sequence[Item], split: Mapping[str, Split]) -> str:
    """What to say of classes that a given split lacks.

    Raises:
        UserError: a class has no training image.
    """
    labels = sorted({item.label for item in items})
    here = {(item.label, split[item.id]) for item in items}
    untaught = [label for label in labels if (label, "train") not in here]
    if untaught:
        taught = {label.casefold() for label in labels if (label, "train") in here}
        case = " Some differ from a class of train only in case." if taught & {u.casefold() for u in untaught} else ""
        raise UserError(
            f"{len(untaught)} classes have no training images.",
            f"They are: {few(untaught)}.{case}",
            "add training images of these classes, or remove them from the other splits",
        )
    words = ""
    for where in ("val", "test"):
        lacking = [label for label in labels if (label, where) not in here]
        words += f"; without {where} images: {few(lacking)}" if lacking else ""
    return words


def _divided(
    items: Sequence[Item], group: Mapping[str, int], shares: Mapping[Split, float], seed: int
) -> dict[str, Split]:
    """Divide groups over splits so that every class comes close to ``shares``.

    The largest groups go first; each goes where its classes have most room left in proportion to their share. An
    empty split has the most room of all, so the first groups of a class go to different splits.

    Raises:
        UserError: some class has fewer pictures than there are splits.
    """
    members: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        members[group[item.id]].append(item)
    first = {min(item.id for item in part): part for part in members.values()}
    order = shuffled(list(first), seed, "split")
    order.sort(key=lambda name: -len(first[name]))
    sizes = Counter(item.label for item in items)
    have: dict[tuple[str, Split], int] = defaultdict(int)
    result: dict[str, Split] = {}
    for name in order:
        fullness = {
            where: sum(have[item.label, where] / (share * sizes[item.label]) for item in first[name])
            for where, share in shares.items()
        }
        target = min(shares, key=lambda where: fullness[where])
        for item in first[name]:
            have[item.label, target] += 1
            result[item.id] = target
    lacking = sorted({label for label in sizes if any(not have[label, where] for where in shares)})
    if lacking == [""]:
        raise UserError(
            f"There are too few different pictures for each of {', '.join(shares)}.",
            "Copies of a picture count as one.",
            "add images",
        )
    if lacking:
        raise UserError(
            f"{len(lacking)} classes have too few different pictures to be in each of {', '.join(shares)}.",
            f"They are: {few(lacking)}. Copies of a picture count as one.",
            "add images to these classes, or remove the classes",
        )
    return result
