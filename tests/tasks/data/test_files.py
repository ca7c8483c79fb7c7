from __future__ import annotations

import os
from pathlib import Path

import pytest
from trees import account, labelled, write

from export.errors import UserError
from export.store import Store
from tasks.data.catalog import locate
from tasks.data.files import Files, from_folder


def test_links_and_special_files_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"cat": 2, "dog": 2})
    os.symlink("000.jpg", root / "cat/again.jpg")
    os.symlink("nowhere", root / "cat/dangling.jpg")
    os.symlink("circle.jpg", root / "cat/circle.jpg")
    os.symlink(root, root / "cat/loop")
    os.symlink("dog", root / "a")  # sorts before the folder that it leads to, which keeps its name
    os.mkfifo(root / "dog/pipe.jpg")
    found = locate(str(root), Store(tmp_path / "s"))
    assert set(labelled(found)) == {"cat/000.jpg", "cat/001.jpg", "cat/again.jpg", "dog/000.jpg", "dog/001.jpg"}
    assert account(found.left_out) == {
        "links to folders that are read already": 2,
        "links that lead nowhere": 2,
        "special files (pipes, sockets, devices)": 1,
    }


def test_a_class_folder_that_is_a_dangling_link_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"cat": 2, "dog": 2})
    os.symlink("nowhere", root / "emu")
    with pytest.raises(UserError, match=r"emu of p holds no image(.|\n)*bring back what the links lead to"):
        locate(str(root), Store(tmp_path / "s"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_class_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"cat": 2, "dog": 2, "emu": 1})
    (root / "emu").chmod(0)
    with pytest.raises(UserError, match=r"emu of p holds no image(.|\n)*permission denied"):
        locate(str(root), Store(tmp_path / "s"))


def test_only_unknown_endings_are_opened(tmp_path: Path) -> None:
    seen: list[str] = []

    def head(name: str) -> bytes:
        seen.append(name)
        return b"\xff\xd8\xff"

    names = ["1.jpg", "2.JPEG", "3.txt", "4.json", "5", "6.odd", ".hidden"]
    files = Files(dict.fromkeys(names, "5000"), head, head=head)
    assert [name for name, kind in files.kinds.items() if kind.sort == "image"] == ["1.jpg", "2.JPEG", "5", "6.odd"]
    assert seen == ["5", "6.odd"]


def test_the_index_of_another_folder_is_not_taken_for_this_one(tmp_path: Path) -> None:
    prints = set()
    for name, content in (("a", b"one"), ("b", b"two")):
        root = write(tmp_path / name, {"cat/1.jpg": content})
        os.utime(root / "cat/1.jpg", ns=(0, 0))
        prints.add(from_folder(root).fingerprint(["cat/1.jpg"]))
    (tmp_path / "b/cat/1.jpg").write_bytes(b"new")
    os.utime(tmp_path / "b/cat/1.jpg", ns=(0, 0))
    prints.add(from_folder(tmp_path / "b").fingerprint(["cat/1.jpg"]))
    assert len(prints) == 3


@pytest.mark.parametrize("ref", [".", "./", "../p", "{}", "{}/", "{}/../p", "{}/cat/.."])
def test_a_folder_has_its_own_name_however_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    root = write(tmp_path / "p", {"cat": 2, "dog": 2})
    monkeypatch.chdir(root)
    assert locate(ref.format(root), Store(tmp_path / "s")).name == "p"


def test_a_link_to_a_folder_is_a_data_set(tmp_path: Path) -> None:
    os.symlink(write(tmp_path / "p", {"cat": 2, "dog": 2}), tmp_path / "flowers")
    found = locate(str(tmp_path / "flowers"), Store(tmp_path / "s"))
    assert (found.name, len(found.items)) == ("flowers", 4)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("https://host/photos.zip", "is a URL(.|\n)*download it"),
        ("s3://bucket/photos", "is a URL"),
        ("", "name of the data set is empty"),
        ("a\0b", "is not a path"),
        ("x" * 5000, "cannot be read(.|\n)*too long"),
        ("~nobody_of_this_name/photos", "is not a path"),
        ("/", "root of the file system"),
        ("{}/link", "It is a link to nowhere"),
        ("{}/pipe", "neither a file nor a folder"),
        ("{}/none", "There is no data set"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, ref: str, sentence: str) -> None:
    os.symlink("nowhere", tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=sentence):
        locate(ref.replace("{}", str(tmp_path)), Store(tmp_path / "s"))
