"""What `pip install .` gives: the same files, the same commands, outside the checkout; and locks that hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOMS, ROOT, pyproject, tracked

from bench.__main__ import COMMANDS

LOCKS = {"cpu": ["demo"], "dev": ["demo", "dev"], "gpu": ["gpu"], "edge": ["cpu", "openvino"]}
"""Lock → the extras that it is for."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel, and nothing else, is installed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-index", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True)
    return folder


def test_the_wheel_holds_what_git_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == tracked(*ROOMS) | {"bench/boards/edge.txt"}  # the lock of boards, from requirements/
    assert {"export/zoo/zoo.yaml", "bench/sweep/demo.yaml"} <= inside


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_outside_the_checkout(command: str, site: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [site / "bin" / "bob", command, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


def test_make_puts_the_command_into_the_environment(tmp_path: Path) -> None:
    """In a folder whose name has a space; help needs none of the libraries, so nothing is installed."""
    checkout = tmp_path / "a checkout"
    for name in ("Makefile", *tracked(*ROOMS)):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, checkout / name)
    environment = {"PATH": os.environ["PATH"]}
    command = ["make", "-s", ".venv/bin/bob", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "link").symlink_to(checkout / ".venv" / "bin" / "bob")
    done = subprocess.run(
        [tmp_path / "link", "run", "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("usage: bob run "), done.stderr


def test_data_files_are_found_outside_the_checkout(site: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [site / "bin" / "bob", "export", "--list"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "vit_b" in done.stdout


def holds(requirement: Requirement, python: str) -> bool:
    """Whether it is meant for x86-64 Linux with that Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "extra": "",
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pins(lock: str, python: str) -> dict[str, str]:
    """Name → version of a lock on x86-64 Linux with that Python."""
    found: dict[str, str] = {}
    for line in (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines():
        if not re.match(r"[a-z0-9]", line):
            continue
        requirement = Requirement(line.rstrip("\\ "))
        if holds(requirement, python):
            assert requirement.name not in found, f"{lock}: {requirement.name} is pinned twice for {python}"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[canonicalize_name(requirement.name)] = pin.version
    return found


def wanted(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for with these extras, nested ones opened."""
    project = pyproject()["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    open_extras = list(extras)
    while open_extras:
        for text in project["optional-dependencies"][open_extras.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                open_extras += requirement.extras
            else:
                found.append(requirement)
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("lock", "extras"), LOCKS.items(), ids=LOCKS)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: list[str], python: str) -> None:
    pinned = {**pins("torch", python), **pins(lock, python)}
    for requirement in wanted(*extras):
        if holds(requirement, python):
            assert requirement.specifier.contains(pinned[requirement.name]), f"{lock}: {requirement}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_agree(python: str) -> None:
    cpu, dev, gpu, torch = (pins(lock, python) for lock in ("cpu", "dev", "gpu", "torch"))
    assert cpu.items() <= dev.items()
    assert torch.items() <= gpu.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_its_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    bare = [block.splitlines()[0] for block in re.split(r"\n(?=[a-z0-9])", text)[1:] if "--hash=sha256:" not in block]
    assert not bare
    assert "://" not in text
    assert "--index" not in text
    assert len(text.encode()) < 1_000_000


@pytest.mark.parametrize("python", PYTHONS)
def test_one_onnxruntime_and_no_cuda_for_a_cpu(python: str) -> None:
    compiles_kernels = {
        "cuda-bindings",
        "cuda-pathfinder",
        "nvidia-cuda-nvrtc",
        "nvidia-cuda-nvrtc-cu12",
    }  # without a GPU, for the tests
    for lock, allowed in (("cpu", set[str]()), ("dev", compiles_kernels)):
        found = {name for name in pins(lock, python) if name.startswith(("nvidia", "cuda", "triton"))}
        assert found <= allowed
        assert "onnxruntime-gpu" not in pins(lock, python)
    assert "onnxruntime" not in pins("gpu", python)
    for extra in pyproject()["project"]["optional-dependencies"]:
        names = {requirement.name for requirement in wanted(extra)}
        assert not {"onnxruntime", "onnxruntime-gpu"} <= names, extra
