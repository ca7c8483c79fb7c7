"""Every key of a sweep, on one page: each a pure function of values. They chain, and need nothing that is built.

    onnx_key    = H(backbone, weights sha256, exporter, opset, precision, calibration set)     export.lower.precision
    plan_key    = H(onnx_key, engine, its version, options, profile, GPU architecture, driver)  engines.base
    feature_key = H(plan_key, preprocessing, data set digest, output)
    maps_key    = H(plan_key, preprocessing, taps, which images)
    fit_key     = H(feature_keys of train and val, which samples, fit, its version, settings, seed)
    head_key    = H(fit_key, what the head ends in); the onnx_key of backbone and head holds it   export.convert.joining
    score_key   = H(fit_key, feature_keys of test, task, its version, settings)
    timing_key  = H(plan_key, scenario, machine, images, preprocessing)

A *protocol* is a shorter hash: what must agree before results of different backbones or engines may be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.record import protocol_hash
from export.store import key
from tasks.base import FitMeta, TaskMeta

Json = Mapping[str, Any]


def parity_key(plan_key: str) -> str:
    """Of the closeness of a plan's outputs to eager fp32."""
    return key("parity", plan=plan_key, outputs="all")


def feature_key(plan_key: str, preprocess: Json, data_digest: str, output: str) -> str:
    """Of one output for a whole data set (pitfall 27). ``preprocess``: the path's identity."""
    return key("features", plan=plan_key, preprocess=dict(preprocess), data=data_digest, output=output)


def shard_key(feature_key: str, start: int, size: int) -> str:
    """Of a part of that: rows ``start`` … ``start + size``."""
    return key("shard", of=feature_key, start=start, size=size)


def maps_key(of: str, taps: Sequence[str], images: Sequence[tuple[str, str]]) -> str:
    """Of the maps of some images. ``of``: the plan's maps under a preprocessing; ``images``: data set digest and id."""
    return key("maps", of=of, taps=list(taps), images=[list(image) for image in images])


def queries_key(data_digest: str, geometry: Json, preprocess: Json, seed: int, count: int) -> str:
    """Of the images that a timing rotates through: the files, and the pixels that an engine is given."""
    return key("queries", data=data_digest, geometry=dict(geometry), by=dict(preprocess), seed=seed, count=count)


def fit_key(features: Sequence[str], learning: str, fit: FitMeta, seed: int) -> str:
    """Of what a task learned.

    Args:
        features: feature keys of the sets that train and val come from.
        learning: which samples of them are train and val, with their labels (:attr:`tasks.data.base.DataSet.learning`).
    """
    meta = {"name": fit.name, "version": fit.version, "settings": dict(fit.settings)}
    return key("fit", features=list(features), learning=learning, fit=meta, seed=seed)


def head_key(fit_key: str, class_map: str) -> str:
    """Of a head that is joined to a backbone: its fit, and the map of classes that it gives besides, if any."""
    return key("head", fit=fit_key, class_map=class_map)


def score_key(fit_key: str, features: Sequence[str], data_digest: str, task: TaskMeta) -> str:
    """Of a score. ``features``: of the sets that test comes from; ``data_digest`` says which of their samples are."""
    return key("score", fit=fit_key, features=list(features), data=data_digest, **_task(task))


def score_protocol(data_digest: str, task: TaskMeta, seed: int) -> str:
    """What two scores must share to stand in one column: the data and the task, not the backbone or engine."""
    return protocol_hash("score", data=data_digest, seed=seed, **_task(task))


def timing_key(plan_key: str, how: Json, timing: Json) -> str:
    """Of a timing. ``how``: how long and how often; ``timing``: see :func:`timing_protocol`."""
    return key("timing", plan=plan_key, how=dict(how), **timing)


def timing_protocol(timing: Json) -> str:
    """What two timings must share: scenario, its version and what it asks, machine, threads, the cores that they are
    pinned to, images, preprocessing."""
    return protocol_hash("timing", **timing)


def part_key(timing_keys: Sequence[str], repeat: int) -> str:
    """Of what one child process measured: one repeat of several timings."""
    return key("part", of=list(timing_keys), repeat=repeat)


def _task(meta: TaskMeta) -> dict[str, Any]:
    return {"task": meta.name, "version": meta.version, "settings": dict(meta.settings)}
