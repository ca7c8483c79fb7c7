"""The child process of a stage of one check: ``python -m engines.trt.check_worker JOB STATE``.

Its state (see :mod:`engines.checking`) says:

    parsed     whether the library took the file      built     targets
    failures   target → reason                        seconds, plan_bytes, layers
    unavailable   why there is nothing to check
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from engines.checking import ENDED, Notes, work
from export.errors import CellError, Unavailable, UserError

if TYPE_CHECKING:
    from export.store import Entry


class Check(Notes):
    """One architecture in one precision."""

    def __init__(self, job: Mapping[str, Any], state_file: Path) -> None:
        from engines.trt.flavour import RTX, TENSORRT

        super().__init__(state_file, built=[], failures={}, seconds=0.0)
        self.job = job
        self.flavour = next(f for f in (TENSORRT, RTX) if f.engine == job["flavour"])

    def run(self) -> None:
        """The stage that the job names: export, or build for all targets."""
        targets: Sequence[str] = self.job["targets"]
        try:
            self.doing("exporting")
            if self.job["stage"] == "export":
                self._draft()
                self.doing(ENDED)
                return
            draft = self._draft()
        except UserError as error:
            if isinstance(error, Unavailable):
                self.state["unavailable"] = error.sentence
            else:
                self.state["failures"] = dict.fromkeys(targets, f"No file: {error.sentence}")
            self.doing("exporting")
            return
        with TemporaryDirectory(prefix="preflight-file-") as folder:
            self._build(_headed(draft, Path(folder)), list(targets))
        self.doing(ENDED)

    def _draft(self) -> Entry:
        from export.lower.draft import draft
        from export.spec import Precision
        from export.store import Store
        from export.zoo.backbones import Backbone

        store = Store(Path(self.job["store"]), say=lambda _: None)
        return draft(Backbone.of_json(self.job["backbone"]), store, Precision(self.job["precision"]))

    def _build(self, model: Path, targets: list[str]) -> None:
        """Build for all targets at once; where that fails, for the first apart from the others.

        The first is the oldest architecture: it is mostly the one that lacks something.
        """
        from engines.trt.builder import PLAN, REJECTS, Request, build

        self.doing(f"building for {', '.join(targets)}")
        start = time.perf_counter()
        with TemporaryDirectory(prefix="preflight-plan-") as folder:
            try:
                made = build(self.flavour, model, Request((self.job["batch"],), targets=tuple(targets)), Path(folder))
            except CellError as error:
                self.state["seconds"] += time.perf_counter() - start
                parses = not error.what.endswith(REJECTS)
                self.state["parsed"] = parses or self.state.get("parsed", False)
                if len(targets) == 1 or not parses:
                    self.state["failures"] |= dict.fromkeys(targets, error.why)
                else:
                    self._build(model, targets[:1])
                    self._build(model, targets[1:])
                return
            plan_bytes = Path(folder, PLAN).stat().st_size
        self.state["seconds"] += time.perf_counter() - start
        self.state["parsed"] = True
        self.state["built"] += targets
        if plan_bytes > self.state.get("plan_bytes", 0):
            self.state |= {"plan_bytes": plan_bytes, "layers": made["layers"]}


def _headed(draft: Entry, folder: Path) -> Path:
    """The draft's file behind a head that takes pixels, written into ``folder``."""
    from engines.preprocess.onnx_head import with_pixels_input
    from export import external
    from export.artifact import ONNX, preprocess_of_fields

    fields = draft.fields
    model = with_pixels_input(external.load(draft.file(ONNX)), preprocess_of_fields(fields), fields["input"])
    external.save(model, folder / ONNX)
    return folder / ONNX


if __name__ == "__main__":
    sys.exit(work(lambda job, state_file: Check(job, state_file).run()))
