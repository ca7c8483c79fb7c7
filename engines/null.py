"""The engine that does nothing in the right shapes: what it costs is the harness's own.

It takes the same pixels over the same boundary as every other engine, normalises nothing, and answers zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.base import Availability, Engine, Outputs, Pixels, Placement, Profile, Purpose, Session
from export.artifact import Artifact
from export.spec import Precision


class NullEngine(Engine):
    """Available everywhere, for every precision."""

    name = "null"
    precisions = frozenset(Precision)
    computes = False
    concurrent = True

    @property
    def session(self) -> type[Session]:
        return NullSession

    def _probe(self, purpose: Purpose) -> Availability:
        return Availability(True, version="1", device="none")

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        (folder / "plan.json").write_text(json.dumps({"outputs": [o.name for o in artifact.outputs]}))
        return {}


class NullSession(Session):
    """Answers zeros."""

    def _run(self, pixels: Pixels) -> Outputs:
        return {o.name: np.zeros((len(pixels), *o.shape), np.float32) for o in self.outputs}

    def _placement(self) -> Placement:
        return Placement(self.plan.engine.provider, note="no node runs: the outputs are zeros")
