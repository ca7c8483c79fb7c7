"""pycuda where it is installed, else ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from engines.cuda import choice
from engines.cuda.choice import implementation, open_driver
from engines.cuda.ctypes_driver import CtypesDriver
from engines.cuda.device import why_no_device
from export.errors import Unavailable


@pytest.mark.parametrize(
    ("packages", "wanted"),
    [
        ((), "libcuda"),
        (("pycuda",), "libcuda"),
        (("cuda-bindings",), "libcuda"),
        (("pycuda", "cuda-bindings"), "pycuda"),
    ],
)
def test_pycuda_is_used_where_it_is_whole(
    packages: tuple[str, ...], wanted: str, only_installed: Callable[..., None]
) -> None:
    only_installed(*packages)
    assert implementation() == wanted


def test_without_a_gpu_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "why_no_device", lambda: why_no_device() or "an NVIDIA GPU")
    with pytest.raises(Unavailable, match="CUDA is not available") as failure:
        open_driver()
    assert failure.value.remedy


def test_a_board_opens_its_own_library(
    fake_libcuda: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, only_installed: Callable[..., None]
) -> None:
    only_installed()
    monkeypatch.setattr(choice, "why_no_device", lambda: "")
    monkeypatch.setattr("engines.cuda.ctypes_driver.library", lambda: fake_libcuda)
    driver = open_driver()
    assert isinstance(driver, CtypesDriver)
    driver.close()
