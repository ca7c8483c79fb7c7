"""A foreign ONNX file, tried on photographs: in a process of its own, so that whatever it does there costs it alone.

file ─▶ read ─▶ examined ─▶ cut ─▶ run image by image ─▶ run in batches ─▶ compared ─▶ ``model.onnx``, ``parity.npz``

It may crash the runtime, take all memory, or never end (a Loop without an end is a valid file). The reference is the
file itself: its outputs image by image, with which larger batches and every other engine are compared.

``python -m export.convert.trial JOB RESULT`` reads a job (JSON) and writes what came of it (JSON).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from export.artifact import ONNX, Reference, preprocess_of_fields
from export.convert.behaviour import FEATURES, Behaviour
from export.errors import CellError, Unavailable, UserError
from export.reference import normalize

ROOT = Path(__file__).parents[2]
STEP_SECONDS = 300
"""What loading the file, or one run of a batch, may take."""


@dataclass(frozen=True)
class Job:
    """What is tried.

    Attributes:
        backbone: its name. file: the foreign file. cut: see :class:`export.zoo.sources.OnnxFile`.
        preprocess: a PreprocessSpec in plain values. pixels: a file of uint8 [n, height, width, 3] (``.npy``).
        folder: where ``model.onnx`` and ``parity.npz`` go.
        step_seconds: what loading the file, or one run of a batch, may take.
    """

    backbone: str
    file: str
    cut: str
    preprocess: dict[str, Any]
    pixels: str
    folder: str
    step_seconds: int = STEP_SECONDS

    @property
    def sidecar(self) -> str:
        return Path(self.file).with_suffix(".yaml").name


@dataclass(frozen=True)
class Outcome:
    """What came of it: a manifest's ``fields`` and what was ``changed``; or a sentence; or a bug's traceback."""

    fields: dict[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    error: tuple[str, str, str, str] | None = None
    bug: str = ""


def alone(job: Job) -> Outcome:
    """:func:`made`, in a child process.

    Raises:
        UserError: as :func:`made`; and where the child crashed, was killed or did not end.
    """
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        asked, answered = Path(place, "job.json"), Path(place, "result.json")
        asked.write_bytes(msgspec.json.encode(job))
        command = [sys.executable, "-m", "export.convert.trial", str(asked), str(answered)]
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,  # from where -m imports: never from the working folder, which may hold another onnx.py
        )
        if child.returncode or not answered.exists():
            raise _death(job, child.returncode, child.stderr.decode(errors="replace"))
        outcome = msgspec.json.decode(answered.read_bytes(), type=Outcome)
    if outcome.error:
        kind, *lines = outcome.error
        raise {"CellError": CellError, "Unavailable": Unavailable}.get(kind, UserError)(*lines)
    if outcome.bug:
        raise RuntimeError(outcome.bug)
    return outcome


def _death(job: Job, code: int, errors: str) -> CellError:
    name = Path(job.file).name
    remedy = "export it again"
    if code == -signal.SIGALRM:
        why = f"Loading it, or one run, took more than {job.step_seconds} s, and was stopped."
        return CellError(f"{name} does not end.", why, remedy)
    if code == -signal.SIGKILL:
        return CellError(f"{name} was stopped while it ran.", "Often: the memory of this machine is full.", remedy)
    last = (errors.strip().splitlines() or ["it printed nothing"])[-1][:300]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return CellError(f"{name} crashes ONNX Runtime.", f"Its process {how}: {last}", remedy)


def main() -> int:
    """Read the job named by the first argument, write its outcome to the second."""
    asked, answered = map(Path, sys.argv[1:3])
    with contextlib.suppress(OSError):  # where memory runs out, this process is to go, not the sweep
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        outcome = made(msgspec.json.decode(asked.read_bytes(), type=Job))
    except UserError as error:
        outcome = Outcome(error=(type(error).__name__, error.what, error.why, error.remedy))
    except Exception:
        outcome = Outcome(bug=traceback.format_exc())
    signal.alarm(0)
    answered.write_bytes(msgspec.json.encode(outcome))
    return 0


def made(job: Job) -> Outcome:
    """Write ``model.onnx`` and ``parity.npz``, in this process.

    Raises:
        UserError: the file is no ONNX file, or not whole. CellError: it cannot be used; the message says why.
    """
    import onnx

    from export.convert import examination, surgery
    from export.convert.counting import gmacs
    from export.convert.opset import opset
    from export.zoo import onnx_file

    spec = preprocess_of_fields({"preprocess": job.preprocess})
    model = onnx_file.read(Path(job.file))
    precision = examination.precision(model)
    surgery.raise_format(model)
    examination.require_operators(model)
    outputs = list(model.graph.output)
    if not outputs:
        raise CellError(f"{Path(job.file).name} has no outputs.", "", "export it again")
    changed = []
    if len(outputs) > 1 and not job.cut:
        changed.append(
            f"of its outputs ({', '.join(o.name for o in outputs)}) the first is the feature; 'cut' names another"
        )
    model = surgery.plain(model)
    name = surgery.cut(model, job.backbone, job.cut)
    examination.require_repeatable(onnx_file.nodes(model), opset(model), surgery.constants(model))
    frozen = examination.require_image(model.graph.input, spec, job.sidecar)
    changed.append(surgery.with_float_input(model, spec))
    if frozen > 1:
        original = onnx.ModelProto()
        original.CopyFrom(model)
        original.graph.input[0].type.tensor_type.shape.dim[0].dim_value = frozen
    else:
        original = model
    pixels = np.load(job.pixels)
    values = normalize(pixels, spec)
    tried = Behaviour(Path(job.file).name, precision, values, lambda: _step(job))
    kind = tried.open(original)
    examination.require_features(kind, name, outputs)
    wanted = tried.reference(frozen)
    tried.require_useful(original, wanted)
    model, parity, how = tried.freed(original, model, frozen, wanted)
    changed += [how, surgery.with_features(model, kind, FEATURES)]
    onnx.save(model, str(Path(job.folder, ONNX)))
    Reference(pixels, {FEATURES: wanted}).save(Path(job.folder))
    fields = {
        "precision": str(precision),
        "opset": opset(model),
        "input": model.graph.input[0].name,
        "outputs": [{"name": FEATURES, "shape": [wanted.shape[1]], "dtype": "float32"}],
        "parameters": sum(int(np.prod(i.dims)) for i in model.graph.initializer),
        "gmacs": gmacs(model),
        "parity": asdict(parity),
    }
    return Outcome(fields, tuple(filter(None, changed)))


def _step(job: Job) -> None:
    """Give the next step its time: the alarm ends the process even inside the runtime, where no Python runs."""
    if __name__ == "__main__":
        signal.alarm(job.step_seconds)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
