"""TensorRT and TensorRT-RTX as engines: one code, two flavours.

Four providers. ``gpu`` has a static profile for each batch size and replays CUDA graphs; ``nograph`` is the same
without graphs; ``compatible`` is a plan for every GPU from Ampere on, where ``gpu`` builds for one; ``dynamic`` has one
profile for all batch sizes, so that what tuning for a batch is worth can be seen. The network takes uint8 pixels: its
head normalises on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from engines.base import Availability, Engine, EngineSpec, Plan, Profile, Purpose, Session
from engines.cuda.device import device, why_no_device
from engines.preprocess.headed import headed
from engines.trt.builder import FIRST_COMPATIBLE, PLAN, WORKSPACE_BYTES, Request, build
from engines.trt.flavour import RTX, TENSORRT, Flavour
from engines.trt.session import TrtSession
from engines.trt.timing_cache import TimingCache
from export.artifact import Artifact
from export.errors import CellError, Unavailable
from export.spec import Precision
from export.store import Entry, Store, key

PROVIDERS = ("gpu", "nograph", "compatible", "dynamic")
LANES = 2
"""Queries that a session serves at once: the copies of one overlap the work of the other."""


class TensorRtEngine(Engine):
    """What both flavours share."""

    flavour: ClassVar[Flavour]
    providers = PROVIDERS
    precisions = frozenset(Precision)
    concurrent = True

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        self.spec = replace(self.spec, streams=min(self.spec.streams, LANES))

    @property
    def session(self) -> type[TrtSession]:
        return TrtSession

    def _probe(self, purpose: Purpose) -> Availability:
        version, gpu = self.flavour.installed(), device()
        if version and purpose == "build" and self.flavour.targetable:
            if gpu is None and not self._request(Profile()).portable:
                return Availability(
                    False,
                    "There is no GPU here to build for, and no other was named.",
                    "name its compute capability: --target 8.6",
                    version,
                )
            return self._loads(version, "")
        missing, remedies = [], []
        if gpu is None:
            missing.append(why_no_device())
            remedies.append("run on a machine with an NVIDIA GPU and its driver")
        if not version:
            missing.append(f"the {self.flavour.title} library")
            remedies.append(self.flavour.remedy)
        if missing:
            return Availability(False, f"Missing: {', '.join(missing)}.", "; ".join(remedies), version)
        assert gpu is not None
        return self._loads(version, f"{gpu.name} ({gpu.capability})")

    def _loads(self, version: str, gpu: str) -> Availability:
        try:
            self.flavour.load()
        except Unavailable as error:
            return Availability(False, error.sentence, error.remedy, version, gpu)
        return Availability(True, version=version, device=gpu)

    def _request(self, profile: Profile) -> Request:
        provider = self.spec.provider
        return Request(
            profile.batches,
            dynamic=provider == "dynamic",
            targets=self.spec.targets,
            compatible=provider == "compatible",
        )

    def _identity(self) -> dict[str, Any]:
        gpu = device()
        built_for: list[str] | dict[str, str] | None
        if self.spec.targets:
            built_for = sorted(set(self.spec.targets))
        elif self._request(Profile()).portable and self.flavour.targetable:
            built_for = [f"{FIRST_COMPATIBLE} and later"]
        else:
            built_for = gpu.identity() if gpu else None
        return {
            "engine": self.name,
            "provider": self.spec.provider,
            "version": self.flavour.installed(),
            "options": {"workspace_bytes": WORKSPACE_BYTES, "tf32": False, "input": "uint8 pixels"},
            "built_for": built_for,
        }

    def plan(self, artifact: Artifact, profile: Profile, store: Store) -> Plan:
        """As :meth:`Engine.plan`; the store also keeps what the builder learns of the device's kernels."""
        gpu = device()
        version = self.flavour.installed()
        self._cache = TimingCache.of(store.root, version=version, device=gpu.identity()) if gpu else None
        return super().plan(artifact, profile, store)

    def pack(self, artifact: Artifact, profile: Profile, store: Store) -> tuple[Entry, ...]:
        """The headed file: a board has no onnx."""
        return (headed(artifact, store),)

    def _source(self, artifact: Artifact, store: Store) -> Artifact:
        return replace(artifact, path=headed(artifact, store).path)

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        name = f"{artifact.backbone} {artifact.precision} for {self.spec}"
        request = self._request(profile)
        fields = build(self.flavour, artifact.onnx, request, folder, name=name, cache=self._cache)
        gpu = device()
        if not fields["targets"] and gpu is not None:
            fields["targets"] = [gpu.capability]
        return fields

    def _plan_of(self, entry: Entry, artifact: Artifact, profile: Profile) -> Plan:
        # the log beside the plan is neither shipped nor loaded
        plan = super()._plan_of(entry, artifact, profile)
        content = key("content", files={PLAN: entry.files[PLAN]})
        return replace(plan, content=content, plan_bytes=entry.file(PLAN).stat().st_size)

    def _open(self, plan: Plan) -> Session:
        gpu = device()
        if gpu is not None:
            refuse_foreign(plan, self.flavour, gpu.capability)
        return TrtSession(plan, self.flavour, graphs=self.spec.provider != "nograph")


class TrtEngine(TensorRtEngine):
    """TensorRT: builds on the GPU that it builds for."""

    name = "trt"
    flavour = TENSORRT


class RtxEngine(TensorRtEngine):
    """TensorRT-RTX: builds for named compute capabilities anywhere; the GPU that runs it finishes the kernels."""

    name = "trt-rtx"
    flavour = RTX
    targetable = True


def refuse_foreign(plan: Plan, flavour: Flavour, capability: str) -> None:
    """Refuse a plan that was built by another version, or for another GPU.

    Args:
        capability: of the GPU here, as "8.6".

    Raises:
        CellError: it is such a plan; the message says what it was built with, or for, and what is here.
    """
    built_by, here = str(plan.fields["version"]), flavour.installed()
    if built_by != here:
        raise CellError(
            f"This plan was built by {flavour.title} {built_by}, and {here} is installed.",
            "Only the version that built a plan can load it.",
            "run the same command again: it builds a new plan",
        )
    targets, compatible = list(plan.fields["targets"]), bool(plan.fields["compatible"])
    by_level = compatible and not flavour.targetable  # TensorRT's level is open above, RTX lists its targets
    if capability in targets or (by_level and float(capability) >= FIRST_COMPATIBLE):
        return
    built_for = f"{FIRST_COMPATIBLE} and later" if by_level else ", ".join(targets)
    raise CellError(
        f"This plan was built for compute capability {built_for}; the GPU here has {capability}.",
        "",
        f"build it here, or with --target {capability}, or as {flavour.engine}:compatible",
    )
