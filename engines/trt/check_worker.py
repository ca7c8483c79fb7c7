"""The child process of a stage of one check: ``python -m engines.trt.check_worker JOB STATE``.

After every step it writes what it knows to STATE (JSON), so that a parent whose child has died knows as much:

    doing      what it was about to do       parsed    whether the library took the file
    built      targets                       failures  target → reason
    seconds, plan_bytes, layers              unavailable   why nothing can be checked
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from export.errors import CellError, Unavailable, UserError

if TYPE_CHECKING:
    from export.store import Entry


class Check:
    """One architecture in one precision."""

    def __init__(self, job: Mapping[str, Any], state_file: Path) -> None:
        from engines.trt.flavour import RTX, TENSORRT

        self.job = job
        self.flavour = next(f for f in (TENSORRT, RTX) if f.engine == job["flavour"])
        self.state: dict[str, Any] = {"built": [], "failures": {}, "seconds": 0.0}
        self._file = state_file

    def doing(self, what: str) -> None:
        """Write the state down, and what comes next."""
        from export.store import write_atomic

        self.state["doing"] = what
        write_atomic(self._file, json.dumps(self.state).encode())

    def run(self) -> None:
        """The stage that the job names: export, or build for all targets."""
        targets: Sequence[str] = self.job["targets"]
        try:
            self.doing("exporting")
            if self.job["stage"] == "export":
                self._draft()
                self.doing("ending")
                return
            draft = self._draft()
        except UserError as error:
            reason = " ".join(part for part in (error.what, error.why) if part)
            if isinstance(error, Unavailable):
                self.state["unavailable"] = reason
            else:
                self.state["failures"] = dict.fromkeys(targets, f"No file: {reason}")
            self.doing("exporting")
            return
        with TemporaryDirectory(prefix="preflight-file-") as folder:
            self._build(_headed(draft, Path(folder)), list(targets))
        self.doing("ending")

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


def limit_memory(memory_bytes: int) -> None:
    """Ask the system to refuse this process more private memory than that, where it knows such a limit."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def main() -> int:
    """Read the job, check, leave the state."""
    job_file, state_file = map(Path, sys.argv[1:3])
    job = json.loads(job_file.read_text())
    limit_memory(job["memory_bytes"])
    Check(job, state_file).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
