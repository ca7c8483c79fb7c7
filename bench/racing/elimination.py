"""Who leaves a race, decided on pairs of answers: pure statistics of rows of right and wrong.

The test images come in a random order that the race itself draws. After ``n`` of them two arms differ on some images:
on ``wins`` one alone is right, on ``losses`` the other alone. If the second were at least as good as the first on
*all* test images, the images on which they differ were a random part of those on which they differ at all, and the
number of wins among them hypergeometric (McNemar 1947's test for pairs, without replacement). The chance of so many
wins is exact for every ``n``; it is nothing once all test images were seen. It needs no assumption about the
photographs, only that the order was drawn.

The error budget δ is split evenly (Bonferroni) over what could go wrong: the best arm could be eliminated by each of
the other arms at each rung but the last, and could be declared no better than each of them there. Half of δ is for each
of the two kinds. Rungs, arms and the split are fixed before the first image is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.racing import DELTA, TOLERANCE

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def chance(wins: Counts, losses: Counts, unseen: int) -> Floats:
    """The largest probability of at least so many wins, were the loser at least as good among all test images.

    P(H ≥ wins), H hypergeometric: ``wins + losses`` drawn from M images on which the two differ, half of them the
    winner's. Beyond what is expected it grows with M, so that M is the most that there can be: every unseen image, but
    an odd one. Where the wins are no more than expected it is 1.

    Args:
        wins, losses: int64 [...], images so far on which one alone was right.
        unseen: test images still to come.
    """
    from scipy.stats import hypergeom

    wins, losses = np.asarray(wins), np.asarray(losses)
    seen = wins + losses
    most = seen + unseen
    most = most - (most % 2 if unseen else 0)  # with an odd image the winner's half would be rounded down
    share = most // 2
    found = hypergeom.sf(wins - 1, np.maximum(most, 1), share, seen)
    found = np.where(wins <= losses, 1.0, found)
    return np.asarray(np.where(wins > share, 0.0, found), np.float64)


def most(count: int, seen: int, total: int, level: float) -> int:
    """How many of ``total`` images may have a property that ``count`` of ``seen`` have: the upper end of the exact
    one-sided interval at ``level``, by the hypergeometric distribution."""
    from scipy.stats import hypergeom

    low, high = count, total - (seen - count)
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(count, total, middle, seen) > level:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True)
class Stakes:
    """What is fixed before a race begins.

    Attributes:
        arms: how many may be the best. rungs: test images seen at the end of each, growing; the last is all of them.
        delta: the probability that the best is lost, at most.
        tolerance: points of accuracy; arms that differ by no more are practically equal.
    """

    arms: int
    rungs: tuple[int, ...]
    delta: float = DELTA
    tolerance: float = TOLERANCE

    @property
    def images(self) -> int:
        """All test images."""
        return self.rungs[-1]

    @property
    def level(self) -> float:
        """The level of each single comparison."""
        return self.delta / 2 / max(1, self.arms - 1) / max(1, len(self.rungs) - 1)

    @property
    def margin(self) -> int:
        """The tolerance in test images."""
        return math.floor(self.tolerance / 100 * self.images + 1e-9)


@dataclass(frozen=True)
class Elimination:
    """An arm that left, and why: the arm that is better, by how many images of those seen.

    Attributes:
        arm, by: numbers of arms. seen: test images. wins, losses: see :mod:`bench.racing.elimination`.
        chance: of this, were it wrong; 0 where all test images were seen.
    """

    arm: int
    by: int
    seen: int
    wins: int
    losses: int
    chance: float

    @property
    def points(self) -> float:
        """The difference on the images seen, in points of accuracy."""
        return 100 * (self.wins - self.losses) / self.seen


def eliminated(right: Sequence[Bools | None], able: Sequence[bool], stakes: Stakes) -> list[Elimination]:
    """The arms that are surely worse than another one after the images that they have all seen.

    Args:
        right: for each arm that is still in, bool [n]: which of the first n test images it gets right; None for others.
        able: which arms may eliminate: those whose accuracy can be had within the budget.

    Returns:
        One for each arm that leaves, with the arm that shows it most clearly. Once all images were seen, those leave
        that are behind by more than the tolerance. The best of the able arms always stays.
    """
    inside = [arm for arm, rows in enumerate(right) if rows is not None]
    judges = [arm for arm in inside if able[arm]]
    if not judges or len(inside) < 2:
        return []
    rows = np.array([right[arm] for arm in inside], np.int64)
    seen = rows.shape[1]
    unseen = stakes.images - seen
    deciding = rows[[inside.index(judge) for judge in judges]]
    wins, losses = (1 - rows) @ deciding.T, rows @ (1 - deciding).T
    how = chance(wins, losses, unseen) if unseen else np.where(wins > losses, 0.0, 1.0)
    found = []
    for number, arm in enumerate(inside):
        others = [i for i, judge in enumerate(judges) if judge != arm]
        if not others:
            continue
        clearest = min(others, key=lambda i: (how[number, i], losses[number, i] - wins[number, i]))
        ahead, behind, p = int(wins[number, clearest]), int(losses[number, clearest]), float(how[number, clearest])
        if p <= stakes.level if unseen else ahead - behind > stakes.margin:
            found.append(Elimination(arm, judges[clearest], seen, ahead, behind, p))
    return found


def settled(right: Sequence[Bools | None], able: Sequence[bool], stakes: Stakes) -> int | None:
    """An able arm than which no other that is still in is better by more than the tolerance, surely; None without one.

    Args:
        right, able: as :func:`eliminated`.
    """
    inside = [arm for arm, rows in enumerate(right) if rows is not None]
    judges = [arm for arm in inside if able[arm]]
    if not judges:
        return None
    rows = np.array([right[arm] for arm in inside], np.bool_)
    leader = max(judges, key=lambda arm: int(rows[inside.index(arm)].sum()))
    if len(inside) == 1:
        return leader
    own = rows[inside.index(leader)]
    seen = rows.shape[1]
    for arm, other in zip(inside, rows, strict=True):
        wins, losses = int((own & ~other).sum()), int((other & ~own).sum())
        at_most = most(losses, seen, stakes.images, stakes.level / 2)
        at_least = stakes.images - most(seen - wins, seen, stakes.images, stakes.level / 2)
        if arm != leader and at_most - at_least > stakes.margin:
            return None
    return leader
