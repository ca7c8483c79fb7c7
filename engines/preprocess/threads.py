"""One thread for libraries that resize, for as long as ways of resizing are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """torch and, where it is installed, OpenCV work in the calling thread alone; their counts are given back after."""
    import torch

    with ExitStack() as after:
        after.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        try:
            import cv2
        except ImportError:
            pass
        else:
            after.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(1)
        yield
