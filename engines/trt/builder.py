"""ONNX → plan. It needs no GPU where the flavour builds for named compute capabilities.

Precision is in the file: networks are strongly typed (the flag for it is from TensorRT 10; 11 knows nothing else, and
ignores it), and TF32 is switched off, since an fp32 file means fp32.
Each batch size has an optimisation profile of its own, tuned for it alone; a dynamic plan has one for all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.library import failing
from engines.trt.flavour import Flavour
from engines.trt.log import BuildLog, tidy, uncollected
from engines.trt.progress import building
from engines.trt.timing_cache import TimingCache
from export.errors import CellError, UserError

PLAN, LOG, SUMMARY = "engine.plan", "build.log", "build.json"
REJECTS = "rejects this file."
WORKSPACE_BYTES = 4 << 30
"""The most that one layer may use while it runs."""
FIRST_COMPATIBLE = 8.0
"""A compatible plan runs on Ampere and later: TensorRT's own level, and ours for RTX, which builds no fp32 matrix
product for Turing."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        batches: one profile each, in this order.
        dynamic: one profile instead, from the smallest batch to the largest, tuned for the largest.
        targets: compute capabilities ("8.6"); empty for the GPU of this machine.
        compatible: for every architecture from Ampere on.
    """

    batches: tuple[int, ...] = (1,)
    dynamic: bool = False
    targets: tuple[str, ...] = ()
    compatible: bool = False

    @property
    def portable(self) -> bool:
        """Whether it names what to build for, independent of this machine's GPU."""
        return bool(self.targets) or self.compatible

    @property
    def ranges(self) -> list[tuple[int, int, int]]:
        """Smallest, tuned-for and largest batch of each profile."""
        if self.dynamic:
            return [(min(self.batches), max(self.batches), max(self.batches))]
        return [(batch, batch, batch) for batch in self.batches]

    def resolved(self, flavour: Flavour) -> tuple[str, ...]:
        """The targets, with those that ``compatible`` stands for; empty for the GPU of this machine.

        Raises:
            UserError: the library does not build for one of them.
        """
        known = flavour.targets()
        if self.compatible and known and not self.targets:
            return tuple(name for name in known if float(name) >= FIRST_COMPATIBLE)
        for name in self.targets:
            if name not in known:
                raise UserError(
                    f"{flavour.title} {flavour.installed()} does not build for compute capability {name!r}.",
                    f"It builds for {', '.join(known)}." if known else "It builds for the GPU of this machine.",
                )
        return tuple(sorted(set(self.targets), key=float))


@uncollected()
def build(
    flavour: Flavour,
    model: Path,
    request: Request,
    folder: Path,
    *,
    name: str = "",
    cache: TimingCache | None = None,
) -> dict[str, Any]:
    """Write ``engine.plan``, ``build.log`` and ``build.json`` into ``folder``; return what ``build.json`` says.

    Args:
        model: an ONNX file, with one input and a free batch axis.
        name: what a long build is called on stderr.

    Raises:
        Unavailable: the library is missing. UserError: a target that it does not know.
        CellError: it rejects the file (with the node and its own reason), or cannot build it. The log is written.
        KeyboardInterrupt: Ctrl-C, at the next step of the build.
    """
    library = flavour.load()
    targets = request.resolved(flavour)
    log = BuildLog(library)
    start = time.perf_counter()
    try:
        with failing(f"{flavour.title} cannot start its builder."):
            builder = library.Builder(log.logger)
            network = builder.create_network(1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        _parse(flavour, library, network, log, model)
        config = _config(flavour, library, builder, request, targets)
        _profiles(builder, network, config, request)
        cache = cache if flavour.times_tactics else None
        if cache:
            cache.attach(config)
        with building(library, config, name or flavour.title):
            plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise CellError(f"{flavour.title} cannot build this file.", log.reason() or "It gives no reason.")
        (folder / PLAN).write_bytes(plan)
        if cache:
            cache.keep(config)
    finally:
        log.write(folder / LOG)
    inspection = log.inspection()
    summary = {
        "profiles": list(request.batches),
        "dynamic": request.dynamic,
        "input": str(network.get_input(0).name),
        "targets": list(targets),
        "compatible": request.compatible,
        "layers": len(inspection.get("Layers", [])),
        "build_seconds": round(time.perf_counter() - start, 3),
    }
    (folder / SUMMARY).write_text(json.dumps({**summary, "inspection": inspection}, indent=1))
    return summary


def _parse(flavour: Flavour, library: Any, network: Any, log: BuildLog, model: Path) -> None:
    parser = library.OnnxParser(network, log.logger)
    if parser.parse_from_file(str(model)):  # from a path: weights may lie beside it
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    said = list(dict.fromkeys(_sentence(e) for e in errors)) or [log.reason() or "It gives no reason."]
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    raise CellError(f"{flavour.title} {REJECTS}", said[0] + more)


def _sentence(error: Any) -> str:
    node, operator = error.node_name(), error.node_operator()
    reason = tidy(str(error.desc()))
    return f"Node {node!r} ({operator}): {reason}" if node or operator else reason


def _config(flavour: Flavour, library: Any, builder: Any, request: Request, targets: Sequence[str]) -> Any:
    config = builder.create_builder_config()
    config.clear_flag(library.BuilderFlag.TF32)
    config.set_memory_pool_limit(library.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if flavour.targetable:
        known = flavour.targets()
        wanted = [known[name] for name in targets] or [library.ComputeCapability.CURRENT]
        config.num_compute_capabilities = len(wanted)
        for i, value in enumerate(wanted):
            config.set_compute_capability(value, i)
    elif request.compatible:
        config.hardware_compatibility_level = library.HardwareCompatibilityLevel.AMPERE_PLUS
    return config


def _profiles(builder: Any, network: Any, config: Any, request: Request) -> None:
    if network.num_inputs != 1:
        raise CellError("The file must have one input.", f"It has {network.num_inputs}.")
    given = network.get_input(0)
    shape = tuple(given.shape)
    if -1 in shape[1:] or shape[0] != -1:
        raise CellError("Only the batch axis of the file may be dynamic.", f"{given.name} is {list(shape)}.")
    for smallest, tuned, largest in request.ranges:
        profile = builder.create_optimization_profile()
        profile.set_shape(given.name, *((batch, *shape[1:]) for batch in (smallest, tuned, largest)))
        config.add_optimization_profile(profile)
