"""What a foreign model does on photographs: image by image, in batches, in another run; and what of that is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export import external
from export.convert import verify
from export.convert.surgery import reshapes_freed
from export.errors import CellError, UserError, first_line
from export.parity import Parity, compare
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

FEATURES = "features"
BATCH = 5
"""A batch axis that is frozen somewhere inside the file would show."""
LARGEST = 1 << 20
"""Numbers that one image's features may have."""

Float = npt.NDArray[np.float32]


class Behaviour:
    """Runs a cut model, whose one input is the image and whose one output is as the file has it."""

    def __init__(self, name: str, precision: Precision, values: Float, step: Callable[[], None]) -> None:
        self._name, self._precision, self._values, self._step = name, precision, values, step
        self._session: Any = None

    def open(self, model: onnx.ModelProto) -> str:
        """Load a model; the type of its output in ONNX Runtime's words.

        Raises:
            CellError: it does not load.
        """
        self._step()
        try:
            self._session = verify.session(model)
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
        self._step()
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
                    f"For {size} {'image' if size == 1 else 'images'} it gives {list(raw.shape)}: the first number "
                    f"should be {size}.",
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

    def require_useful(self, model: onnx.ModelProto, wanted: Float) -> None:
        """Refuse features that hold NaN or Inf, and those that are the same for every photograph.

        Args:
            model: what is open, to look for the cause. wanted: its features [n, d].

        Raises:
            CellError: with the tensor in which it begins.
        """
        sidecar = Path(self._name).with_suffix(".yaml").name
        bad = (~np.isfinite(wanted)).any(axis=1)
        if bad.any():
            raise CellError(
                f"The features of {bad.sum()} of {len(wanted)} photographs hold NaN or Inf.",
                _origin(model, self._values[bad][:1]),
                f"check the network's weights, and mean, std and value_range in {sidecar}",
            )
        if (wanted == wanted[0]).all() and not self._same(together := self._together(wanted), wanted):
            raise self._dependent(together, wanted)
        check = f"the network's weights, its 'cut', and mean, std and value_range in {sidecar}"
        verify.require_different(self._name, wanted, self._values, check)

    def freed(
        self, original: onnx.ModelProto, model: onnx.ModelProto, frozen: int, wanted: Float
    ) -> tuple[onnx.ModelProto, Parity, str]:
        """The model that takes any batch: as it is, or with its reshapes freed; proven at two batch sizes.

        Args:
            original: what is open now. frozen: the batch size that is written in the file; 0 where it is free.

        Raises:
            CellError: it works for batches of one size only, or an image's features depend on the others'.
        """
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

    def _together(self, wanted: Float) -> Float:
        """The features in batches, where it runs on them; else those that are given."""
        try:
            return self.rows(BATCH)
        except CellError:
            return wanted

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


def _origin(model: onnx.ModelProto, values: Float) -> str:
    """Where NaN or Inf come from first, for a reader."""
    for tensor in external.tensors(model):
        if np.isnan(_numbers(external.values(tensor))).any():
            return f"The weight {tensor.name!r} holds NaN."
    for node, found in _traced(model, values):
        if not np.isfinite(found).all():
            why = "it overflows" if np.isinf(found).any() else "it is not defined (a root of less than 0, 0 / 0)"
            return f"The first such tensor is {node.output[0]!r}, the output of a {node.op_type}: {why} there."
    return "They appear on some photographs only."


def _numbers(array: npt.NDArray[Any]) -> Any:
    """An array as floats, where it holds any kind of them."""
    return array.astype(np.float32) if array.dtype.kind in "fV" else np.zeros(1)


def _traced(model: onnx.ModelProto, values: Float) -> list[tuple[Any, Any]]:
    """Every node of the main graph with its first output for one image, where that is of numbers."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = [node for node in copy.graph.node if node.output and node.output[0]]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    try:
        found = verify.session(copy).run(None, {copy.graph.input[0].name: values})
    except Exception:  # it is for a message only
        return []
    pairs: Mapping[str, Any] = {n.output[0]: (n, np.asarray(a)) for n, a in zip(nodes, found, strict=True)}
    return [pair for pair in pairs.values() if pair[1].dtype.kind == "f"]
