"""What an engine is. The base classes own the verbs (checks, wording, state); a plug-in writes the hooks.

A plug-in subclasses :class:`Engine` and :class:`Session` in one file of about 150 lines and is named by one line of
``engines/catalog.py``. Importing that file must not import the engine's library: hooks do, when they run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from engines.arithmetic import emulated
from engines.processor import cores
from export.artifact import Artifact
from export.errors import CellError, Unavailable, UserError
from export.spec import Precision, PreprocessSpec, TensorSpec
from export.store import Entry, Store, key

Pixels = npt.NDArray[np.uint8]
Outputs = dict[str, npt.NDArray[np.float32]]
Purpose = Literal["run", "build"]
"""What an engine is asked for: to open sessions on plans, or to build them; some need less for one than the other."""


@dataclass(frozen=True)
class Profile:
    """The batch sizes that a plan is built and tuned for. A session refuses every other.

    One plan holds them all, so that accuracy (scored at one batch size) and cost (timed at several) come from the same
    plan. Where an engine compiles a static shape for each, they are variants inside the plan.
    """

    batches: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if not self.batches or any(b < 1 for b in self.batches):
            raise UserError(f"A profile needs batch sizes of at least 1, not {list(self.batches)}.")
        object.__setattr__(self, "batches", tuple(sorted(set(self.batches))))


@dataclass(frozen=True)
class EngineSpec:
    """An engine as asked for: ``name[:provider]``, and how it may use the machine.

    Attributes:
        threads: threads in all; 0 means all cores that this process may use.
        streams: queries that may run side by side, the threads shared out among them. One is best for latency, one a
            core for throughput on a processor. Neither is part of the plan.
        targets: the devices to build for, in the engine's own words, where it builds for others than the one here
            (``targetable``); empty for the one here. Part of the plan.
    """

    name: str
    provider: str = ""
    threads: int = 0
    streams: int = 1
    targets: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, threads: int = 0) -> EngineSpec:
        """``"ort"`` or ``"ort:cuda"``."""
        name, _, provider = text.strip().partition(":")
        return cls(name, provider, threads)

    @property
    def thread_count(self) -> int:
        """The threads that are granted in all: 0 stands for every core that this process may use."""
        return self.threads or cores()

    def __str__(self) -> str:
        return f"{self.name}:{self.provider}" if self.provider else self.name


@dataclass(frozen=True)
class Availability:
    """Whether an engine can run, or build, here; if not, ``reason`` says what is missing and ``remedy`` how to fix it.

    ``version`` is the library's where it is installed, even if something else is missing: plans' keys hold it.
    """

    ok: bool
    reason: str = ""
    remedy: str = ""
    version: str = ""
    device: str = ""


@dataclass(frozen=True)
class Layer:
    """One layer of a compiled network, as the engine reports it; ``tactic`` is the kernel that it chose."""

    name: str
    kind: str
    precision: str
    tactic: str = ""


@dataclass(frozen=True)
class Placement:
    """Where a session's work really ran: the nodes on each device and at each precision, as the engine reports it.

    Attributes:
        provider: what was asked for, in the engine's own word.
        nodes: device or provider → number of nodes (or layers) placed there.
        precisions: precision → number of nodes; empty where the engine does not report it.
        note: what is unknown, and why.
        layers: each layer, where the engine reports them.
    """

    provider: str
    nodes: Mapping[str, int] = field(default_factory=dict)
    precisions: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A built engine file, or files, in the store; ``content`` is one hash over them.

    ``fields`` is what the manifest says; ``arithmetic`` in it, where the engine reports it, counts by precision the
    operators that multiply by weights.
    """

    key: str
    path: Path
    content: str
    plan_bytes: int
    engine: EngineSpec
    profile: Profile
    artifact: Artifact
    fields: Mapping[str, Any]

    @property
    def arithmetic(self) -> dict[str, int]:
        """In which precision it really computes: precision → operators that multiply by weights; empty if unknown."""
        return dict(self.fields.get("arithmetic", {}))

    @property
    def emulated(self) -> str:
        """Why the file's precision is only emulated by this engine; empty where it is not, or is unknown."""
        return emulated(self.artifact.precision, self.arithmetic)


@dataclass(frozen=True)
class Standalone:
    """How a plan's ONNX file is run without this project.

    Attributes:
        source: a Python file of :mod:`engines.shipped`. options: what its function is given, JSON values.
        packages: the distributions that it needs.
    """

    source: Path
    packages: tuple[str, ...]
    options: Mapping[str, Any]


def plan_key(artifact_key: str, profile: Profile, identity: Mapping[str, Any]) -> str:
    """The key of a plan; ``identity``: see :meth:`Engine.identity`, of whichever machine makes it."""
    return key("plan", onnx=artifact_key, profile=list(profile.batches), **identity)


class Engine(ABC):
    """Builds plans from artifacts and opens sessions on them.

    Subclasses set ``name``, ``providers`` (the first is the default; friendly lower-case names) and ``precisions``,
    name their ``session``, and write ``_probe`` and ``_build``.
    """

    name: ClassVar[str]
    providers: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[frozenset[Precision]] = frozenset({Precision.FP32})
    computes: ClassVar[bool] = True
    """False for an engine whose outputs mean nothing: it is timed, never scored and never checked for parity."""
    concurrent: ClassVar[bool] = False
    """Whether a session's ``_run`` may be called by several threads at once; if not, callers queue."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The distributions that its sessions import, beside numpy: what a board is brought; none where it has its own."""
    targetable: ClassVar[bool] = False
    """Whether it builds for devices that are named and not here."""

    def __init__(self, spec: EngineSpec) -> None:
        if spec.provider and spec.provider not in self.providers:
            raise UserError(
                f"Engine {self.name!r} has no provider {spec.provider!r}.",
                f"Available: {', '.join(self.providers)}.",
                "bob engines",
            )
        if spec.targets and not self.targetable:
            raise UserError(f"Engine {self.name!r} builds only for this machine's device.")
        self.spec = replace(spec, provider=spec.provider or self.providers[0])
        if not self.concurrent:
            self.spec = replace(self.spec, streams=1)

    # -- verbs ---------------------------------------------------------------------------------------------------

    def available(self, purpose: Purpose = "run") -> Availability:
        """Whether this engine with this provider runs, or builds, here. Cheap; never raises for what is missing."""
        return self._probe(purpose)

    def require(self, purpose: Purpose = "run") -> Availability:
        """As :meth:`available`.

        Raises:
            Unavailable: it cannot do so here; the message says what is missing and how to fix it.
        """
        here = self.available(purpose)
        if not here.ok:
            raise Unavailable(f"Engine {str(self.spec)!r} cannot {purpose} on this machine.", here.reason, here.remedy)
        return here

    def plan_key(self, artifact_key: str, profile: Profile) -> str:
        """The plan's key: everything that can move its output or its speed. Loads nothing heavy."""
        return plan_key(artifact_key, profile, self.identity())

    def identity(self) -> dict[str, Any]:
        """What of this engine and of this machine belongs into every plan's key, as JSON values."""
        return self._identity()

    def plan(self, artifact: Artifact, profile: Profile, store: Store) -> Plan:
        """The plan from the store, built if it is not there: only then is a builder asked for.

        Raises:
            Unavailable: the store does not have it, and the engine cannot build here.
            CellError: the engine cannot build this artifact (the reason is the engine's own).
        """
        if artifact.precision not in self.precisions:
            raise CellError(
                f"Engine {str(self.spec)!r} does not run {artifact.precision}.",
                f"It runs {', '.join(sorted(self.precisions))}.",
            )

        def build(folder: Path) -> dict[str, Any]:
            version = self.require("build").version
            fields = dict(self._build(self._source(artifact, store), profile, folder))
            return {**fields, "engine": str(self.spec), "version": version, "onnx": artifact.key}

        entry = store.obtain("plan", self.plan_key(artifact.key, profile), build)
        return self._plan_of(entry, artifact, profile)

    def load(self, plan: Plan) -> Session:
        """Open a session on a plan.

        Raises:
            Unavailable: the engine cannot run here.
            CellError: the plan does not load, or work would fall back to another provider than the one asked for.
        """
        self.require()
        return self._open(plan)

    def _plan_of(self, entry: Entry, artifact: Artifact, profile: Profile) -> Plan:
        return Plan(entry.key, entry.path, entry.content, entry.bytes, self.spec, profile, artifact, entry.fields)

    def standalone(self, plan: Plan) -> Standalone:
        """What a shipped folder runs the plan's ONNX file with: override where :mod:`engines.shipped` has a file.

        Raises:
            CellError: there is none for this engine and provider.
        """
        raise CellError(
            f"Engine {str(self.spec)!r} has no prediction program to ship.",
            "Its plan can be shipped beside a cell of another engine.",
            "bob ship --cell WORDS --engine NAME --target DEVICES",
        )

    def pack(self, artifact: Artifact, profile: Profile, store: Store) -> tuple[Entry, ...]:
        """What of the store a board needs beside the artifact, because it cannot be made there: override where a plan
        is converted by what no board has.

        Raises:
            CellError: it cannot be made of this artifact. Unavailable: nor here.
        """
        return ()

    # -- hooks ---------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def session(self) -> type[Session]:
        """The class of the sessions that this engine opens: what they are able to do is asked of it, before one is
        open (see ``engines.abilities``)."""

    @abstractmethod
    def _probe(self, purpose: Purpose) -> Availability:
        """Look for library, provider and device; for what building needs, where that is something else."""

    def _identity(self) -> dict[str, Any]:
        """The settings that belong into the plan's key: override to add options, GPU architecture, driver."""
        return {"engine": self.name, "provider": self.spec.provider, "version": self.available().version}

    def _source(self, artifact: Artifact, store: Store) -> Artifact:
        """What a plan is built from: override where its file is made of the artifact's, and is an entry of its own."""
        return artifact

    @abstractmethod
    def _build(self, artifact: Artifact, profile: Profile, folder: Path) -> Mapping[str, Any]:
        """Write the plan's files into ``folder``; return what the manifest should say (options, build seconds)."""

    def _open(self, plan: Plan) -> Session:
        """Load the plan's files: override where a session needs more than its plan."""
        return self.session(plan)


Opened = TypeVar("Opened", bound="Session")


class Session(ABC):
    """A loaded plan that turns pixels into features. Use as a context manager.

    Several threads may call :meth:`run`; as many as the plan's engine has streams go at once, the others queue. What a
    session is able to do beyond that is a protocol of ``engines.abilities``, which it is or is not.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._gate = BoundedSemaphore(plan.engine.streams)
        self.outputs: tuple[TensorSpec, ...] = plan.artifact.outputs
        self._shape = (plan.artifact.preprocess.height, plan.artifact.preprocess.width, 3)
        self._closed = False

    @property
    def preprocess(self) -> PreprocessSpec:
        return self.plan.artifact.preprocess

    def run(self, pixels: Pixels) -> Outputs:
        """Features of a batch, over the boundary that is timed: host uint8 in, host float32 out.

        Args:
            pixels: uint8 RGB [n, height, width, 3], C-contiguous, at the network's own size (see
                ``engines.preprocess``); n must be one of the profile's batch sizes.

        Returns:
            For each output its array [n, …], float32, owned by the caller.

        Raises:
            UserError: the session is closed, or dtype, shape or batch size are not as above.
        """
        self.check(pixels)
        with self._gate:
            return self._run(np.ascontiguousarray(pixels))

    def check(self, pixels: Pixels) -> None:
        """Refuse what :meth:`run` would refuse, without running anything."""
        if self._closed:
            raise UserError("This session is closed.")
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self._shape:
            raise UserError(
                f"A session takes uint8 [n, {self._shape[0]}, {self._shape[1]}, 3].",
                f"Given: {pixels.dtype} {list(pixels.shape)}.",
            )
        if len(pixels) not in self.plan.profile.batches:
            raise UserError(
                f"The plan was not built for batches of {len(pixels)}.",
                f"Its profile has {', '.join(map(str, self.plan.profile.batches))}.",
            )

    def placement(self) -> Placement:
        """Where the work really ran. Call after a first run."""
        return self._placement()

    def close(self) -> None:
        """Free what the session holds; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _run(self, pixels: Pixels) -> Outputs:
        """Normalise (see ``engines.preprocess.normalize``), infer, copy out."""

    @abstractmethod
    def _placement(self) -> Placement: ...

    def _close(self) -> None:
        """Override to free what Python's own reference counting would not."""
