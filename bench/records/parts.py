"""The parts that a record is made of, each a type: what was run, what was asked of it, what was seen beside it."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from export.errors import for_user
from export.variant import asked_input, network_name

SCENARIOS = ("single_stream", "multi_stream", "offline", "server", "camera", "soak", "end_to_end", "search")
"""Every scenario, in the order of tables and help texts."""
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Cell:
    """What was run: backbone × engine × precision × preprocess, and the plan's batch sizes.

    Attributes:
        engine: ``name:provider``.
        threads: the number really used.
        untrained: random weights: timed, never ranked.
        reference: eager fp32 PyTorch, which deployed cells are compared with.
        weights: what tells checkpoints of one name apart: a file's SHA-256, or id and revision on the hub; empty for
            random weights.
        size: the input's size that was asked for, "352x480"; empty where it is the checkpoint's own. What the network
            rounds it to is :attr:`About.input`.
        resize: how pictures are brought to it, "letterbox" or "squash"; empty where it is the checkpoint's own way.
        depth: the stage or block after which the network is cut, from 1; 0 for the whole network.
    """

    backbone: str
    engine: str
    precision: str
    preprocess: str
    batches: tuple[int, ...]
    threads: int
    untrained: bool = False
    reference: bool = False
    weights: str = ""
    size: str = ""
    resize: str = ""
    depth: int = 0

    def __str__(self) -> str:
        return f"{self.network} · {self.engine} · {self.precision}"

    @property
    def input(self) -> str:
        """Size and resize, as far as they were asked for: ``352x480 letterbox``."""
        return asked_input(self.size, self.resize)

    @property
    def network(self) -> str:
        """The backbone, at the input and the depth that were asked for: ``vit_s · 128x128 · depth 3``."""
        return network_name(self.backbone, self.size, self.resize, self.depth)

    @property
    def called(self) -> tuple[Any, ...]:
        """What a reader tells cells apart by."""
        network = self.backbone, self.size, self.resize, self.depth
        return *network, self.engine, self.precision, self.preprocess, self.batches

    @property
    def identity(self) -> tuple[Any, ...]:
        """What the records of one cell share. Threads are not among it: a score may come from another machine, and
        timings of other threads differ in their protocol."""
        return *self.called, self.weights


@dataclass(frozen=True)
class Shift:
    """A test set that is another than the one which goes with the training images.

    Attributes:
        fitted, seen: the names of the sets whose training and whose test images were used.
        without: digests (or, in records of schema 2, names) of the set that the drop is taken from: the same classes
            without the shift. The first of which there is a score counts.
    """

    fitted: str
    seen: str
    without: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Subject(ABC):
    """What a result is of.

    Attributes:
        version, settings, protocol: of the task or scenario: its version, its constants, its protocol in words.
        data, data_digest: the data set's name, and the hash of its content, labels and splits.
    """

    version: int
    data: str
    data_digest: str
    settings: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """What names its column. For reading; nothing is taken out of it again."""

    @property
    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """What distinguishes it from other subjects, as JSON values."""


@dataclass(frozen=True, kw_only=True)
class TaskSubject(Subject):
    """What a score is of.

    Attributes:
        data_licence: SPDX or words; empty where the user's own.
        published: the named set that the test images come from; empty where they are the user's own.
        splits_from: how the splits came about.
        remarks: what a reader should know of how the data set was read, in sentences.
        outputs: the engine's outputs that the task reads.
        shift: where the test images are of another set than the training images.
    """

    task: str
    data_licence: str = ""
    published: str = ""
    splits_from: str = ""
    remarks: tuple[str, ...] = ()
    classes: int = 0
    seed: int = 0
    outputs: tuple[str, ...] = ("features",)
    n_train: int = 0
    n_val: int = 0
    n_test: int = 0
    shift: Shift | None = None

    @property
    def name(self) -> str:
        """``task@data``."""
        return f"{self.task}@{self.data}"

    @property
    def asked(self) -> dict[str, Any]:
        return {"task": self.task, "version": self.version, "data_digest": self.data_digest, "seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class ScenarioSubject(Subject):
    """What a timing is of: the scenario, and the images in rotation.

    Attributes:
        images: how many different ones.
        head: ``task@data``, where it is of the backbone with that task's head, in one plan.
    """

    scenario: str
    images: int = 0
    head: str = ""

    @property
    def name(self) -> str:
        return f"{self.scenario} with {self.head}" if self.head else self.scenario

    @property
    def asked(self) -> dict[str, Any]:
        head = {"head": self.head} if self.head else {}
        return {"scenario": self.scenario, "version": self.version, "data_digest": self.data_digest, **head}


@dataclass(frozen=True)
class Failure:
    """Why there is no result.

    Attributes:
        type: the exception's class.
        what, why, remedy: three short lines.
        traceback: where it is a bug; empty where the user can fix it.
    """

    type: str
    what: str
    why: str = ""
    remedy: str = ""
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Of an exception: a bug, unless :func:`~export.errors.for_user` knows better."""
        if known := for_user(error):
            return cls(type(known).__name__, known.what, known.why, known.remedy)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        what = f"A bug: {type(error).__name__}" + (f": {said[:300]}" if said else "")
        return cls(type(error).__name__, what, "", "report it with the traceback in this record", text)

    @property
    def bug(self) -> bool:
        return bool(self.traceback)


@dataclass(frozen=True)
class Keys:
    """The chain of keys behind a result; ``plan_content`` names the very bytes that ran. Empty where there is none.

    ``plan`` is the backbone's; ``joint`` that of backbone and head, where that is what ran.
    """

    onnx: str = ""
    plan: str = ""
    joint: str = ""
    plan_content: str = ""
    features: tuple[str, ...] = ()
    fit: str = ""


@dataclass(frozen=True)
class About:
    """What the zoo says of the backbone, and, once there is one, what its artifact says.

    Attributes:
        feature: what the main output is, in words. dim: its width.
        input: the network's input, (height, width). preprocess: how it is made.
        parameters: of the exported network. gmacs: 10⁹ multiply-accumulates for one image.
        source: where the weights come from.
        taps: the feature maps that the task read: name, stride in pixels, channels.
    """

    family: str = ""
    pretrain_algo: str = ""
    pretrain_data: str = ""
    licence: str = ""
    feature: str = ""
    parameters: int | None = None
    gmacs: float | None = None
    input: tuple[int, int] | None = None
    preprocess: dict[str, Any] = field(default_factory=dict)
    dim: int | None = None
    source: dict[str, Any] = field(default_factory=dict)
    taps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Environment:
    """The machine and the libraries. Timings of different ``id``s are never compared.

    Attributes:
        id: of the hardware, and of what limits it. processor: of an Arm chip, the names of its cores.
        board: where the device tree names it.
        l4t, jetpack: a Jetson's release of Jetson Linux, and the JetPack that this belongs to, where it is known.
        power_mode: a Jetson's, by its name.
        clock_cap_mhz: what the processor is limited to below what it can; a number a group of cores where they differ.
            Empty where it is not limited.
        governor: who chooses the processor's clock. It is not in the id.
        cpu_quota: how many cores' time a container may use on average; 0 where nothing limits it.
        gpu: name, compute capability and driver; None where there is none.
        node: what the cluster calls the machine, where the result was made on one of a cluster. It is not in the id.
    """

    id: str = ""
    processor: str = ""
    board: str = ""
    architecture: str = ""
    cores: int = 0
    memory_mib: float = 0.0
    gpu: dict[str, str] | None = None
    os: str = ""
    python: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    l4t: str = ""
    jetpack: str = ""
    power_mode: str = ""
    clock_cap_mhz: tuple[int, ...] = ()
    governor: str = ""
    cpu_quota: float = 0.0
    node: str = ""

    @property
    def name(self) -> str:
        """What a reader calls the machine: ``NVIDIA Jetson AGX Orin Developer Kit (JetPack 6.2, 30W)``."""
        system = f"JetPack {self.jetpack}" if self.jetpack else f"L4T {self.l4t}" if self.l4t else ""
        cap = f"capped at {', '.join(map(str, self.clock_cap_mhz))} MHz" if self.clock_cap_mhz else ""
        quota = f"quota of {self.cpu_quota:g} cores" if self.cpu_quota else ""
        limits = ", ".join(filter(None, (system, self.power_mode, cap, quota)))
        called = self.board or self.processor
        return f"{called} ({limits})" if limits else called


@dataclass(frozen=True)
class Extraction:
    """How the features were extracted: images, and seconds of the shards as they were built."""

    images: int
    seconds: float

    @property
    def images_per_s(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class GpuMonitoring:
    """The GPU beside one measurement.

    Attributes:
        memory_bytes: the most that was in use beyond what was in use before.
        clock_mhz, temperature_c: least and most; None where the board does not report it.
        others: the most other processes that were on it at once.
    """

    memory_bytes: int
    clock_mhz: tuple[int, int] | None = None
    temperature_c: tuple[int, int] | None = None
    throttled: bool = False
    power_capped: bool = False
    others: int = 0


@dataclass(frozen=True)
class Monitoring:
    """The machine during one series.

    Attributes:
        foreign_share: share of the cores that the measured process may use which other processes took.
        disturbed: it was too large. throttled: the processor or the GPU was, or the container by its quota.
        clock_mhz, temperature_c: least and most; None where the system does not report it.
        throttling: why it was throttled, where that is known. Where heat is what is measured, it may be, and is not
            ``throttled``.
        series, repeat: as in :class:`SampleSeries`; in records of before schema 7 it is of all series of a repeat,
            without a name. Series that were taken at the same time have one together.
        stolen_share: share of the cores that the hypervisor gave to other virtual machines. stolen: it was too large.
        attempts: how often the repeat was measured; the least disturbed of them is kept.
    """

    foreign_share: float = 0.0
    disturbed: bool = False
    throttled: bool = False
    clock_mhz: tuple[float, float] | None = None
    temperature_c: tuple[float, float] | None = None
    gpu: GpuMonitoring | None = None
    throttling: tuple[str, ...] = ()
    series: str = ""
    repeat: int = 0
    stolen_share: float = 0.0
    stolen: bool = False
    attempts: int = 1

    @property
    def doubtful(self) -> bool:
        """Whether something kept the series from having its cores at their full clock."""
        return self.disturbed or self.stolen or self.throttled

    @property
    def trouble(self) -> str:
        """What that was, in words; empty where nothing did."""
        found = [f"throttled{self.why}"] if self.throttled or self.throttling else []
        if self.disturbed:
            found.append(f"other processes took {self.foreign_share:.0%} of the cores")
        if self.stolen:
            found.append(f"the hypervisor took {self.stolen_share:.0%} of the cores")
        return ", ".join(found)

    @property
    def why(self) -> str:
        """What throttled it, in brackets; empty where that is not known."""
        return f" ({', '.join(self.throttling)})" if self.throttling else ""


@dataclass(frozen=True)
class SampleSeries:
    """Every sample of one measurement, in nanoseconds.

    Attributes:
        name: of the series within its scenario. repeat: which child process took it, from 0.
        first: the very first query; it and the ``warm_up`` queries after it are not among the samples.
        begin_ns, end_ns: the steady state's window on that process's monotonic clock; 0 where unknown.
        settled: whether it was warm before it began.
        stopped: why it ended. timed_out: that was not by its criterion.
        rate: queries a second that were asked for; 0 where the next followed as soon as the last was answered.
    """

    name: str
    repeat: int
    samples: list[int]
    first: int | None = None
    warm_up: int = 0
    begin_ns: int = 0
    end_ns: int = 0
    settled: bool = True
    stopped: str = ""
    timed_out: bool = False
    rate: float = 0.0
