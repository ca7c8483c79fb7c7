"""Which test images a race shows when: a random order, and how many of it at the end of each rung.

The order is drawn from SHA-256 of seed and name, the same on every machine. It is a plain random order and not a
stratified one, because that is what makes the chances of :mod:`bench.racing.elimination` exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from tasks.data.base import DataSet, Sample
from tasks.data.splits import shuffled

FIRST = 50
"""Test images of the first rung; each further one shows twice as many."""


def rungs(images: int) -> tuple[int, ...]:
    """Test images seen at the end of each rung: 50, 100, 200, … and all of them; a last step below a quarter of a rung
    is not made by itself."""
    found = []
    step = FIRST
    while step * 1.25 < images:
        found.append(step)
        step *= 2
    return (*found, images)


def ordered(images: DataSet, seed: int) -> list[Sample]:
    """The test images in the order in which the race shows them."""
    by_id = {sample.id: sample for sample in images.split("test")}
    return [by_id[name] for name in shuffled(list(by_id), seed, "race")]


def piece(images: DataSet, samples: Sequence[Sample]) -> DataSet:
    """Some samples of a data set as one of their own: what is extracted of it is kept under a digest of its own."""
    lines = [images.digest, *(f"{sample.split}\0{sample.id}" for sample in samples)]
    digest = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return replace(images, samples=tuple(samples), digest=digest, parts=())
