"""What a practitioner would write without this project: timm in eager PyTorch, a DataLoader, scikit-learn.

``python -m bench.figures.plain_timm STORE DATA LIMIT MODEL …`` prints the accuracies of the k-NN probe and of the
linear probe of each model as JSON: the same photographs, splits, weights, input sizes, k, temperature and penalties.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.sweep.spec import read
from export.store import Store
from export.torchvision_ops import import_timm
from export.zoo.backbones import resolve
from export.zoo.loaders import eager
from tasks.data.base import SPLITS, DataSet, Sample
from tasks.data.catalog import open_dataset
from tasks.scoring.linear_classifier import PENALTIES
from tasks.scoring.neighbours import TEMPERATURE, K

BATCH = 32

Floats = npt.NDArray[np.float32]


class Photographs:
    """A map-style data set for a DataLoader: decoded, and transformed as timm would for this model.

    The encoded files are read first: an open archive must not be shared among worker processes.
    """

    def __init__(self, data: DataSet, samples: Sequence[Sample], transform: Any) -> None:
        self.encoded, self.transform = [data.read(s.id) for s in samples], transform

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        return self.transform(Image.open(io.BytesIO(self.encoded[index])).convert("RGB"))


def features(name: str, data: DataSet, store: Store) -> dict[str, Floats]:
    """Pooled features of the eager module, by split: float32 [n, d]."""
    import torch

    timm = import_timm()
    loaded = eager(resolve(name), store)
    spec = loaded.preprocess
    transform = timm.data.create_transform(
        input_size=(3, spec.height, spec.width),
        interpolation=spec.interpolation,
        mean=spec.mean,
        std=spec.std,
        crop_pct=spec.crop_pct,
    )
    found: dict[str, Floats] = {}
    for split in SPLITS:
        loader: Any = torch.utils.data.DataLoader(
            Photographs(data, data.split(split), transform),  # type: ignore[arg-type]
            batch_size=BATCH,
            num_workers=torch.get_num_threads(),
        )
        with torch.inference_mode():
            found[split] = np.concatenate([loaded.module(batch).numpy() for batch in loader])
    return found


def probes(rows: dict[str, Floats], labels: dict[str, npt.NDArray[np.int64]]) -> tuple[float, float]:
    """Accuracy on test in percent: of the k-NN probe, and of the linear probe with the penalty chosen on val."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import Normalizer, StandardScaler

    warnings.simplefilter("ignore", ConvergenceWarning)
    unit = {split: Normalizer().transform(part) for split, part in rows.items()}
    near = KNeighborsClassifier(
        min(K, len(unit["train"])), metric="cosine", weights=lambda distance: np.exp((1 - distance) / TEMPERATURE)
    ).fit(unit["train"], labels["train"])
    scaler = StandardScaler().fit(rows["train"])
    scaled = {split: scaler.transform(part) for split, part in rows.items()}
    linear = [
        LogisticRegression(C=1 / (len(scaled["train"]) * penalty), max_iter=1000).fit(scaled["train"], labels["train"])
        for penalty in PENALTIES
    ]

    def on_val(model: LogisticRegression) -> tuple[float, float]:
        loss = log_loss(labels["val"], model.predict_proba(scaled["val"]), labels=model.classes_)
        return float(model.score(scaled["val"], labels["val"])), -float(loss)

    best = max(linear, key=on_val)
    by_neighbours, by_line = near.score(unit["test"], labels["test"]), best.score(scaled["test"], labels["test"])
    return 100 * float(by_neighbours), 100 * float(by_line)


def main() -> int:
    """Score every model that the arguments name."""
    root, ref, limit, *models = sys.argv[1:]
    store = Store(Path(root))
    data = open_dataset(ref, store, limit=int(limit), seed=read().seed)
    labels: dict[str, npt.NDArray[np.int64]] = {
        split: np.array([s.label for s in data.split(split)], np.int64) for split in SPLITS
    }
    print(json.dumps({name: probes(features(name, data, store), labels) for name in models}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
