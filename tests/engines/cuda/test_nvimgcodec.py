"""Decoding on the device: a library that keeps nvImageCodec's words, and decodes with Pillow into the fake's memory."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
import pytest
from fake_trt import Stage, wanted
from PIL import Image

from bench.figures.gpu_preprocess import decoding
from engines.cuda.nvimgcodec import PACKAGE, DeviceImage, NvImageDecoder
from engines.cuda.nvrtc import Program
from engines.library import installed
from engines.preprocess.catalog import preprocess
from export.errors import CellError, Unavailable
from export.picture import Undecodable, decode
from export.reference import resize_and_crop
from export.store import Store


class FakeNvImageCodec:
    """Lines are 16 bytes longer than they need to be; what Pillow cannot decode is None, as there."""

    ColorSpec = SimpleNamespace(SRGB="sRGB")

    def __init__(self, kind: str = "|u1") -> None:
        self.kind = kind

    def DecodeParams(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"apply_exif_orientation": False, "color_spec": "sRGB"}
        return asked

    def Decoder(self) -> Any:
        return SimpleNamespace(decode=lambda encoded, params: [self._decoded(one) for one in encoded])

    def _decoded(self, encoded: bytes) -> Any:
        try:
            image = decode(encoded)
        except Undecodable:
            return None
        height, width = image.shape[:2]
        memory = np.full((height, 3 * width + 16), 77, np.uint8)
        memory[:, : 3 * width] = image.reshape(height, -1)
        told = {
            "shape": (height, width, 3),
            "strides": (3 * width + 16, 3, 1),
            "typestr": self.kind,
            "data": (memory.ctypes.data, False),
        }
        return SimpleNamespace(__cuda_array_interface__=told, memory=memory, cpu=lambda: image)


def encoded(count: int) -> list[bytes]:
    return [fakes.photograph(seed, 50 + 7 * seed, 90 - 5 * seed) for seed in range(count)]


@pytest.mark.parametrize("graphs", [True, False])
def test_the_whole_path_from_bytes_to_features(tmp_path: Path, host_code: Program, graphs: bool, store: Store) -> None:
    path: Any = preprocess("nvimgcodec", fakes.SPEC, store)
    path.decoder, path.program = NvImageDecoder(FakeNvImageCodec()), host_code
    stage = Stage(tmp_path, graphs=graphs)
    with stage.open() as session:
        for count in (4, 1, 4):
            found = path.run(session, [path(one) for one in encoded(count)])["features"]
            pixels = np.stack([resize_and_crop(decode(one), fakes.SPEC) for one in encoded(count)])
            np.testing.assert_array_equal(found, wanted(pixels))
            # and decoded ones from the host in between
            images = [decode(one) for one in encoded(count)]
            np.testing.assert_array_equal(session.run_photographs(images, host_code)["features"], wanted(pixels))
    assert stage.driver.memory == {}


def test_what_is_no_image_is_told() -> None:
    with pytest.raises(Undecodable, match="on the GPU"):
        NvImageDecoder(FakeNvImageCodec()).decode([encoded(1)[0], b"nothing"])
    with pytest.raises(Undecodable, match="did not return 8-bit RGB"):
        NvImageDecoder(FakeNvImageCodec("<u2")).decode(encoded(1))


def test_what_another_decoder_may_read_otherwise_is_refused(store: Store) -> None:
    path = preprocess("nvimgcodec", fakes.SPEC, store)
    for kind in ("RGBA", "P", "I;16"):
        out = io.BytesIO()
        Image.new(kind, (9, 9)).save(out, "PNG")
        with pytest.raises(CellError, match="plain pictures only"):
            path(out.getvalue())


def test_host_and_device_do_not_mix(tmp_path: Path, host_code: Program) -> None:
    there = NvImageDecoder(FakeNvImageCodec()).decode(encoded(2))
    with Stage(tmp_path).open() as session, pytest.raises(CellError, match="cannot mix"):
        session.run_photographs([*there, *[decode(one) for one in encoded(2)]], host_code)


def test_without_the_library_or_a_driver_there_is_a_sentence() -> None:
    if not installed(PACKAGE):
        with pytest.raises(Unavailable, match="not installed"):
            NvImageDecoder()

    class NoDriver(FakeNvImageCodec):
        def Decoder(self) -> Any:
            raise RuntimeError("CUDA Runtime failure: '#35'")

    with pytest.raises(Unavailable, match="does not start"):
        NvImageDecoder(NoDriver())


def test_the_parity_row() -> None:
    [found] = decoding(encoded(3), NvImageDecoder(FakeNvImageCodec()))
    assert found.value == 0
    assert "the largest error of any value is 0" in found.how


def test_the_owner_is_kept_alive() -> None:
    [image] = NvImageDecoder(FakeNvImageCodec()).decode(encoded(1))
    assert isinstance(image, DeviceImage)
    assert image.owner.memory.ctypes.data == image.address
