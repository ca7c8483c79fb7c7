"""What is changed for a while is given back."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from engines.preprocess.threads import one_thread


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_counts_are_one_inside_and_as_before_after() -> None:
    cv2 = pytest.importorskip("cv2")
    opencv = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            assert cv2.getNumThreads() == 1
        assert torch.get_num_threads() == 3
        assert cv2.getNumThreads() == 2
        with pytest.raises(RuntimeError), one_thread():
            raise RuntimeError
        assert torch.get_num_threads() == 3
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(opencv)


@pytest.mark.usefixtures("three_threads")
def test_opencv_need_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
