"""The preprocessing kernel on a GPU: against the bandwidth of a copy, and against torch's own path.

Photographs that lie on the device become fp16 in NCHW. Ratios of interleaved repeats; a report, never a test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np

from bench.figures.figure import Figure, figure, ratios
from engines.cuda.device import device
from engines.cuda.driver import Driver
from engines.cuda.nvimgcodec import NvImageDecoder
from engines.preprocess.device import Feeder, program_here
from engines.preprocess.kernel import Target, geometry
from export.errors import Unavailable
from export.geometry import crop_offsets, resized_size
from export.picture import Image, decode
from export.spec import PreprocessSpec
from export.store import Store

SPEC = PreprocessSpec(224, 224, "bicubic", 0.875)
TARGET = Target("float16", "NCHW")
BATCH, COUNT, REPEATS = 64, 50, 7
LONGEST = 0.25
"""Seconds after which a repeat ends with fewer than ``COUNT`` launches: for devices that are slow."""
COPIED = 1 << 28
"""Bytes of the copy that the bandwidth is taken from."""


def must_move(photographs: Sequence[Image], spec: PreprocessSpec, element_bytes: int) -> int:
    """Bytes that no kernel can spare: the source pixels that the crop depends on, once, and the output, once."""
    read = 0
    for photograph in photographs:
        rows, columns, *_ = geometry(spec, *photograph.shape[:2])
        read += 3 * _under(rows) * _under(columns)
    return read + len(photographs) * 3 * spec.height * spec.width * element_bytes


def _under(axis: tuple[int, int, int, int]) -> int:
    size, out, _, count = axis
    return min(size, round(size * count / out))


def figures(photographs: Sequence[Image], store: Store, driver: Driver) -> Iterator[Figure]:
    """The kernel alone, then beside torch.

    Args:
        photographs: decoded, uint8 RGB [h, w, 3] each.

    Raises:
        Unavailable: there is no GPU, or no code for it; or, after the first figure, torch sees none.
    """
    gpu = device()
    if gpu is None:
        raise Unavailable("The kernel needs a GPU.")
    with driver.active():
        stream = driver.stream()
        out = driver.allocate(len(photographs) * 3 * SPEC.height * SPEC.width * 2)
        kernels = driver.kernels(program_here(store).cubin)
        feeder = Feeder(driver, stream, kernels, SPEC, out, len(photographs), TARGET)
        feeder.load(photographs)
        feeder.run()
        stream.synchronize()
        graph = stream.capture(feeder.run)
        start, end = driver.event(), driver.event()

        def ours() -> float:
            found: list[float] = []
            begin = time.monotonic()
            while len(found) < COUNT and time.monotonic() - begin < LONGEST:
                stream.record(start)
                stream.launch(graph)
                stream.record(end)
                stream.synchronize()
                found.append(start.ms_until(end))
            return median(found)

        sizes = sorted({photograph.shape[:2] for photograph in photographs})
        how = (
            f"{len(photographs)} photographs from {sizes[0][0]}x{sizes[0][1]} to {sizes[-1][0]}x{sizes[-1][1]}, to "
            f"{SPEC.height}x{SPEC.width} {SPEC.interpolation} fp16 on {gpu.name}, {REPEATS} interleaved repeats"
        )
        moved = must_move(photographs, SPEC, 2)
        yield figure(
            "Preprocessing kernel, bytes that must move a second, GB/s",
            [moved / ours() / 1e6 for _ in range(REPEATS)],
            "–",
            lambda v: True,
            how,
        )
        import torch

        if not torch.cuda.is_available():
            raise Unavailable("The kernel is compared with torch on a GPU.", "torch finds no GPU.")
        one, other = (torch.empty(COPIED, dtype=torch.uint8, device="cuda") for _ in range(2))
        yield figure(
            "Preprocessing kernel, bytes that must move a second / bandwidth of a copy",
            ratios(lambda: moved / ours(), lambda: 2 * COPIED / _torch_ms(lambda: one.copy_(other)), REPEATS),
            "≥ 0.70",
            lambda v: v >= 0.70,
            how,
        )
        there = [torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1))).cuda() for p in photographs]
        yield figure(
            "Preprocessing, torch on the GPU / ours",
            ratios(lambda: _torch_ms(lambda: torch_path(there, SPEC)), ours, REPEATS),
            "≥ 2",
            lambda v: v >= 2,
            how,
        )
        graph.free()
        feeder.free()
        out.free()


def decoding(encoded: Sequence[bytes], decoder: NvImageDecoder) -> Iterator[Figure]:
    """How far the pixels of a decoder on the GPU are from Pillow's, photograph by photograph."""
    means, largest = [], 0
    for one in encoded:
        [image] = decoder.decode([one])
        off = np.abs(decoder.pixels(image).astype(np.int16) - decode(one))
        means.append(float(off.mean()))
        largest = max(largest, int(off.max()))
    yield figure(
        "Decoding on the GPU, mean error of a value against Pillow's, of 255",
        means,
        "–",
        lambda v: True,
        f"{len(means)} photographs, nvImageCodec; the largest error of any value is {largest}",
    )


def torch_path(photographs: Sequence[Any], spec: PreprocessSpec) -> Any:
    """The usual way: uint8 [3, h, w] on the device → interpolate with antialias, crop, normalise → fp16 [n, 3, …]."""
    import torch
    from torch.nn.functional import interpolate

    where = photographs[0].device
    mean, std = (torch.tensor(v, device=where).view(3, 1, 1) for v in (spec.mean, spec.std))
    done = []
    for photograph in photographs:
        height, width = resized_size(spec, *photograph.shape[1:])
        top, left = crop_offsets(spec, height, width)
        resized = interpolate(photograph[None].float(), (height, width), mode=spec.interpolation, antialias=True)[0]
        cropped = resized[:, top : top + spec.height, left : left + spec.width]
        done.append(((cropped.clamp(0, 255) / 255 - mean) / std).half())
    return torch.stack(done)


def _torch_ms(work: Callable[[], Any]) -> float:
    import torch

    event: Any = torch.cuda.Event
    found: list[float] = []
    for _ in range(COUNT):
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end))
    return median(found)
