"""The training of a detector's head on maps that do not change: which rate, and which seed.

Everything is computed in float32, on one thread: with another number of threads the same seed gives another head (sums
are made in another order), and two threads that share a core cost several times what one does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.progress import counting
from tasks.base import Journal
from tasks.scoring.detection import losses, network, shapes
from tasks.scoring.detection.average_precision import Detections, matched
from tasks.scoring.detection.decoding import decoded, masks
from tasks.scoring.detection.detections import in_picture
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.maps import Maps, Scaling
from tasks.scoring.detection.recipe import (
    BATCH,
    BOX_WEIGHT,
    CLIP,
    DECAY,
    EPOCHS,
    MASK_WEIGHT,
    RATES,
    ROI_SIDE,
    ROIS,
    SEEDS,
    TRIAL_EPOCHS,
    Recipe,
)
from tasks.scoring.detection.targets import Placed, targets
from tasks.scoring.features import Indices

Arrays = dict[str, npt.NDArray[Any]]
WARM_UP = 0.3
"""Share of the steps in which the rate rises."""


@dataclass(frozen=True)
class Examples:
    """What a head is trained on.

    Attributes:
        maps, scaling: of train. placed: its objects, and with shapes their ``masks``, picture by picture.
        present: int64 [c], the labels that train has, sorted. scale: pixels, the middle distance from a box's centre
            to its sides. count: of detections in a picture.
    """

    recipe: Recipe
    maps: Maps
    scaling: Scaling
    grid: Grid
    placed: Sequence[Placed]
    masks: Sequence[npt.NDArray[np.float16]]
    present: Indices
    scale: float
    count: int


@dataclass(frozen=True)
class Tried:
    """One head that was reached.

    Attributes:
        weights: by name. quality: AP and AP50 on val, in percent.
    """

    rate: float
    seed: int
    epochs: int
    weights: Arrays
    quality: tuple[float, float]

    def row(self) -> dict[str, Any]:
        """For the report."""
        ap, ap50 = self.quality
        return {"rate": self.rate, "seed": self.seed, "epochs": self.epochs, "val_AP": ap, "val_AP50": ap50}


def search(examples: Examples, val: Maps, seed: int, journal: Journal) -> tuple[list[Tried], list[Tried]]:
    """Short trainings, of each rate with the first seed; and long ones, of the better rate with each seed."""
    total = (len(RATES) * TRIAL_EPOCHS + SEEDS * EPOCHS) * len(examples.placed)
    with one_thread(), counting("training of the head", total) as advance:
        trials = [trained(examples, val, rate, TRIAL_EPOCHS, seed, journal, advance) for rate in RATES]
        rate = best(trials).rate
        return trials, [trained(examples, val, rate, EPOCHS, seed + other, journal, advance) for other in range(SEEDS)]


def best(tried: Sequence[Tried]) -> Tried:
    """By AP on val; of equal ones the first."""
    return max(tried, key=lambda head: head.quality[0])


def trained(
    examples: Examples,
    val: Maps,
    rate: float,
    epochs: int,
    seed: int,
    journal: Journal,
    advance: Callable[[int], None],
) -> Tried:
    """One training, judged on val at its end."""
    name = f"rate_{rate:g}_epochs_{epochs}_seed_{seed}"
    weights = network.initial(examples.maps.channels, len(examples.present), examples.recipe, seed)
    for tensor in weights.values():
        tensor.requires_grad_()
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=DECAY, fused=True)
    start, count = 0, len(examples.placed)
    if (saved := journal.load(name)) is not None:
        start = int(saved["epoch"])
        _restore(saved, weights, optimizer)
        advance(start * count)
    steps = -(-count // BATCH)
    for epoch in range(start, epochs):
        drawn = np.random.default_rng([seed, epoch])
        order = drawn.permutation(count)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * one_cycle((epoch * steps + step + 1) / (epochs * steps))
            rows = np.sort(order[step * BATCH : (step + 1) * BATCH])
            optimizer.zero_grad()
            loss(weights, examples, rows, drawn).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights.values(), CLIP)
            optimizer.step()
            advance(len(rows))
        journal.save(name, _saved(epoch + 1, weights, optimizer))
    arrays = {key: tensor.detach().numpy() for key, tensor in weights.items()}
    return Tried(rate, seed, epochs, arrays, quality(arrays, examples, val))


def one_cycle(progress: float) -> float:
    """The share of the largest rate at a share of all steps: up from 1/25, down to 0, by cosines (Smith 2018)."""
    if progress < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def loss(weights: Mapping[str, Tensor], examples: Examples, rows: Indices, drawn: np.random.Generator) -> Tensor:
    """Of some train images: heat + 5 · boxes (+ 2 · masks)."""
    grid, placed = examples.grid, [examples.placed[row] for row in rows]
    wanted = [targets(part, grid, len(examples.present)) for part in placed]
    taps = {name: torch.from_numpy(values) for name, values in examples.maps.batch(rows, examples.scaling).items()}
    found = network.forward(weights, taps, grid)
    heat, counted = (torch.from_numpy(np.stack([getattr(w, name) for w in wanted])) for name in ("heat", "counted"))
    total = losses.focal(found["heat"], heat, counted[:, None])
    owners = np.stack([w.owners for w in wanted])
    owned = np.nonzero(owners >= 0)
    if not len(owned[0]):
        return total + 0 * found["sides"].sum()
    image, y, x = (torch.from_numpy(part) for part in owned)
    centres = torch.from_numpy(grid.centres())[:, y, x].T
    predicted = network.boxes(found["sides"][image, :, y, x], centres, examples.scale)
    right = np.concatenate(
        [part.boxes[w.owners[w.owners >= 0]] for part, w in zip(placed, wanted, strict=True)]
    ).astype(np.float32)
    shares = torch.from_numpy(np.concatenate([w.weights[w.owners >= 0] for w in wanted]))
    off = 1 - losses.giou(predicted, torch.from_numpy(right))
    total = total + BOX_WEIGHT * (off * shares).sum() / shares.sum()
    if examples.recipe.shapes:
        total = total + MASK_WEIGHT * _mask_loss(found, examples, rows, owners, drawn)
    return total


def _mask_loss(
    found: Mapping[str, Tensor], examples: Examples, rows: Indices, owners: Indices, drawn: np.random.Generator
) -> Tensor:
    """Of 24 cells of each image that has objects; a cell's box is its object's, widened."""
    parts = []
    for index, row in enumerate(rows):
        y, x = np.nonzero(owners[index] >= 0)
        if not len(y):
            continue
        some = drawn.permutation(len(y))[:ROIS]
        objects = owners[index][y[some], x[some]]
        boxes = torch.from_numpy(shapes.widened(examples.placed[row].boxes)[objects].astype(np.float32))
        coefficients = found["coefficients"][index, :, torch.from_numpy(y[some]), torch.from_numpy(x[some])].T
        prototypes = found["prototypes"][index : index + 1]
        logits = masks(prototypes, coefficients[None], boxes[None], examples.grid, ROI_SIDE)[0]
        wanted = torch.from_numpy(examples.masks[row][objects].astype(np.float32))
        parts.append(losses.mask_loss(logits, wanted))
    return torch.stack(parts).mean()


def quality(weights: Arrays, examples: Examples, val: Maps) -> tuple[float, float]:
    """AP and AP50 of boxes on val, in percent."""
    tensors = {name: torch.from_numpy(array) for name, array in weights.items() if not _of_masks(name)}
    found: list[Detections] = []
    with torch.no_grad():
        for start in range(0, len(val.part), 8):
            rows = np.arange(start, min(start + 8, len(val.part)))
            taps = {name: torch.from_numpy(values) for name, values in val.batch(rows, examples.scaling).items()}
            cells = network.forward(tensors, taps, examples.grid)
            present = torch.from_numpy(examples.present.astype(np.float32))
            out = decoded(cells, examples.grid, examples.scale, present, examples.count)
            for index, row in enumerate(rows):
                one = {name: tensor[index : index + 1].numpy() for name, tensor in out.items()}
                found.append(in_picture(one, val.part.frame(int(row))))
    [(ap, ap50, *_)] = matched(val.part.objects, found, most=examples.count).values().tolist()
    return ap, ap50


def _of_masks(name: str) -> bool:
    return name.startswith(("prototypes", "coefficients", "shape_"))


def _saved(epoch: int, weights: Mapping[str, Tensor], optimizer: torch.optim.AdamW) -> Arrays:
    out: Arrays = {"epoch": np.array(epoch)}
    for name, tensor in weights.items():
        out[f"weight_{name}"] = tensor.detach().numpy()
        for moment, value in optimizer.state[tensor].items():
            out[f"{moment}_{name}"] = value.numpy()
    return out


def _restore(
    saved: Mapping[str, npt.NDArray[Any]], weights: Mapping[str, Tensor], optimizer: torch.optim.AdamW
) -> None:
    for name, tensor in weights.items():
        tensor.data = torch.from_numpy(saved[f"weight_{name}"].copy())
        optimizer.state[tensor] = {
            moment: torch.from_numpy(saved[f"{moment}_{name}"].copy()) for moment in ("step", "exp_avg", "exp_avg_sq")
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread; how many it had is given back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
