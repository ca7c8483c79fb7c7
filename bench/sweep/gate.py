"""The parity gate: before a cell is scored or timed, its compiled engine is held against the eager fp32 module.

The photographs and the module's own outputs lie in the artifact (``parity.npz``), so that no framework is needed here.
A cell that fails is kept and marked; it is never ranked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.sweep.cells import Planned
from engines.base import Plan
from export.artifact import Artifact
from export.convert.verify import REFERENCE
from export.parity import compare
from export.store import key


def check(planned: Planned, artifact: Artifact, plan: Plan) -> dict[str, Any]:
    """Closeness of the plan's outputs to eager PyTorch on real photographs; measured once for each plan.

    Returns:
        What :func:`export.parity.compare` says: ``cosine_min``, ``relative_error``, ``nonfinite``, ``passed``, …;
        empty where the artifact carries no reference, or the engine computes nothing.
    """
    reference = artifact.path / REFERENCE
    if not planned.engine.computes or not reference.exists():
        return {}

    def build(folder: Path) -> dict[str, Any]:
        with np.load(reference) as saved:
            pixels, wanted = saved["pixels"], saved["wanted"]
        size = max(b for b in plan.profile.batches if b <= len(pixels))
        rows = []
        with planned.engine.load(plan) as session:
            for start in range(0, len(pixels), size):
                batch = pixels[start : start + size]
                padded = np.concatenate([batch, pixels[: size - len(batch)]])
                rows.append(session.run(padded)[plan.artifact.outputs[0].name][: len(batch)])
        return compare(np.concatenate(rows), wanted, artifact.precision)

    return dict(planned.store.obtain("parity", key("parity", plan=plan.key), build).fields)
