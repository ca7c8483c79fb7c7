"""What every test may ask for: a store of its own, the shared labelled images, and skips that say why.

A test names its need with a marker (gpu, network, data, browser). A need that this machine does not meet is a skip with
the reason; with ``--require NEED`` it is an error, so that a run that was meant to have a GPU cannot pass without one.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from export.errors import Unavailable
from export.store import Store

if TYPE_CHECKING:
    from engines.cuda.nvrtc import Program

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

settings.register_profile("no clock", deadline=None)  # how fast a machine is decides no test
settings.load_profile("no clock")


def _no_gpu() -> str:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1)"
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver finds no GPU"
    return ""


def _no_network() -> str:
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--retries", "0", "--timeout", "10"]
        done = subprocess.run([*command, "--dest", folder, "iniconfig==2.3.1"], capture_output=True)
    return "the package index cannot be reached" if done.returncode else ""


def _no_data() -> str:
    return "" if SHARED_DATA.is_dir() else "no labelled images in ../shared/data"


def _no_browser() -> str:
    from bench.figures.browser import missing

    return missing()


MISSING: dict[str, Callable[[], str]] = {
    "gpu": cache(_no_gpu),
    "network": cache(_no_network),
    "data": cache(_no_data),
    "browser": cache(_no_browser),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        action="append",
        default=[],
        choices=sorted(MISSING),
        help="fail, rather than skip, the tests whose need this machine does not meet; repeatable",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for need, missing in MISSING.items():
        if item.get_closest_marker(need) and (reason := missing()):
            if need in item.config.getoption("--require"):
                pytest.fail(f"--require {need}: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture
def shared_data() -> Path:
    """The folder of labelled images; mark the test ``data``."""
    return SHARED_DATA


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store of this test's own."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that the preprocessing kernels lie in, as they were compiled for this processor."""
    from engines.preprocess import host

    try:
        host.compiler()
    except Unavailable as error:
        pytest.skip(str(error))
    return Store(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def host_code(kernels: Store) -> Program:
    """The real kernels, compiled for this processor: the fake device runs them."""
    from engines.cuda.nvrtc import Program
    from engines.preprocess import host

    return Program("host", "host", str(host.library(kernels)).encode(), {})


@pytest.fixture(scope="session")
def built_libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A libcuda that needs no GPU, compiled from ``engines/cuda/fake_libcuda.c``."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    file = tmp_path_factory.mktemp("libcuda") / "libcuda.so.1"
    source = ROOT / "tests" / "engines" / "cuda" / "fake_libcuda.c"
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(source), "-o", str(file), "-ldl", "-lpthread"], check=True)
    return file
