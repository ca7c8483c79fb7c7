"""Where we may write: a sentence before any work, whatever is wrong with the place."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from export.errors import OutOfSpace, UserError
from export.places import cache_home, expanded, home, require_writable
from export.store import Store, default_store, write_atomic

Usage = namedtuple("Usage", "total used free")


def test_a_folder_that_can_be_made_is_fine_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b", "--out", 1)
    require_writable(tmp_path, "--out", 1)
    assert list(tmp_path.iterdir()) == []


def beside(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (lambda folder: beside(folder / "file"), "cannot be a folder(.|\n)*is a file"),
        (lambda folder: beside(folder / "file") / "below", "cannot be a folder(.|\n)*file is a file"),
        (lambda folder: folder / ("x" * 300), "path of the folder is too long"),
        (lambda folder: Path(*[folder, *["y" * 200] * 20]), "path of the folder is too long"),
        (lambda folder: Path("/proc/nowhere"), "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_gets_a_sentence_with_its_option(
    tmp_path: Path, place: Callable[[Path], Path], says: str
) -> None:
    for open_it in (lambda path: require_writable(path, "--store", 1), Store):
        with pytest.raises(UserError, match=says) as error:
            open_it(place(tmp_path))
        assert "--store DIR" in error.value.remedy


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EROFS, UserError), (errno.EACCES, UserError), (errno.ENOSPC, OutOfSpace)]
)
def test_what_the_system_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[UserError]
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(kind):
        require_writable(tmp_path, "--out", 1)


def test_too_little_space_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9 << 30, 8 << 30, 5 << 20))
    with pytest.raises(OutOfSpace, match=r"At least 100 MiB are needed; 5 MiB are free"):
        Store(tmp_path)


def test_a_file_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    for path in (beside(tmp_path / "file") / "report.html", tmp_path):
        with pytest.raises(UserError, match=r"Writing .* failed"):
            write_atomic(path, b"x")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know, without HOME."""
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_names_the_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="home folder of this user is not known") as error:
        Store()
    assert "--store DIR" in error.value.remedy
    with pytest.raises(UserError, match="HOME is not set"):
        expanded("~/photos")
    assert Store(tmp_path).root == tmp_path.resolve()
    assert expanded("photos") == Path.cwd() / "photos"


@pytest.mark.parametrize("given", ["", "relative/home"])
def test_a_home_that_is_no_whole_path_is_not_taken(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HOME", given)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if given:
        with pytest.raises(UserError, match="home folder"):
            home()
    else:
        assert home().is_absolute()


def test_the_cache_folder_is_a_whole_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, wanted in (("", tmp_path / ".cache"), (str(tmp_path / "x"), tmp_path / "x"), ("~/y", tmp_path / "y")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert cache_home() == wanted
        assert default_store() == wanted / "backbones-deployed"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(UserError, match="XDG_CACHE_HOME is 'relative'") as error:
        default_store()
    assert error.value.remedy == "name the store: --store DIR"


def test_paths_are_whole_and_links_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert expanded("link") == tmp_path / "link"
    assert expanded("a/../b") == tmp_path / "b"
    with pytest.raises(UserError, match="zero byte"):
        expanded("a\0b")
