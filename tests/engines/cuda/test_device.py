"""Which GPU is here, asked of a library that has one, and of one that has none."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from engines.cuda import device as asked
from engines.cuda.device import Device, device, why_no_device


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    asked._look.cache_clear()
    yield
    asked._look.cache_clear()


def test_what_the_library_reports(fake_libcuda: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "library", lambda: fake_libcuda)
    monkeypatch.setattr(asked, "_driver_version", lambda: "")
    assert device() == Device("Fake Orin", "8.7", "CUDA 12.6", 1 << 27, "12.6")
    assert why_no_device() == ""


def test_what_is_missing(fake_libcuda: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_libcuda.fake_fail(100)  # CUDA_ERROR_NO_DEVICE
    monkeypatch.setattr(asked, "library", lambda: fake_libcuda)
    assert device() is None
    assert why_no_device() == "an NVIDIA GPU"
    asked._look.cache_clear()
    monkeypatch.setattr(asked, "library", lambda: None)
    assert why_no_device() == "the NVIDIA driver (libcuda)"
