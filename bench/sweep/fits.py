"""What tasks learned, kept in the store under keys of its own: a fit is made once, and judged on every test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from export.store import Store
from tasks.base import Batchwise, Fitted, Task

ARRAYS, VALUES = "arrays.npz", "values.json"


def fitted(task: Task, train: Batchwise, val: Batchwise, seed: int, key: str, store: Store) -> Fitted:
    """The task's fit on these splits, made if the store does not have it.

    Args:
        key: see :func:`bench.sweep.keys.fit_key`; it must be unique to these train and val splits.

    Raises:
        UserError: as :meth:`tasks.base.Task.fit`.
    """

    def build(folder: Path) -> dict[str, Any]:
        made = task.fit(train, val, seed)
        np.savez(folder / ARRAYS, **dict(made.arrays))  # type: ignore[arg-type]  # its stub has a flag among them
        values = {"chosen": made.chosen, "sweep": list(made.sweep)}
        (folder / VALUES).write_text(json.dumps(values, ensure_ascii=False), "utf-8")
        return {"fit": task.meta.fitted_as.name}

    entry = store.obtain("fit", key, build)
    values = json.loads(entry.file(VALUES).read_text("utf-8"))
    with np.load(entry.file(ARRAYS)) as saved:
        arrays = dict(saved)
    return Fitted(train, seed, arrays, values["chosen"], values["sweep"])
