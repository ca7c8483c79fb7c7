"""Traps of timing: what is timed, on which input, and how samples become a number."""

from __future__ import annotations

import time
from statistics import mean, median
from typing import Any

import numpy as np
from PIL import Image

from bench.measure.scenarios.base import Settings
from bench.sabotage.bed import NOTHING, STREAM, Bed, draw, inside, replaced
from bench.sabotage.slow import Late, Remembers, bare, sleeping
from bench.sabotage.trap import Answer, Traps, refusal, require, require_bite
from bench.sweep import gate, rotation
from engines.base import Outputs, Pixels, Session
from engines.batches import run_all
from engines.catalog import BASELINE
from engines.ort.session import OrtSession

TIMING = Traps("timing")
SHORT = Settings(0.3)


@TIMING.add(
    "enqueue", 1, "the enqueue is timed, not the work", "a session whose runs return before they are done", "refused"
)
def enqueue(bed: Bed) -> Answer:
    """An engine that is asynchronous, on the processor: the gate takes its answers when it says that it is done."""
    with Late(OrtSession._run, 0.005) as late, replaced(OrtSession, "_run", late.method):
        fooled = median(bare(bed.session(), bed.queries.batches(1)))
        parity = gate.check(bed.cell.engine, bed.plan, bed.copy("enqueue"))
    require_bite(fooled < 2.5, f"a loop sees {fooled:.2f} ms of 5")
    assert parity is not None
    require(not parity.passed, f"parity passes with a cosine of {parity.cosine_min:.3f}")
    said = f"fails parity with the eager module (cosine min {parity.cosine_min:.3f}): never ranked"
    return Answer("refused", said, f"5 ms of work are read as {fooled:.3f} ms")


@TIMING.add(
    "host-cost", 2, "host cost hidden by asynchronous timing", "5 ms on the host that no device event sees", "unmoved"
)
def host_cost(bed: Bed) -> Answer:
    """The device's events are a column beside the latency, never in its place."""

    class Timed(Session):
        def device_ms(self, pixels: Pixels, count: int) -> list[float]:
            return [0.1] * count

        def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
            return [0.1] * count

        def _run(self, pixels: Pixels) -> Outputs:
            time.sleep(0.005)
            return true.run(pixels)

        def _placement(self) -> Any:
            return true.placement()

    true = bed.session()
    found = bed.timed(Timed(bed.plan), SHORT)
    latency, device = (found[name].value or 0.0 for name in ("latency_p50_ms", "device_p50_ms"))
    require_bite(device < 5, f"the events say {device:.2f} ms")
    require(latency >= 5, f"latency_p50_ms is {latency:.2f}")
    return Answer("unmoved", f"latency {latency:.2f} ms, and beside it device {device:.2f} ms", f"{device:.2f} ms")


@TIMING.add("zeros", 3, "zeros as input", "a data set whose photographs are all black", "flagged")
def zeros(bed: Bed) -> Answer:
    """Encoded they all differ; what the network is given does not."""
    folder = draw(bed.folder / "black")
    for number, file in enumerate(sorted(folder.rglob("*.jpg"))):
        Image.new("RGB", (60 + number, 50)).save(file)
    run = bed.sweep(data=(str(folder),), scenarios=(STREAM,), repeats=1)
    flags = [str(flag) for flag in run.row().flags if "in rotation" in flag.text]
    require(bool(flags), f"{run.timing().subject.images} images in rotation, and no flag; {run.timing().failure}")
    return Answer("flagged", flags[0], "it runs on zeros, and says nothing")


@TIMING.add("repeated", 3, "one repeated input", "a data set of five photographs", "flagged")
def repeated(bed: Bed) -> Answer:
    """A small set is timed, since it may be all that there is."""
    run = bed.sweep(data=(str(draw(bed.folder / "few", each=5)),), scenarios=(STREAM,), repeats=1)
    flags = [str(flag) for flag in run.row().flags if "in rotation" in flag.text]
    require(bool(flags), f"{run.timing().subject.images} images in rotation, and no flag; {run.timing().failure}")
    return Answer("flagged", flags[0], "it rotates through what there is, and says nothing")


@TIMING.add(
    "zeroed-pixels", 3, "pixels that were zeroed in the cache", "the file of prepared pixels, overwritten", "unmoved"
)
def zeroed_pixels(bed: Bed) -> Answer:
    """The store compares every file with its hash before it is used."""
    store = bed.copy("zeroed")
    file = rotation.prepare(bed.images, bed.path, 0, store).file("pixels.npy")
    np.save(file, np.zeros_like(np.load(file)))
    require_bite(not np.load(file).any(), "the pixels are not zeros")
    lines: list[str] = []
    store.say = lines.append
    after = np.load(rotation.prepare(bed.images, bed.path, 0, store).file("pixels.npy"))
    require(bool(after.any()), "zeros are timed")
    return Answer("unmoved", lines[0].partition(";")[0] + "; rebuilt", "the file that is there is read")


@TIMING.add(
    "remembers", 3, "cached answers", "a session that looks up what it answered before; the work takes 5 ms", "refused"
)
def remembers(bed: Bed) -> Answer:
    """All 64 images in rotation are soon known; images that were not shown are asked after the timing."""
    with replaced(OrtSession, "_run", Remembers(OrtSession._run, 0.005).method):
        session, images = bed.session(), bed.queries.batches(1)
        bare(session, images)
        fooled = median(bare(session, images))
        run = bed.sweep(inside(), scenarios=(STREAM,), repeats=1)
    require_bite(fooled < 2.5, f"a loop sees {fooled:.2f} ms of 5")
    failure = run.timing().failure
    require(failure is not None, f"p50 {run.timing().metrics and run.timing().main.value} ms")
    assert failure is not None
    return Answer("refused", f"{failure.what} {failure.why}", f"5 ms of work are read as {fooled:.3f} ms")


@TIMING.add("cold-start", 4, "a cold start inside the mean", "a first run of 200 ms before runs of 1 ms", "unmoved")
def cold_start(bed: Bed) -> Answer:
    """First run, warm-up and steady state are kept apart."""
    slow = lambda i: 0.2 if i == 0 else 0.001  # noqa: E731
    naive = mean(bare(bed.session(sleeping(slow)), bed.queries.batches(1), 32))
    found = bed.timed(bed.session(sleeping(slow)), SHORT)
    p50, p90 = (found[f"latency_{q}_ms"].value or 0.0 for q in ("p50", "p90"))
    require_bite(naive > 5, f"the mean is {naive:.1f} ms")
    require(p90 < 0.5 * naive + 50 and p50 < 50, f"p50 {p50:.1f} ms, p90 {p90:.1f} ms")
    return Answer(
        "unmoved", f"p50 {p50:.2f} ms; the first run is a column of its own", f"the mean of 32 is {naive:.1f} ms"
    )


@TIMING.add("few-samples", 5, "a percentile from too few samples", "runs of 5 ms, timed for 0.1 s", "refused")
def few_samples(bed: Bed) -> Answer:
    """LoadGen's rule at 99 % confidence."""
    session = bed.session(sleeping(lambda i: 0.005))
    naive = float(np.percentile(bare(session, bed.queries.batches(1), 20), 99))
    found = bed.timed(session, Settings(0.1))["latency_p99_ms"]
    require_bite(naive > 0, "there is no percentile")
    require(found.value is None, f"p99 {found.value}")
    return Answer("refused", f"p99 is n/a: {found.note.partition(' ')[2]}", f"p99 {naive:.2f} ms, of 20 samples")


@TIMING.add("clipped", 6, "the tail clipped as outliers", "one run in 50 takes 20 ms more", "unmoved")
def clipped(bed: Bed) -> Answer:
    """Nothing is ever dropped."""
    hook = sleeping(lambda i: 0.02 if i % 50 == 0 else 0)
    samples = np.array(bare(bed.session(hook, BASELINE), bed.queries.batches(1), 800))
    gap = np.abs(samples - np.median(samples))
    naive = float(np.percentile(samples[gap < 5 * np.median(gap)], 99))
    p99 = bed.timed(bed.session(hook, BASELINE), Settings(1.0))["latency_p99_ms"].value or 0.0
    require_bite(naive < 20, f"without outliers p99 is {naive:.2f} ms")
    require(p99 >= 20, f"p99 is {p99:.2f} ms")
    return Answer("unmoved", f"p99 {p99:.1f} ms: every sample counts and is kept", f"p99 {naive:.2f} ms")


@TIMING.add(
    "overhead", 11, "the harness's overhead counted as the engine's", "3 ms in the harness's own call", "flagged"
)
def overhead(bed: Bed) -> Answer:
    """The engine that does nothing goes through the same calls, and has a row."""
    true = Session.check

    def check(self: Session, pixels: Pixels) -> None:
        time.sleep(0.003)
        true(self, pixels)

    with replaced(Session, "check", check):
        ran = bed.sweep(inside(), scenarios=(STREAM,), repeats=1)
    engine, nothing = ran.timing().main.value or 0.0, ran.timing(NOTHING).main.value or 0.0
    require_bite(engine > 3, f"{engine:.2f} ms")
    require(nothing > 3, f"the engine that does nothing takes {nothing:.2f} ms")
    return Answer(
        "flagged", f"the row of the engine that does nothing: {nothing:.2f} ms", f"the engine takes {engine:.2f} ms"
    )


@TIMING.add(
    "copies", 12, "copies charged to one engine only", "a session that leaves its answer on the device", "refused"
)
def copies(bed: Bed) -> Answer:
    """One boundary for all: uint8 on the host in, float32 on the host out."""
    import torch

    def run(true: Session, pixels: Pixels) -> Any:
        return {name: torch.from_numpy(rows) for name, rows in true.run(pixels).items()}

    session, pixels = bed.session(run), bed.queries.pixels[:1]
    values: Any = pixels.astype(np.float32)
    require_bite(not isinstance(next(iter(session.run(pixels).values())), np.ndarray), "the answer is on the host")
    out = refusal(lambda: run_all(session, pixels))
    into = refusal(lambda: session.run(values))
    return Answer("refused", f"{out} {into}", "neither copy is timed")


@TIMING.add("untuned", 17, "a shape that the plan was not tuned for", "a batch of 3 to a plan of 1 and 4", "refused")
def untuned(bed: Bed) -> Answer:
    """A plan has variants for the batches that are measured, and takes no other."""
    import onnxruntime

    naive = onnxruntime.InferenceSession(str(bed.plan.artifact.onnx), providers=["CPUExecutionProvider"])
    values = np.zeros((3, 3, *bed.queries.pixels.shape[1:3]), np.float32)
    rows = naive.run(None, {naive.get_inputs()[0].name: values})[0]
    require_bite(len(rows) == 3, "ONNX Runtime refuses it as well")
    with bed.session() as session:
        said = refusal(lambda: session.run(bed.queries.pixels[:3]))
    return Answer("refused", said, "it runs, at whatever speed")
