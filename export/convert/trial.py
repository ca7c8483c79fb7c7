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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from export.artifact import ONNX, Reference, preprocess_of_fields
from export.errors import CellError, Unavailable, UserError, first_line
from export.parity import Parity, compare
from export.reference import normalize
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

FEATURES = "features"
BATCH = 5
"""A batch axis that is frozen somewhere inside the file would show."""
LARGEST = 1 << 20
"""Numbers that one image's features may have."""
STEP_SECONDS = 300
"""What loading the file, or one run of a batch, may take."""

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """What is tried.

    Attributes:
        backbone: its name. file: the foreign file. cut: see :class:`export.zoo.sources.OnnxFile`.
        preprocess: a PreprocessSpec in plain values. pixels: a file of uint8 [n, height, width, 3] (``.npy``).
        folder: where ``model.onnx`` and ``parity.npz`` go.
    """

    backbone: str
    file: str
    cut: str
    preprocess: dict[str, Any]
    pixels: str
    folder: str

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
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if child.returncode or not answered.exists():
            raise _death(Path(job.file).name, child.returncode, child.stderr.decode(errors="replace"))
        outcome = msgspec.json.decode(answered.read_bytes(), type=Outcome)
    if outcome.error:
        kind, *lines = outcome.error
        raise {"CellError": CellError, "Unavailable": Unavailable}.get(kind, UserError)(*lines)
    if outcome.bug:
        raise RuntimeError(outcome.bug)
    return outcome


def _death(name: str, code: int, errors: str) -> CellError:
    remedy = "export it again"
    if code == -signal.SIGALRM:
        why = f"Loading it, or one run, took more than {STEP_SECONDS} s, and was stopped."
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
    examination.require_operators(model)
    outputs = list(model.graph.output)
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
    tried = _Trial(job, precision, values)
    kind = tried.open(original)
    examination.require_features(kind, name, outputs)
    wanted = tried.reference(frozen)
    _require_useful(job, model, wanted, pixels, values[:1])
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


class _Trial:
    """Runs a cut model, whose one input is the image and whose one output is as the file has it."""

    def __init__(self, job: Job, precision: Precision, values: Float) -> None:
        self._name, self._precision, self._values = Path(job.file).name, precision, values
        self._session: Any = None

    def open(self, model: onnx.ModelProto) -> str:
        """Load a model; the type of its output in ONNX Runtime's words.

        Raises:
            CellError: it does not load.
        """
        from export.convert import verify

        _step()
        try:
            self._session = verify.session(model.SerializeToString())
        except UserError:
            raise
        except Exception as error:  # the runtime's own kinds of error have no common base
            raise CellError(
                f"ONNX Runtime cannot load {self._name}.", first_line(error), "export it again with opset 17"
            ) from error
        return str(self._session.get_outputs()[0].type)

    def run(self, values: Float) -> Any:
        """The raw output for a batch.

        Raises:
            CellError: it does not run.
        """
        _step()
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self._session.run(None, {self._session.get_inputs()[0].name: values})[0])
        except Exception as error:
            raise CellError(
                f"{self._name} does not run on batches of {len(values)}.",
                first_line(error),
                "export it with a dynamic batch axis",
            ) from error

    def rows(self, size: int) -> Float:
        """The features of all images, in batches of ``size``, the last one padded: float32 [n, d].

        Raises:
            CellError: it does not run, or its output's first axis is not the batch.
        """
        found = []
        for start in range(0, len(self._values), size):
            batch = np.resize(np.roll(self._values, -start, axis=0), (size, *self._values.shape[1:]))
            raw = self.run(batch)
            if raw.ndim < 1 or len(raw) != size:
                raise CellError(
                    f"The first axis of the output of {self._name} is not the batch.",
                    f"For {size} {'image' if size == 1 else 'images'} it gives {list(raw.shape)}, so that the features "
                    "of one image cannot be told from those of another.",
                    "export it with a dynamic batch axis that comes first, or name another tensor under 'cut'",
                )
            with np.errstate(over="ignore"):
                found.append(raw.reshape(size, -1).astype(np.float32))
        return np.concatenate(found)[: len(self._values)]

    def reference(self, frozen: int) -> Float:
        """The file's own features of every image: one by one, or in batches of the size that is frozen in it.

        Raises:
            CellError: as :meth:`rows`; or it gives other features in a second run.
        """
        size = max(1, frozen)
        found = self.rows(size)
        if not 0 < found.shape[1] <= LARGEST:
            raise CellError(
                f"{self._name} gives {found.shape[1]:,} numbers for an image.",
                f"Features have 1 to {LARGEST:,}.",
                "name a pooled tensor under 'cut'",
            )
        again = self.run(np.resize(self._values[:1], (size, *self._values.shape[1:])))
        first = self.run(np.resize(self._values[:1], (size, *self._values.shape[1:])))
        if not self._same(first.reshape(size, -1).astype(np.float32), again.reshape(size, -1).astype(np.float32)):
            raise CellError(
                f"{self._name} gives other features for the same image in another run.",
                "No score or timing of it could be repeated.",
                "export it without random operators",
            )
        return found

    def freed(
        self, original: onnx.ModelProto, model: onnx.ModelProto, frozen: int, wanted: Float
    ) -> tuple[onnx.ModelProto, Parity, str]:
        """The model that takes any batch: as it is, or with its reshapes freed; proven at two batch sizes.

        Args:
            original: what is open now. frozen: the batch size that is written in the file; 0 where it is free.

        Raises:
            CellError: it works for batches of one size only, or an image's features depend on the others'.
        """
        from export.convert.surgery import reshapes_freed

        reasons = []
        written = max(1, frozen)
        free = reshapes_freed(model, written)
        candidates = [(model, "its input's batch axis"), (free, "the batch size in its reshapes")]
        for number, (candidate, what) in enumerate(candidates):
            if candidate is None:
                continue
            try:
                if number or candidate is not original:
                    self.open(candidate)
                sizes = (BATCH,) if not number and frozen < 2 else (1, BATCH)
                found = [self.rows(size) for size in sizes]
            except CellError as error:
                reasons.append(error)
                continue
            if all(rows.shape == wanted.shape and self._same(rows, wanted) for rows in found):
                parity = compare(found[-1], wanted, self._precision, FEATURES)
                said = f"{what} was fixed at {written} and is free now: outputs of batches equal those image by image"
                return candidate, parity, said if number or frozen else ""
            reasons.append(self._dependent(found[-1], wanted))
        raise self._fixed(reasons[0], frozen)

    def _dependent(self, found: Float, wanted: Float) -> CellError:
        shape = found.shape == wanted.shape
        how = f"cosine {compare(found, wanted, self._precision).cosine_min:.4f}" if shape else "another shape"
        return CellError(
            f"In {self._name} an image's features depend on the other images of its batch.",
            f"In batches of {BATCH} they differ from those image by image ({how}).",
            "call module.eval() and export it with a dynamic batch axis that comes first",
        )

    def _fixed(self, reason: CellError, frozen: int) -> CellError:
        if not frozen:
            return reason
        return CellError(
            f"{self._name} works for batches of {frozen} only: the batch size is written into it.",
            " ".join(filter(None, (reason.what, reason.why))),
            "export it with a dynamic batch axis",
        )

    def _same(self, found: Float, wanted: Float) -> bool:
        """Whether features agree within the precision's bounds; features that are all zeros agree with themselves."""
        if np.array_equal(found, wanted, equal_nan=True):
            return True
        if not (np.isfinite(found).all() and np.isfinite(wanted).all()):
            return False
        alive = np.abs(wanted).max(axis=1) > 0
        quiet = float(np.abs(found[~alive]).max(initial=0)) <= 1e-3 * float(np.abs(wanted).max(initial=0))
        return quiet and (not alive.any() or compare(found[alive], wanted[alive], self._precision).passed)


def _step() -> None:
    """Give the next step its time: the alarm ends the process even inside the runtime, where no Python runs."""
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL and __name__ == "__main__":
        signal.alarm(STEP_SECONDS)


def _require_useful(job: Job, model: onnx.ModelProto, wanted: Float, pixels: Any, values: Float) -> None:
    """Refuse features that hold NaN or Inf, and those that are the same for every photograph."""
    name = Path(job.file).name
    bad = int((~np.isfinite(wanted)).any(axis=1).sum())
    if bad:
        raise CellError(
            f"The features of {bad} of {len(wanted)} photographs hold NaN or Inf.",
            _origin(model, values),
            f"check the network's weights, and mean, std and value_range in {job.sidecar}",
        )
    different = len(np.unique(pixels.reshape(len(pixels), -1), axis=0))
    if different > 2 and (wanted == wanted[0]).all():
        raise CellError(
            f"{name} gives the same features for all of {different} different photographs.",
            "Nothing can be told from them.",
            f"check the network's weights, its 'cut', and mean, std and value_range in {job.sidecar}",
        )


def _origin(model: onnx.ModelProto, values: Float) -> str:
    """Where NaN or Inf come from first, for a reader."""
    from onnx import numpy_helper

    from export.zoo import onnx_file

    for tensor in onnx_file.tensors(model):
        if np.isnan(_numbers(numpy_helper.to_array(tensor))).any():
            return f"The weight {tensor.name!r} holds NaN."
    for node, found in _traced(model, values):
        if not np.isfinite(found).all():
            return f"The first such tensor is {node.output[0]!r}, the output of a {node.op_type}: it overflows there."
    return "They appear on some photographs only."


def _numbers(array: npt.NDArray[Any]) -> Any:
    """An array as floats, where it holds any kind of them."""
    return array.astype(np.float32) if array.dtype.kind in "fV" else np.zeros(1)


def _traced(model: onnx.ModelProto, values: Float) -> list[tuple[Any, Any]]:
    """Every node of the main graph with its first output for one image, where that is of numbers."""
    import onnx

    from export.convert import verify

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = [node for node in copy.graph.node if node.output and node.output[0]]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    try:
        found = verify.session(copy.SerializeToString()).run(None, {copy.graph.input[0].name: values})
    except Exception:  # it is for a message only
        return []
    pairs: Mapping[str, Any] = {n.output[0]: (n, np.asarray(a)) for n, a in zip(nodes, found, strict=True)}
    return [pair for pair in pairs.values() if pair[1].dtype.kind == "f"]


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
