"""What tasks learned, kept in the store under keys of its own: a fit is made once, and judged on every test set."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.store import Store, write_atomic
from tasks.base import Batchwise, Fitted, Task

KIND, ARRAYS, VALUES = "fit", "arrays.npz", "values.json"
JOURNALS = "journals"
"""Where fits that are under way keep what they have reached, in the store."""


@dataclass(frozen=True)
class FolderJournal:
    """Keeps what a fit has reached in files of a folder (see :class:`tasks.base.Journal`)."""

    folder: Path

    def load(self, name: str, /) -> dict[str, np.ndarray] | None:
        """What was saved last; None where nothing was, or what is there cannot be read."""
        try:
            with np.load(self.folder / f"{name}.npz") as saved:
                return dict(saved)
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def save(self, name: str, arrays: Mapping[str, np.ndarray], /) -> None:
        """Replace what is kept, whole or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]  # its stub has a flag among them
        write_atomic(self.folder / f"{name}.npz", buffer.getvalue())


def fitted(task: Task, train: Batchwise, val: Batchwise, seed: int, key: str, store: Store) -> Fitted:
    """The task's fit on these splits, made if the store does not have it; one that was killed is resumed.

    Args:
        key: see :func:`bench.sweep.keys.fit_key`; it must be unique to these train and val splits.

    Raises:
        UserError: as :meth:`tasks.base.Task.fit`.
    """
    journal = FolderJournal(store.root / JOURNALS / key)

    def build(folder: Path) -> dict[str, Any]:
        made = task.resume(train, val, seed, journal)
        np.savez(folder / ARRAYS, **dict(made.arrays))  # type: ignore[arg-type]  # its stub has a flag among them
        values = {"chosen": made.chosen, "sweep": list(made.sweep)}
        (folder / VALUES).write_text(json.dumps(values, ensure_ascii=False), "utf-8")
        return {"fit": task.meta.fitted_as.name}

    entry = store.obtain(KIND, key, build)
    shutil.rmtree(journal.folder, ignore_errors=True)
    values = json.loads(entry.file(VALUES).read_text("utf-8"))
    with np.load(entry.file(ARRAYS)) as saved:
        arrays = dict(saved)
    return Fitted(train, seed, arrays, values["chosen"], values["sweep"])
