"""The model card: what the folder is, how good, at what cost, where it comes from, and what it was not tested on."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from bench.measure.machine import processor
from bench.shipping.bundle import Judged
from bench.shipping.chosen import Chosen
from bench.shipping.trial import Trial
from bench.verdict.digits import number, with_error
from export import __version__
from export.spec import Metric

USE = """\
```
python -m venv env && env/bin/pip install -r requirements.txt
env/bin/python predict.py --self-test
env/bin/python predict.py photo.jpg folder/ --json
```
"""
FILES = """\
- `model.onnx`: backbone and head in one network; weights beyond 2 GB lie beside it in `model.onnx.data`.
- `predict.py`, `network.py`: read photographs, run the network, print what it finds. They need
  `requirements.txt` only.
- `preprocess.json`: how a photograph becomes the network's input. `labels.txt`: the classes, in the
  order of its outputs.
- `examples/`, `expected.json`: photographs of the test split, and what is predicted of them.
- `SHA256SUMS`: check with `sha256sum --check SHA256SUMS`.
"""


def card(chosen: Chosen, cell: Judged, trial: Trial, restrictions: Sequence[str], plans: Sequence[str]) -> str:
    """The card as Markdown."""
    artifact, images, about = cell.plan.artifact, chosen.images, chosen.planned.about(cell.plan.artifact)
    spec, counts = artifact.preprocess, {split: len(images.split(split)) for split in ("train", "val", "test")}
    source = ", ".join(f"{name} {value}" for name, value in about.source.items() if isinstance(value, str) and value)
    lines = [
        f"# {chosen.name}, for {chosen.scorer.meta.name.replace('_', ' ')} on {images.name}",
        "",
        f"Written by backbones-deployed {__version__}.",
        "",
        USE,
        "## How good",
        "",
        f"On {counts['test']:,} test images of {images.name} ({len(images.classes)} classes), which nothing was "
        f"chosen on: {', '.join(map(_score, cell.score.metrics[:3]))} (± one standard error).",
        f"Protocol: {chosen.scorer.meta.protocol}",
        f"Fitted on {counts['train']:,} images, chosen on {counts['val']:,}. Splits: {images.splits_from}.",
        f"`predict.py` was run on {trial.images:,} of the test images: on {trial.equal:,} its answer is that of the "
        f"plan which was scored (least cosine of the outputs {trial.cosine:.6f}).",
        _closeness(cell),
        "",
        "## Cost",
        "",
        *_costs(chosen),
        f"- parameters: {artifact.parameters:,}; model.onnx: {artifact.onnx_bytes / 2**20:.1f} MiB",
        "",
        "## Input",
        "",
        f"RGB photographs, {spec.height} x {spec.width} after resizing ({spec.crop_mode}, {spec.interpolation}). "
        "EXIF orientation and colour profiles are not applied, as when it was fitted.",
        "",
        "## Where it comes from",
        "",
        f"- backbone: {artifact.backbone}; pretrained by {about.pretrain_algo or 'an unknown method'} on "
        f"{about.pretrain_data or 'unknown data'}",
        f"- weights: {source or 'unknown'}",
        f"- licence of the weights: {about.licence or 'unknown'}",
        f"- data: {images.name}, digest {images.digest}; licence {images.licence or 'unknown'}",
        f"- {chosen.planned.cell.precision} on {cell.plan.engine}; keys: file {artifact.key}, plan {cell.plan.key}",
        *(f"- {text}" for text in restrictions),
        "",
        "## What it was not tested on",
        "",
        f"- Photographs of other cameras, places or times than those of {images.name}; other classes than its own.",
        f"- Other machines than this one: {processor()}, {platform.system()} on {platform.machine()}.",
        "- The score is that of one split and one seed.",
        *(f"- The plan in {place} was built here and has not been run." for place in plans),
        "",
        "## Files",
        "",
        FILES,
    ]
    return "\n".join(lines)


def _score(metric: Metric) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    value = with_error(metric.value, metric.stderr, 2) if metric.stderr else number(metric.value or 0.0)
    return f"{metric.name.replace('_', ' ')} {value}{unit}"


def _closeness(cell: Judged) -> str:
    if not cell.parity:
        return "Not compared with eager PyTorch: the network came as a finished file."
    return (
        f"On {cell.parity.images} photographs its {cell.parity.output} have a cosine of at least "
        f"{cell.parity.cosine_min:.6f} with eager PyTorch in fp32 (bound {cell.parity.cosine_bound:g})."
    )


def _costs(chosen: Chosen) -> list[str]:
    lines = []
    for name, record in chosen.row.timings.items():
        if record.subject.head and record.subject.head.partition("@")[0] != chosen.scorer.meta.name:
            continue
        main = record.metrics[0]
        what = f"{name}: {main.name.replace('_', ' ')} {number(main.value or 0.0)} {main.unit}"
        alone = "" if record.subject.head else ", backbone alone"
        pin = record.subject.settings.get("pin")
        cores = f" pinned to cores {pin}" if pin else ""
        lines.append(f"- {what}{alone}, on {record.environment.name}, {record.cell.threads} threads{cores}")
    return lines or ["- not measured: `bob run` with the scenario single_stream measures it"]
