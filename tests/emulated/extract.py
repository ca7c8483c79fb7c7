"""A program for a board and for this machine alike: an artifact's outputs for some pixels, by our engines.

``extract.py STORE KEY ENGINE PIXELS OUT`` writes the outputs to OUT (.npz) and prints what the plan says, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def extract(store: Path, key: str, engine_name: str, pixels: Path, out: Path) -> dict[str, Any]:
    """What the plan says; the outputs are in ``out``."""
    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from export.artifact import Artifact
    from export.store import Store

    room, images = Store(store), np.load(pixels)
    entry = room.try_load("onnx", key)
    assert entry is not None
    runner = engine(EngineSpec.parse(engine_name, threads=1))
    plan = runner.plan(Artifact.of(entry), Profile((1,)), room)
    with runner.load(plan) as session:
        rows = [session.run(images[n : n + 1]) for n in range(len(images))]
    outputs: dict[str, Any] = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    np.savez(out, **outputs)
    return {"plan": plan.key, "arithmetic": plan.arithmetic, "emulated": plan.emulated}


if __name__ == "__main__":
    store, key, name, pixels, out = sys.argv[1:]
    print(json.dumps(extract(Path(store), key, name, Path(pixels), Path(out))))
