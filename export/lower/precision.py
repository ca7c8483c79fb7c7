"""Backbone and precision → artifact. Each precision is an ONNX file of its own, made from the fp32 file.

fp32 file ─▶ watched on photographs ─▶ candidates ─▶ the best on val ─▶ parity gate on photographs of its own
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from export import external, needs
from export.artifact import ONNX, Artifact, Reference
from export.convert import onnx_from_torch
from export.convert.opset import opset
from export.errors import CellError, UserError
from export.lower.calibration import CalibrationSet, Float, published
from export.parity import compare_outputs
from export.reference import normalize
from export.spec import Precision
from export.store import Store, key
from export.zoo.backbones import Backbone

if TYPE_CHECKING:
    import onnx

LOWERING = 8
"""Raised whenever this room would make another file of the same fp32 file and photographs."""
OPSET = 17
"""Per-channel Q/DQ pairs need 13; a file that came finished may be older."""
DIAGNOSED = 4
"""Photographs on which the first broken node is looked for: every inner tensor is compared."""


def precision_of(name: str) -> Precision:
    """The precision of that name.

    Raises:
        UserError: there is none.
    """
    try:
        return Precision(name.strip())
    except ValueError:
        raise UserError(f"Unknown precision {name!r}.", f"Available: {', '.join(Precision)}.") from None


def artifact_key(
    backbone: Backbone,
    store: Store,
    *,
    precision: Precision = Precision.FP32,
    taps: Sequence[str] = (),
    images: Path | None = None,
    calibration: CalibrationSet | None = None,
) -> str:
    """The onnx_key: backbone, weights, exporter, opset, precision, calibration photographs. Loads no framework."""
    base = onnx_from_torch.artifact_key(backbone, store, taps=taps, images=images)
    return base if precision is Precision.FP32 else lowered_key(base, precision, calibration, store)


def artifact(
    backbone: Backbone,
    store: Store,
    *,
    precision: Precision = Precision.FP32,
    taps: Sequence[str] = (),
    images: Path | None = None,
    calibration: CalibrationSet | None = None,
) -> Artifact:
    """The backbone's ONNX file in a precision, made if the store does not have it.

    A finished ONNX file is taken as it is where fp32 is asked for, and the artifact says which precision that is.

    Args:
        taps: as :func:`export.convert.onnx_from_torch.artifact`.
        images: photographs for the fp32 file's parity gate, instead of the published ones.
        calibration: photographs from which a lower precision is made and judged, instead of the published ones.

    Raises:
        UserError, Unavailable: as :func:`export.zoo.loaders.eager`.
        CellError: the module cannot be exported, or its file cannot be lowered.
    """
    base = onnx_from_torch.artifact(backbone, store, taps=taps, images=images)
    if precision is Precision.FP32:
        return base
    require_fp32(backbone, base.precision, precision)
    return lowered_artifact(base, precision, calibration, store)


def lowered_artifact(
    base: Artifact, precision: Precision, calibration: CalibrationSet | None, store: Store
) -> Artifact:
    """A lower precision of an fp32 artifact, made if the store does not have it; errors as :func:`lowered`."""
    photographs = calibration or published(store)

    def build(folder: Path) -> Mapping[str, Any]:
        if (size := base.onnx_bytes) > external.LARGEST:
            needs.require_disk(f"{base.backbone} in {precision}", needs.LOWER_DISK * size, folder)
            needs.require_memory(f"{base.backbone} in {precision}", needs.MEMORY * size, store.say)
        store.say(f"{base.backbone}: making {precision} from {len(photographs.train)} photographs …")
        return lowered(base, precision, photographs, folder, store.say)

    return Artifact.of(store.obtain("onnx", lowered_key(base.key, precision, photographs, store), build))


def require_fp32(backbone: Backbone, own: Precision, asked: Precision) -> None:
    """Refuse to round a file that is rounded already.

    Raises:
        CellError: ``own``, the precision of the backbone's file, is not fp32.
    """
    if own is not Precision.FP32:
        raise CellError(
            f"{backbone.name!r} is {own} already: no {asked} file is made of it.",
            "It would be rounded twice, and the first rounding is not known.",
            "an fp32 export of the network; this file is run as it is where fp32 is asked for",
        )


def lowered_key(base: str, precision: Precision, calibration: CalibrationSet | None, store: Store) -> str:
    """Of a lower precision of the fp32 artifact ``base``; without photographs of the published ones."""
    photographs = calibration or published(store)
    return key(
        "onnx",
        base=base,
        precision=str(precision),
        lowering=LOWERING,
        calibration=photographs.digest,
        libraries={"onnx": version("onnx"), "onnxruntime": _runtime()},
    )


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder within ``folder`` for the tensors of candidates, where they do not fit into memory together."""
    with TemporaryDirectory(prefix=".tensors.", dir=folder) as place:
        yield Path(place)


def fp32_model(path: Path, scratch: Path | None = None) -> onnx.ModelProto:
    """An fp32 file as the lowering takes it: at opset 17 or later, every node with a name of its own.

    Args:
        scratch: as :func:`export.external.load`.
    """
    from export.lower.graph import named, raised

    return named(raised(external.load(path, scratch), OPSET))


def lowered(
    base: Artifact, precision: Precision, photographs: CalibrationSet, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Make a lower precision of an fp32 artifact in ``folder``, whatever the store holds; the manifest's fields.

    Raises:
        CellError: the file cannot be lowered.
    """
    with scratch(folder) as place:
        return _lowered(base, fp32_model(base.onnx, place), precision, photographs, folder, say)


def _lowered(
    base: Artifact,
    model: onnx.ModelProto,
    precision: Precision,
    photographs: CalibrationSet,
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    from export.lower.activations import outputs
    from export.lower.choice import choose
    from export.lower.diagnosis import bound_db, first_below

    spec = base.preprocess
    train = photographs.values(photographs.train, spec)
    chosen = choose(model, precision, train, photographs.values(photographs.val[::2], spec), say, base.compared)
    external.save(chosen.model, folder / ONNX)

    pixels = photographs.pixels(photographs.val[1::2], spec)
    values = normalize(pixels, spec)
    reference = Reference(pixels, _compared(base, outputs(model, values)))
    reference.save(folder)
    parity = compare_outputs(_compared(base, outputs(chosen.judged, values)), reference.outputs, precision)
    bound = bound_db(precision)
    below = None
    if not parity.passed:
        below = first_below(chosen.reference, chosen.judged, values[:DIAGNOSED], bound)
        where = f"; first node below {bound:.0f} dB: {below.node} ({below.operator})" if below else ""
        say(f"{base.backbone} {precision}: parity FAILED, {parity.output} cosine {parity.cosine_min:.4f}{where}")
    return {
        **base.fields,
        "precision": str(precision),
        "opset": opset(chosen.model),
        "base": base.key,
        "parity": asdict(parity),
        "compared": {
            "with": "the fp32 file, which is compared with eager PyTorch",
            "snr_bound_db": round(bound, 1),
            "first_below": below.as_json() if below else None,
        },
        "chosen": asdict(chosen.choice),
        "calibration": photographs.listing(),
    }


def _compared(base: Artifact, found: Mapping[str, Float]) -> dict[str, Float]:
    return {name: found[name] for name in base.compared}


def _runtime() -> str:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""
