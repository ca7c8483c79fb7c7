"""Decoding on the GPU: NVIDIA's nvImageCodec, whose pictures stay where they were decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import Unavailable, first_line
from export.picture import Undecodable

PACKAGE = "nvidia-nvimgcodec-cu13"


@dataclass(frozen=True)
class DeviceImage:
    """A decoded photograph on the device: RGB, 3 bytes a pixel, ``pitch`` bytes a line; ``owner`` keeps it alive."""

    address: int
    height: int
    width: int
    pitch: int
    owner: Any = field(repr=False, compare=False, default=None)


class NvImageDecoder:
    """A decoder on the primary context. Its work is enqueued on the default stream, which ours wait for.

    Raises:
        Unavailable: the library is missing, or finds no driver.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library or _nvimgcodec()
        try:
            # EXIF rotation is not applied, as in the evaluation code of the checkpoints' authors
            self._settings = self._library.DecodeParams(
                apply_exif_orientation=False, color_spec=self._library.ColorSpec.SRGB
            )
            self._decoder = self._library.Decoder()
        except RuntimeError as error:
            raise Unavailable("nvImageCodec does not start.", first_line(error), "--preprocess cuda") from error

    def pixels(self, image: DeviceImage) -> npt.NDArray[np.uint8]:
        """A decoded photograph on the host, uint8 RGB [h, w, 3]."""
        return np.asarray(image.owner.cpu())

    def decode(self, encoded: Sequence[bytes]) -> list[DeviceImage]:
        """Encoded photographs → device memory.

        Raises:
            Undecodable: one of them is not a whole image, or of a format that it does not know.
        """
        found = self._decoder.decode(list(encoded), params=self._settings)
        images = []
        for image in found:
            if image is None:
                raise Undecodable(
                    "An image cannot be decoded on the GPU.", "", "--preprocess cuda, which decodes with Pillow"
                )
            array = image.__cuda_array_interface__
            height, width, channels = array["shape"]
            pitch, pixel, value = array.get("strides") or (3 * width, 3, 1)
            if (channels, pixel, value, array["typestr"]) != (3, 3, 1, "|u1"):
                raise Undecodable("nvImageCodec did not return 8-bit RGB.", str(dict(array)))
            images.append(DeviceImage(int(array["data"][0]), int(height), int(width), int(pitch), image))
        return images


def _nvimgcodec() -> Any:
    try:
        from nvidia import nvimgcodec
    except ImportError as error:
        raise Unavailable(
            "nvImageCodec is not installed.", first_line(error), f"pip install {PACKAGE}[nvjpeg]"
        ) from error
    return nvimgcodec
