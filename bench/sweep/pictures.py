"""A sheet of photographs with what was right and what was found drawn on them, for each score that can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.errors import OutOfSpace
from export.picture import decode
from export.progress import say
from export.store import write_atomic
from tasks.base import Batchwise, Fitted, Score, Task
from tasks.data.base import DataSet
from tasks.data.targets import Masks

SHOWN = 3
"""Pictures at either end: those that raise the score the most, and those that lower it the most."""
QUALITY = 82
SUFFIX = ".jpg"


def draw(task: Task, fit: Fitted, test: Batchwise, score: Score, images: DataSet, path: Path) -> str:
    """Write the sheet beside ``path``; its file name, or nothing where the task draws none.

    A sheet that cannot be drawn costs no score: that is said.

    Raises:
        OutOfSpace: the disk is full.
    """
    try:
        return _draw(task, fit, test, score, images, path)
    except OutOfSpace:
        raise
    except Exception as error:
        say(f"  no picture of {task.meta.name} on {images.name}: {type(error).__name__}: {error}")
        return ""


def chosen(per_sample: np.ndarray) -> list[int]:
    """The test images that are shown: the best, then the worst."""
    order = np.argsort(-per_sample, kind="stable")
    return list(dict.fromkeys([*order[:SHOWN].tolist(), *order[::-1][:SHOWN].tolist()]))


def _draw(task: Task, fit: Fitted, test: Batchwise, score: Score, images: DataSet, path: Path) -> str:
    if type(task).picture is Task.picture:
        return ""
    samples = images.split("test")
    drawn = []
    for picture in chosen(score.per_sample):
        # of a picture that is cut into windows, the first one stands for it
        row = int(test.targets.firsts[picture]) if isinstance(test.targets, Masks) else picture
        one = task.picture(fit, test, row, decode(images.read(samples[row].id)))
        if one is not None:
            drawn.append(one)
    if not drawn:
        return ""
    write_atomic(path.with_suffix(SUFFIX), _sheet(drawn))
    return path.with_suffix(SUFFIX).name


def _sheet(pictures: list[np.ndarray]) -> bytes:
    """One below the other, as JPEG."""
    import io

    from PIL import Image

    width, gap = max(p.shape[1] for p in pictures), 8
    sheet = Image.new("RGB", (width, sum(p.shape[0] + gap for p in pictures) - gap), "white")
    top = 0
    for picture in pictures:
        sheet.paste(Image.fromarray(picture), (0, top))
        top += picture.shape[0] + gap
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
