"""ONNX Runtime: runs the artifact's own file; a GPU's plan is that file behind a head that takes uint8 pixels.

One configuration serves accuracy and cost. Worker threads do not spin while they wait: spinning buys single-stream
latency on an idle machine and takes it from the threads that decode the next images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.base import Availability, Engine, EngineSpec, Plan, Profile, Purpose, Session, Standalone
from engines.cuda.device import device, why_no_device
from engines.library import installed
from engines.ort.products import of_onnx
from engines.ort.providers import PROVIDERS, Provider, why_not
from engines.ort.session import OPTIONS, BoundSession, OrtSession, compiled, inference_session, optimized
from engines.preprocess.headed import headed
from engines.processor import instructions
from engines.shipped import SHIPPED
from export import needs
from export.artifact import ONNX, Artifact, copy_files
from export.errors import first_line
from export.spec import Precision
from export.store import Entry, Store

CPU_ONLY, GPU = "onnxruntime", "onnxruntime-gpu"
FOR_GPU = f"pip uninstall {CPU_ONLY}; pip install 'backbones-deployed[gpu]'"
BESIDE = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "tensorrt", "tensorrt-cu12", "tensorrt-cu13")
"""Distributions whose version decides which kernels a GPU provider runs."""


class OrtEngine(Engine):
    """ONNX Runtime with one execution provider; falling back to another is an error."""

    name = "ort"
    packages = (CPU_ONLY,)
    providers = tuple(PROVIDERS)
    precisions = frozenset({Precision.FP32, Precision.FP16, Precision.INT8, Precision.FP8})
    concurrent = True

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        if self._provider.bound:
            self.spec = replace(self.spec, streams=1)  # its buffers are those of one query

    @property
    def _provider(self) -> Provider:
        return PROVIDERS[self.spec.provider]

    @property
    def session(self) -> type[Session]:
        return BoundSession if self._provider.bound else OrtSession

    def standalone(self, plan: Plan) -> Standalone:
        if self._provider.bound:
            return super().standalone(plan)
        return Standalone(SHIPPED / "ort.py", (CPU_ONLY,), {"provider": self._provider.name, "session": OPTIONS})

    def _probe(self, purpose: Purpose) -> Availability:
        found = [name for name in (CPU_ONLY, GPU) if installed(name)]
        gpu = self._provider.gpu
        if len(found) == 2:
            return Availability(
                False,
                f"{CPU_ONLY} and {GPU} are both installed: they write into one folder and break each other.",
                f"pip uninstall {CPU_ONLY} {GPU}; pip install 'backbones-deployed[{'gpu' if gpu else 'cpu'}]'",
            )
        if not found:
            extra = "gpu" if gpu else "cpu"
            return Availability(False, "ONNX Runtime is not installed.", f"pip install 'backbones-deployed[{extra}]'")
        try:
            import onnxruntime
        except ImportError as error:
            return Availability(False, f"ONNX Runtime does not import: {first_line(error)}")
        wanted = self._provider.name
        if wanted not in onnxruntime.get_available_providers():
            remedy = FOR_GPU if CPU_ONLY in found else ""
            return Availability(False, f"The installed {found[0]} has no {wanted}.", remedy)
        if not gpu:
            return Availability(True, version=onnxruntime.__version__, device="CPU")
        # a package for GPUs lists its providers on every machine: only starting one shows whether it works
        here = device()
        if here is None:
            reason, remedy = f"Missing: {why_no_device()}.", "run on a machine with an NVIDIA GPU and its driver"
        else:
            reason, remedy = why_not(wanted, self._provider.library)
        return Availability(not reason, reason, remedy, onnxruntime.__version__, here.name if here else "")

    def _identity(self) -> dict[str, Any]:
        identity = {**super()._identity(), "options": OPTIONS}
        provider = self._provider
        if not provider.gpu:
            identity["processor"] = list(instructions())
        else:
            identity |= {
                "provider_options": {**provider.options, **provider.environment},
                "beside": {name: found for name in BESIDE if (found := installed(name))},
                "device": here.identity() if (here := device()) else None,
            }
        return identity

    def pack(self, artifact: Artifact, profile: Profile, store: Store) -> tuple[Entry, ...]:
        """Where pixels are bound, the headed file: a board has no onnx."""
        return (headed(artifact, store),) if self._provider.bound else ()

    def _source(self, artifact: Artifact, store: Store) -> Artifact:
        return replace(artifact, path=headed(artifact, store).path) if self._provider.bound else artifact

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        needs.require_disk(f"the plan of {artifact.backbone}", needs.PLAN_DISK * artifact.onnx_bytes, folder)
        provider = self._provider
        # a copy, not a link: damage to one must not reach the other
        copy_files(artifact.onnx, folder / ONNX)
        if not provider.bound:
            rewritten = optimized(folder / ONNX, self.spec)  # a file that does not load is never published
            return {"provider": provider.name, "arithmetic": of_onnx(rewritten)}
        in_force: dict[str, Any] = {}
        for batch in profile.batches:
            if provider.cache:
                compiled(folder, batch).mkdir()
            session = inference_session(folder / ONNX, self.spec, batch)
            in_force = dict(session.get_provider_options().get(provider.name, {}))
            del session  # before the next: each holds the weights
        fields = {"provider": provider.name, "environment": dict(provider.environment)}
        if provider.cache:  # what it compiled cannot be looked into
            return {**fields, "provider_options": {**in_force, provider.cache: "the plan's own folder"}}
        arithmetic = of_onnx(optimized(folder / ONNX, self.spec, profile.batches[0]))
        return {**fields, "provider_options": in_force, "arithmetic": arithmetic}
