from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from batches import pooled
from fakes import photograph

from export.store import Store
from tasks.base import Splits


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", say=lambda line: None)


class WriteTree(Protocol):
    def __call__(self, counts: Mapping[str, int], root: Path = ..., first: int = ...) -> Path: ...


@pytest.fixture
def write_tree(tmp_path: Path) -> WriteTree:
    """Writes ``counts[folder]`` different photographs into each folder under ``root``."""

    def write(counts: Mapping[str, int], root: Path = tmp_path / "photos", first: int = 0) -> Path:
        seed = first
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                (root / folder / f"{i:03d}.jpg").write_bytes(photograph(seed))
                seed += 1
        return root

    return write


@pytest.fixture(scope="session")
def digit_splits() -> Splits:
    """The 64 pixels of scikit-learn's digits as features: 10 classes, 900 / 400 / 497 samples."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    train, val, test = (
        pooled(digits.data[part], digits.target[part], tuple("0123456789")) for part in np.split(order, [900, 1300])
    )
    return Splits(train, val, test)


@pytest.fixture(scope="session")
def torchmetrics() -> None:
    """torchmetrics can be imported: it imports torchvision, which has to find its operators declared."""
    from export.torchvision_ops import import_torchvision

    import_torchvision()
