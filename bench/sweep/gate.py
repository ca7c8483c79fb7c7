"""The parity gate: before a cell is scored or timed, its compiled engine is compared with the eager fp32 module.

The photographs and the module's own outputs lie in the artifact, so that no framework is needed here. Every output
counts, but those of a head that jump where another box comes first. A cell that fails is kept and marked; it is never
ranked.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from bench.sweep.keys import parity_key
from engines.base import Engine, Plan
from engines.batches import run_all
from export.parity import Parity, compare_outputs
from export.store import Store

KIND = "parity"


def check(engine: Engine, plan: Plan, store: Store) -> Parity | None:
    """Closeness of the plan's outputs to eager PyTorch on real photographs; measured once for each plan.

    Returns:
        None where the artifact carries no reference, or the engine computes nothing.
    """
    reference = plan.artifact.reference() if engine.computes else None
    if reference is None:
        return None

    def build(folder: Path) -> dict[str, Any]:
        with engine.load(plan) as session:
            found = run_all(session, reference.pixels)
        compared = {name: found[name] for name in reference.outputs}
        return asdict(compare_outputs(compared, reference.outputs, plan.artifact.precision))

    fields = store.obtain(KIND, parity_key(plan.key), build).fields
    return msgspec.convert(dict(fields), Parity)
