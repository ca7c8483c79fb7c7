"""Whether a folder's own program gives what the cell's plan gave, on the very photographs that it was judged on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.shipping import replay
from export.errors import CellError
from tasks.base import Batchwise


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Attributes:
        images: how many photographs. equal: on how many the program's answer is the plan's: the largest of each
            picture's values in the output that is compared.
        cosine: the least over the photographs.
        said: what the program prints of each.
    """

    images: int
    equal: int
    cosine: float
    said: tuple[list[dict[str, Any]], ...]


def tried(folder: Path, files: Sequence[Path], wanted: Batchwise, rows: Sequence[int], compared: str) -> Trial:
    """Run the program of a folder over files.

    Args:
        wanted: what the plan gave. rows: the row of each file in it. compared: the output by which they are compared.

    Raises:
        CellError: the program failed.
    """
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        out = Path(place, "outputs.npz")
        command = [sys.executable, "-W", "ignore", replay.__file__, str(folder), str(out), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["It said nothing."]
            raise CellError("The folder's own program failed.", lines[-1])
        found = np.load(out)[compared]
    said = json.loads(done.stdout)
    right = wanted.at(np.asarray(rows, np.int64))[compared]
    one, other = (values.reshape(len(files), -1).astype(np.float64) for values in (found, right))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = np.where(lengths > 0, (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1), 1.0)
    equal = int((one.argmax(axis=1) == other.argmax(axis=1)).sum())
    return Trial(len(files), equal, float(cosine.min()), tuple(said))
