"""What preprocessing on the GPU needs: the compiled kernels, and memory for photographs on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from engines.abilities import PreprocessesPhotographs
from engines.cuda.device import Device, device, why_no_device
from engines.cuda.driver import Buffer, Driver, Kernels, Stream
from engines.cuda.nvimgcodec import DeviceImage
from engines.cuda.nvrtc import DISTRIBUTIONS, NEWEST, Program, compiled, library, program_key
from engines.library import installed
from engines.preprocess import kernel
from engines.preprocess.kernel import AXIS, IMAGE, PIXELS, Frame, Target
from export.errors import CellError, Unavailable, UserError
from export.picture import Image
from export.spec import PreprocessSpec
from export.store import Entry, Store

if TYPE_CHECKING:
    from engines.base import Engine, Outputs, Session

GROWTH = 1.5
"""Buffers grow by more than was asked for, so that they soon stop growing."""
ON_HOST = "--preprocess cpu"


def pack(capability: str, store: Store, cuda: int = NEWEST) -> Entry:
    """The compiled kernels for a GPU, made without one: an entry of the shelf ``cubin`` that a board finds.

    Args:
        capability: as "8.7" (Orin) or "11.0" (Thor).
        cuda: the major version of CUDA that the board's driver supports: 12 for JetPack 6, 13 for JetPack 7.

    Raises:
        Unavailable: neither the store has it, nor is there an NVRTC of that CUDA.
        CellError: NVRTC does not know the GPU.
    """
    return compiled(kernel.SOURCE.read_text("utf-8"), kernel.SOURCE.name, capability, store, cuda)


def program_for(capability: str, store: Store) -> Program:
    """The kernels for a GPU, compiled by the newest NVRTC; raises what :func:`pack` does."""
    return Program.of(pack(capability, store))


def program_here(store: Store) -> Program:
    """The kernels for the GPU here: the store's, of any CUDA that its driver loads, or compiled for it.

    Raises:
        Unavailable: there is no GPU, or the store has no such kernels and there is no NVRTC.
    """
    gpu = device()
    if gpu is None:
        raise Unavailable("Preprocessing on the GPU needs a GPU.", why_no_device(), ON_HOST)
    return Program.of(_packed(gpu, store) or pack(gpu.capability, store, _loads(gpu)[0]))


def _loads(gpu: Device) -> list[int]:
    """The major versions of CUDA whose code the GPU's driver loads, the newest first."""
    major = int(gpu.cuda.partition(".")[0] or NEWEST)
    return [known for known in DISTRIBUTIONS if known <= major] or [min(DISTRIBUTIONS)]


def _packed(gpu: Device, store: Store) -> Entry | None:
    source = kernel.SOURCE.read_text("utf-8")
    keys = (program_key(source, gpu.capability, cuda) for cuda in _loads(gpu))
    return next((found for one in keys if (found := store.try_load("cubin", one))), None)


def refusal(engine: Engine, store: Store, *packages: str) -> tuple[str, str]:
    """Why an engine cannot be fed on a GPU here, by a path that needs these packages too, and what to use instead."""
    if not issubclass(engine.session, PreprocessesPhotographs):
        why = f"{engine.spec} takes its pixels from the processor: preprocessing on the GPU is for trt and trt-rtx."
        return why, ON_HOST
    gpu = device()
    lacking = why_no_device() if gpu is None else ", ".join(name for name in packages if not installed(name))
    if lacking:
        return f"Preprocessing on the GPU lacks {lacking}.", ON_HOST
    assert gpu is not None
    if _packed(gpu, store) is None:
        try:
            library(_loads(gpu)[0])
        except Unavailable as error:
            why = f"Preprocessing on the GPU has no kernels for {gpu.capability} in the store, and {error.what}"
            return why, f"{error.remedy}, or {ON_HOST}"
    return "", ""


def run(session: Session, photographs: Sequence[Image | DeviceImage], program: Program) -> Outputs:
    """Features of photographs that the session preprocesses itself.

    Raises:
        UserError: it does not preprocess; and what :meth:`PreprocessesPhotographs.run_photographs` raises.
    """
    if not isinstance(session, PreprocessesPhotographs):
        raise UserError(f"Engine {session.plan.engine} cannot preprocess on the GPU.", "", "--preprocess cpu")
    return session.run_photographs(photographs, program)


def identity() -> dict[str, str]:
    """What of the kernels goes into a path's identity; Pillow's version decides the order of the passes."""
    return {"kernel": sha256(kernel.SOURCE.read_bytes()).hexdigest(), "pillow": version("pillow")}


class Feeder:
    """All that turns photographs into what is wanted of them in ``to``: staging, descriptions, tables, on both sides.

    Use: :meth:`load` at most ``batch`` photographs, then enqueue :meth:`run`, or launch a graph that captured it. When
    :attr:`generation` has moved, memory has too, and a graph must be captured anew.
    """

    def __init__(
        self,
        driver: Driver,
        stream: Stream,
        kernels: Kernels,
        spec: PreprocessSpec,
        to: Buffer,
        batch: int,
        target: Target = PIXELS,
    ) -> None:
        self._driver, self._stream, self._kernels = driver, stream, kernels
        self._spec, self._to, self._batch, self._target = spec, to, batch, target
        self._output = kernel.output_of(spec, target)
        self._grid: tuple[tuple[int, int], tuple[int, int, int]] = ((0, 0), (0, 0, 0))
        self._entry = ""
        self._filter = 0
        self.generation = 0
        # A batch has at most two axes an image; those that it does not use stay zero, and nothing is computed for them.
        self._axes = Mirror(driver, 2 * batch * AXIS.itemsize)
        self._images = Mirror(driver, batch * IMAGE.itemsize)
        self._pixels: Mirror | None = None
        self._tables: Buffer | None = None
        self._table_bytes = 0

    def load(self, photographs: Sequence[Image | DeviceImage]) -> None:
        """Copy up as many photographs as the batch holds, RGB uint8 [h, w, 3] each, and what describes them.

        Those that lie on the device already stay where they are, and must until the work is done.

        Raises:
            CellError: the device has no memory left. UserError: as :func:`engines.preprocess.kernel.batch`.
        """
        there = [p for p in photographs if isinstance(p, DeviceImage)]
        here = [p for p in photographs if not isinstance(p, DeviceImage)]
        if there and here:
            raise CellError("A batch cannot mix photographs in host and in device memory.")
        frames = [Frame(p.address, p.height, p.width, p.pitch) for p in there] or self._copied(here)
        prepared = kernel.batch(frames, self._spec, self._target)
        if prepared.table_bytes > self._table_bytes:
            if self._tables is not None:
                self._tables.free()
            self._table_bytes = int(prepared.table_bytes * GROWTH)
            self._tables = self._driver.allocate(self._table_bytes)
            self.generation += 1
        self._axes.host[:] = 0
        self._axes.host[: prepared.axes.nbytes] = prepared.axes.view(np.uint8)
        self._images.host[: prepared.images.nbytes] = prepared.images.view(np.uint8)
        self._entry, self._filter = prepared.entry, prepared.filter
        rows = -(-max(self._spec.height, self._spec.width) // kernel.THREADS)
        self._grid = (rows, 2 * self._batch), prepared.grid
        self._stream.copy_in(self._axes.device, self._axes.host)
        self._stream.copy_in(self._images.device, self._images.host)

    def _copied(self, photographs: Sequence[Image]) -> list[Frame]:
        """Copy photographs up, each beginning at a multiple of 16 bytes."""
        sizes = [photograph.nbytes for photograph in photographs]
        starts = np.concatenate([[0], np.cumsum([-(-size // 16) * 16 for size in sizes])])
        pixels = self._room(int(starts[-1]))
        for start, size, photograph in zip(starts, sizes, photographs, strict=False):
            pixels.host[start : start + size] = photograph.reshape(-1)
        self._stream.copy_in(pixels.device, pixels.host[: int(starts[-1])])
        return [
            Frame(pixels.device.address + int(start), *photograph.shape[:2])
            for start, photograph in zip(starts, photographs, strict=False)
        ]

    def run(self) -> None:
        """Enqueue the kernels over what was loaded."""
        assert self._tables is not None
        images, axes, tables = self._images.device.address, self._axes.device.address, self._tables.address
        table_grid, grid = self._grid
        block = (32, kernel.THREADS // 32, 1)
        tabulate, entry = self._kernels.get("tabulate"), self._kernels.get(self._entry)
        self._stream.run(tabulate, (*table_grid, 1), block, axes, tables, np.int32(self._filter))
        self._stream.run(entry, grid, block, images, axes, tables, self._output, self._to.address)

    def free(self) -> None:
        """Give the memory back; the stream must be idle."""
        for mirror in (self._axes, self._images, self._pixels):
            if mirror is not None:
                mirror.device.free()
        self._pixels = None
        if self._tables is not None:
            self._tables.free()
            self._tables = None

    def _room(self, size: int) -> Mirror:
        if self._pixels is None or len(self._pixels.host) < size:
            if self._pixels is not None:
                self._pixels.device.free()
            self._pixels = None
            self._pixels = Mirror(self._driver, int(size * GROWTH))
            self.generation += 1
        return self._pixels


class Mirror:
    """Bytes on the device and as many pinned ones on the host."""

    def __init__(self, driver: Driver, size: int) -> None:
        self.host = driver.pinned((size,), np.dtype(np.uint8))
        self.device = driver.allocate(size)


def require_photographs(photographs: Sequence[Image | DeviceImage], batches: Sequence[int]) -> None:
    """Refuse what a session cannot take.

    Raises:
        CellError: they are not decoded photographs, or not as many as a batch of the plan.
    """
    for photograph in photographs:
        if isinstance(photograph, DeviceImage):
            continue
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3 or not photograph.size:
            raise CellError("A photograph is uint8 [h, w, 3].", f"Given: {photograph.dtype} {list(photograph.shape)}.")
    if len(photographs) not in batches:
        raise CellError(
            f"The plan was not built for batches of {len(photographs)}.",
            f"Its profile has {', '.join(map(str, batches))}.",
        )
