from __future__ import annotations

import errno
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from bench.boards import results
from bench.boards.kit import Kit
from bench.boards.results import Built, Came, Results
from bench.boards.targets import TARGETS
from bench.measure.scenarios.base import Settings
from bench.records.parts import Environment, Failure
from export.errors import OutOfSpace, UserError

KIT = Kit("1.0", TARGETS["pi5"], {}, {"photos": "d1"}, "pillow", {"name": "pillow"}, Settings(), 3, 0, ()).sealed({})
CAME = (
    Came(Built("plan", "content", 1, {"arithmetic": {"fp32": 3}}, 4)),
    Came(failure=Failure("Skip", "no"), skipped=True),
)
RESULTS = Results(KIT, Environment(id="abcd", board="Raspberry Pi 5"), "b0", {"name": "pillow"}, CAME, ("hot",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What a board wrote: one entry of its store."""
    entry = tmp_path / "store" / "features" / "k1"
    entry.mkdir(parents=True)
    (entry / "rows.npy").write_bytes(b"rows")
    results.write(RESULTS, [entry], tmp_path / "store", tmp_path / "results.tar")
    return tmp_path / "results.tar"


def test_what_a_board_wrote_is_read_as_it_was(file: Path, tmp_path: Path) -> None:
    assert results.read(file, tmp_path / "home") == RESULTS
    assert (tmp_path / "home" / "store" / "features" / "k1" / "rows.npy").read_bytes() == b"rows"


def _written(file: Path, name: str, content: bytes) -> None:
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def test_a_file_that_reaches_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    _written(tmp_path / "bad.tar", "../escaped.txt", b"x")
    with pytest.raises(UserError, match="holds no results of a board"):
        results.read(tmp_path / "bad.tar", tmp_path / "home")
    assert not (tmp_path / "escaped.txt").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        info = tarfile.TarInfo("results.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(info)
    with pytest.raises(UserError, match="holds no results of a board"):
        results.read(tmp_path / "bad.tar", tmp_path / "home")


@pytest.mark.parametrize("keep", [0.2, 0.6])
def test_a_copy_that_broke_off_is_refused(file: Path, tmp_path: Path, keep: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole.rstrip(b"\0")))])
    with pytest.raises(UserError, match=r"holds no results|damaged on the way"):
        results.read(file, tmp_path / "home")


def test_a_changed_result_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"fp32":3', b'"int8":3'))
    with pytest.raises(UserError, match="changed or damaged on the way"):
        results.read(file, tmp_path / "home")


def test_results_of_a_kit_that_was_changed_are_refused(tmp_path: Path) -> None:
    other = replace(RESULTS, kit=replace(KIT, repeats=1))
    results.write(other, [], tmp_path, tmp_path / "results.tar")
    with pytest.raises(UserError, match="changed or damaged"):
        results.read(tmp_path / "results.tar", tmp_path / "home")


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OutOfSpace, match=r"No space left on the disk while writing results\.tar"):
        results.write(RESULTS, [], tmp_path, tmp_path / "results.tar")
    assert list(tmp_path.iterdir()) == []
