"""Engines that do not read ONNX: a converter writes the fp32 file in the engine's own form, once for all machines.

Such engines narrow a network themselves, and better than from a file whose weights are rounded already: over
eight photographs, MobileNetV2's bf16 file gave ncnn's features a cosine of 0.956, its fp32 file, in bf16, 0.992. So
the fp32 file that an artifact was lowered from is converted, and the engine is told the artifact's precision.

The conversion is an entry of the store of its own, and no processor is part of its key: a board without the converter
runs what a workstation converted. *The plan's* key holds the processor, as every plan's does whose kernels are chosen
by one, so that the features of two processors are never taken for each other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from engines.base import Availability, Engine, EngineSpec, Plan, Profile, Purpose
from engines.library import installed
from engines.processor import instructions
from export import child
from export.artifact import Artifact, files
from export.errors import CellError, UserError, first_line
from export.spec import Precision
from export.store import Entry, Store, key

SHELF = "converted"


class ConvertingEngine(Engine):
    """What such engines share: a subclass writes ``_conversion``, ``_convert``, ``_assemble`` and ``_load``, but no
    ``_probe`` or ``_build``. Its one package is its library; its extra has its name.
    """

    title: ClassVar[str]
    """What its library is called."""

    def _probe(self, purpose: Purpose) -> Availability:
        [library] = self.packages
        version = installed(library)
        if not version:
            why, remedy = f"{self.title} is not installed.", f"pip install 'backbones-deployed[{self.name}]'"
            return Availability(False, why, remedy)
        try:
            self._load()
        except Exception as error:  # a broken installation raises what it likes
            return Availability(False, f"{self.title} does not start: {first_line(error)}", version=version)
        return Availability(True, version=version, device="CPU")

    def converted(self, artifact: Artifact, store: Store) -> Entry:
        """The artifact's fp32 file in the engine's own form, converted if the store does not have it.

        Raises:
            Unavailable: the store does not have it, and the converter is not installed.
            CellError: there is no fp32 file, or the converter cannot convert it.
        """
        base = artifact.key if artifact.precision is Precision.FP32 else artifact.fields.get("base")
        if not base:
            raise CellError(
                f"{artifact.backbone!r} is a finished {artifact.precision} file.",
                f"{self.name} is given fp32 files, and narrows them itself.",
                "an fp32 export of the network",
            )

        def build(folder: Path) -> Mapping[str, Any]:
            fp32 = _base(artifact, base, store)
            if len(files(fp32.onnx)) > 1:
                raise CellError(
                    f"{artifact.backbone} is too large for {self.title}.",
                    f"Its fp32 file has {fp32.onnx_bytes / 1e9:.1f} GB; {self.title}'s converter reads 2 GB at most.",
                    "another engine: --engines ort,openvino",
                )
            return {**self._convert(fp32, folder), "onnx": base}

        return store.obtain(SHELF, self.conversion_key(base), build)

    def conversion_key(self, onnx_key: str) -> str:
        """Of the conversion of an fp32 file, whatever processor it will run on."""
        return key(SHELF, engine=self.name, onnx=onnx_key, **self._conversion())

    def pack(self, artifact: Artifact, profile: Profile, store: Store) -> tuple[Entry, ...]:
        """The conversion: no board has the converter."""
        return (self.converted(artifact, store),)

    def _source(self, artifact: Artifact, store: Store) -> Artifact:
        entry = self.converted(artifact, store)
        return replace(artifact, path=entry.path, fields={**artifact.fields, SHELF: dict(entry.fields)})

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "conversion": self._conversion(), "processor": list(instructions())}

    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        fields: dict[str, Any] = artifact.fields[SHELF]
        self._assemble(artifact, folder)
        # What does not run is never published. It runs apart first: such a runtime checks little, and may crash.
        job = {
            "store": str(artifact.path.parent.parent),  # it lies in <store>/converted/<key>
            "onnx_key": artifact.key,
            "engine": msgspec.to_builtins(self.spec),
            "batches": list(profile.batches),
            "folder": str(folder),
            "fields": fields,
        }
        child.alone("engines.conversion:work", job, f"{artifact.backbone} on {self.spec}")
        return fields

    @abstractmethod
    def _load(self) -> object:
        """Import the library."""

    @abstractmethod
    def _conversion(self) -> dict[str, Any]:
        """What of the engine decides what the converter writes, known on a machine that lacks the converter."""

    @abstractmethod
    def _convert(self, artifact: Artifact, folder: Path) -> Mapping[str, Any]:
        """Convert an fp32 artifact into ``folder``; return what the manifest should say.

        Raises:
            Unavailable: the converter is not installed. CellError: it cannot convert the artifact.
        """

    @abstractmethod
    def _assemble(self, converted: Artifact, folder: Path) -> None:
        """Write the plan's files, for the artifact's precision, from the converted ones in ``converted.path``. Copies,
        not links: damage to one must not reach the other.
        """


def _base(artifact: Artifact, base: str, store: Store) -> Artifact:
    """The fp32 artifact of that key, from which ``artifact`` was lowered, or which it is."""
    if artifact.key == base:
        return artifact
    entry = store.try_load("onnx", base)
    if entry is None:
        raise UserError("An entry of the store disappeared before it was converted.", "", "run the same command again")
    return Artifact.of(entry)


def refused(artifact: Artifact, by: str, why: str) -> CellError:
    """The error for an artifact that a converter does not convert, or not whole."""
    return CellError(f"{by} cannot convert {artifact.backbone}.", why)


def work(job: dict[str, Any]) -> None:
    """In a child process: run a plan that is not published yet, once for each batch size."""
    from engines.catalog import engine

    entry = Store(Path(job["store"]), verified=True).try_load("onnx", job["onnx_key"])
    assert entry is not None
    artifact = Artifact.of(entry)
    runner = engine(msgspec.convert(job["engine"], EngineSpec))
    profile = Profile(tuple(job["batches"]))
    spec = artifact.preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3), dtype=np.uint8)
    with runner.load(Plan("", Path(job["folder"]), "", 0, runner.spec, profile, artifact, job["fields"])) as session:
        for batch in profile.batches:
            session.run(np.repeat(pixels, batch, axis=0))
