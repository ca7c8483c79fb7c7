"""Any folder, archive or table: a data set in which every file is in one count, or a sentence."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from fakes import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import HEIC, POINTER, account, entries, labelled, packed, write

from export.errors import UserError
from export.store import Store
from fuzz import CASES
from tasks.data.catalog import locate, survey
from tasks.data.layout import Source

SPLITS = ("train", "test", "val", "Train", "training_set", "test_set", "seg_train", "seg_test", "train2017", "eval")
CLASSES = ("cat", "dog", "Cat", "emu", "images", "img", "camera0", "camera1", "masks", "docs", "a b", "é", "e\u0301")
FOLDERS = (*SPLITS, *CLASSES, "split=train", "gallery", "query", ".git", "__MACOSX", "x.y", "-")
IMAGES = ("0.jpg", "1.JPG", "2.jfif", "noending", "3.heic", "4.img", "é.png", "5.jpg")
OTHERS = ("labels.csv", "train.csv", "test.csv", "val.tsv", "junk.csv", ".DS_Store", "Thumbs.db", "notes.txt", "a.json")
WORDS = ("path", "label", "filename", "class", "split", "id", "cat", "dog", "train", "test", "query", "0", "1", "")
PHOTOGRAPHS = {f"photograph {seed}": photograph(seed, 8, 8) for seed in range(12)}
STRANGE = {"heic": HEIC, "pointer": POINTER, "empty": b"", "html": b"<html>", "bytes": b"\0\1\2", "zip": b"PK\x03\x04"}
CONTENTS = PHOTOGRAPHS | STRANGE

folder = st.lists(st.sampled_from(FOLDERS), max_size=3).map("/".join)
content = st.sampled_from(sorted(CONTENTS))
cells = st.one_of(
    st.builds(lambda at, name: f"{at}/{name}".lstrip("/"), folder, st.sampled_from(IMAGES)),
    st.sampled_from(WORDS),
    st.text(max_size=4),
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    delimiter, quote = draw(st.sampled_from(",;\t| ")), draw(st.sampled_from(["", '"', "'"]))
    rows = draw(st.lists(st.lists(cells, min_size=1, max_size=3), max_size=6))
    head = draw(st.sampled_from([[], ["path", "label"], ["filename", "class", "split"], ["id", "label"]]))
    text = "\n".join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in [head, *rows])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"])), "replace")


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes | str | None]:
    """Most are nearly regular, so that they are read and not refused: the same names in each of a few folders."""
    tree: dict[str, bytes | str | None] = {}
    tops = draw(st.lists(folder, min_size=1, max_size=3, unique=True))
    inner = draw(st.lists(folder, min_size=1, max_size=3, unique=True))
    for top in tops:
        for sub in inner:
            for name in draw(st.lists(st.sampled_from(IMAGES), max_size=4, unique=True)):
                sample = draw(st.sampled_from(sorted(PHOTOGRAPHS))) if draw(st.integers(0, 9)) else draw(content)
                tree["/".join(filter(None, (top, sub, name)))] = sample
    for _ in range(draw(st.integers(0, 3))):
        name = "/".join(filter(None, (draw(folder), draw(st.sampled_from(OTHERS)))))
        tree[name] = draw(tables()) if name.endswith(("csv", "tsv", "txt")) else draw(content)
    if draw(st.booleans()):
        tree["/".join(filter(None, (draw(folder), "empty")))] = None
    return tree


@contextmanager
def place() -> Iterator[tuple[Path, Store]]:
    """A folder, and a store that does not wait for the disk."""
    with tempfile.TemporaryDirectory() as where, patch("os.fsync", lambda descriptor: None):
        yield Path(where), Store(Path(where, "store"), say=lambda line: None)


def listed(path: Path, store: Store) -> Source | str:
    try:
        return locate(str(path), store)
    except UserError as error:
        refusal = error
    assert "b'" not in str(refusal)
    return refusal.what


@settings(max_examples=CASES)
@given(trees(), st.sampled_from([".zip", ".tar"]))
def test_every_file_of_a_folder_is_in_one_count_and_an_archive_of_it_gives_the_same(
    tree: dict[str, bytes | str | None], ending: str
) -> None:
    with place() as (where, store):
        filled = {name: CONTENTS[of] if isinstance(of, str) else of for name, of in tree.items()}
        root = write(where / "photos", filled)
        found = listed(root, store)
        again = listed(packed(root, where / f"photos{ending}"), store)
        if isinstance(found, str):
            assert again == found or not entries(root)  # an empty tar is nothing but zeros
            return
        assert isinstance(again, Source), again
        assert (labelled(again), account(again.left_out)) == (labelled(found), account(found.left_out))
        assert len(found.items) == len({item.id for item in found.items})
        assert len(found.items) + sum(account(found.left_out).values()) == entries(root)
        for item in found.items:
            assert found.files.read(item.id) == again.files.read(item.id) == (root / item.id).read_bytes()
        try:
            seen = survey(str(root), store, max_unreadable=1.0)
        except UserError:
            return
        taken = len(seen.data.samples) + len(seen.data.unreadable)
        assert taken + sum(counted.count for counted in seen.left_out) == entries(root)


@settings(max_examples=CASES)
@given(tables(), st.sampled_from(["t.csv", "t.txt", "t.tsv", "t"]))
def test_a_table_is_read_or_refused(table: bytes, name: str) -> None:
    with place() as (where, store):
        root = write(where / "photos", {"cat": 2, "train/dog": 2, "0.jpg": b"\xff\xd8\xff", name: table})
        found = listed(root / name, store)
        if isinstance(found, Source):
            assert all(item.id in found.files.stamps and item.label for item in found.items)
            assert len(found.items) + sum(account(found.left_out).values()) == entries(root)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
@settings(max_examples=max(CASES // 5, 1))
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3), st.floats(0, 1))
def test_a_damaged_archive_is_read_or_refused(ending: str, changes: list[tuple[float, int]], kept: float) -> None:
    with place() as (where, store):
        root = write(where / "photos", {"cat": 3, "dog": 3, "emu": None})
        archive = packed(root, where / f"photos{ending}")
        data = bytearray(archive.read_bytes())
        for at, byte in changes:
            data[int(at * len(data))] = byte
        cut = not changes and kept < 1
        archive.write_bytes(data[: int(kept * len(data))] if cut else data)
        found = listed(archive, store)
        if isinstance(found, Source):
            for name in found.files.stamps:
                with suppress(OSError):
                    found.files.read(name)
            if cut:  # what is left of it is all there is
                assert len(found.items) + sum(account(found.left_out).values()) == entries(root)


@settings(max_examples=CASES)
@given(st.binary(max_size=3000), st.sampled_from(["a.zip", "a.tar.gz", "a.csv", "a", "a.tar", "a.jpg", "a.part1.rar"]))
def test_any_bytes_are_refused_with_a_sentence(data: bytes, name: str) -> None:
    with place() as (where, store):
        (where / name).write_bytes(data)
        found = listed(where / name, store)
        assert isinstance(found, str)
        assert repr(data[:20])[2:-1] not in found or data[:20].isascii()
