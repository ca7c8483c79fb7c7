from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UserError
from export.store import Store
from tasks.__main__ import main
from tasks.data.altered.corruption import corrupted
from tasks.data.altered.shift import shifted
from tasks.data.base import DataSet, Split
from tasks.data.catalog import open_dataset
from tasks.data.layout import Item
from tasks.data.splits import instances

Write = Callable[..., Path]
SET = {"gallery/cup": 1, "gallery/hat": 2, "gallery/pin": 1, "queries/cup": 2, "queries/hat": 1}


def sizes(data: DataSet) -> tuple[int, int, int]:
    return len(data.split("train")), len(data.split("val")), len(data.split("test"))


def table(root: Path, splits: list[str]) -> Path:
    rows = [f"x/{i:03d}.jpg,{'ab'[i % 2]},{split}" for i, split in enumerate(splits)]
    (root / "t.csv").write_text("path,label,split\n" + "\n".join(rows))
    return root / "t.csv"


def test_a_gallery_is_train_the_queries_are_test_and_nothing_is_val(write_tree: Write, store: Store) -> None:
    data = open_dataset(str(write_tree(SET)), store)
    assert sizes(data) == (4, 0, 3)
    assert data.classes == ("cup", "hat", "pin")
    assert data.splits_from == "given: gallery and queries; 1 classes without queries"
    assert all(sample.id.startswith("gallery/") for sample in data.split("train"))


@pytest.mark.parametrize("query", ["query", "Queries"])
def test_a_table_may_name_gallery_and_queries(write_tree: Write, store: Store, query: str) -> None:
    root = write_tree({"x": 4})
    data = open_dataset(str(table(root, ["gallery", "Gallery", query, query])), store)
    assert sizes(data) == (2, 0, 2)
    assert data.splits_from == "given: gallery and queries"


def test_an_archive_may_hold_them(write_tree: Write, store: Store, tmp_path: Path) -> None:
    root = write_tree(SET)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(root, "top")
    assert sizes(open_dataset(str(tmp_path / "a.tar"), store)) == (4, 0, 3)


def test_splits_beside_gallery_and_queries_are_left_out_and_said(
    write_tree: Write, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_tree(SET | {"train/cup": 3})
    assert main(["--data", str(root), "--store", str(store.root)]) == 0
    text = capsys.readouterr().out
    assert "given: gallery and queries" in text
    assert "folders beside the splits are left out: train" in text


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            {"gallery/a": 1, "gallery/b": 1, "query/a": 1, "query/emu": 1},
            "1 classes that the gallery lacks(.|\n)*emu",
        ),
        ({"gallery/a": 1, "query/a": 1}, "only one class"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    write_tree: Write, store: Store, counts: dict[str, int], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        open_dataset(str(write_tree(counts)), store)


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (["gallery", "gallery", "query", "test"], "mixes gallery and query with train"),
        (["gallery"] * 4, "has no queries"),
        (["query"] * 4, "has no gallery"),
        (["gallery", "gallery", "query", "probe"], "line 5: unknown split 'probe'"),
    ],
)
def test_bad_tables_of_gallery_and_queries(write_tree: Write, store: Store, splits: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        open_dataset(str(table(write_tree({"x": 4}), splits)), store)


def test_a_limit_takes_whole_instances_and_says_so(write_tree: Write, store: Store) -> None:
    root = write_tree(SET | {f"gallery/d{i}": 1 for i in range(9)})
    data = open_dataset(str(root), store, limit=8)
    assert "8 of 16 images, whole instances, seed 0" in data.splits_from
    assert open_dataset(str(root), store, limit=8).digest == data.digest
    with pytest.raises(UserError, match=r"too small for two instances(.|\n)*at least 4"):
        open_dataset(str(root), store, limit=3)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=2),
    st.integers(0, 50),
    st.integers(0, 99),
)
def test_an_instance_is_taken_whole_or_not_at_all(counts: dict[str, tuple[int, int]], limit: int, seed: int) -> None:
    sides: tuple[Split, ...] = ("train", "test")
    items = [
        Item(f"{split}/{label}/{i}", label, split)
        for label, each in counts.items()
        for split, n in zip(sides, each, strict=True)
        for i in range(n)
    ]
    asked = {label for label, (_, queries) in counts.items() if queries}
    whole = {label: sum(each) for label, each in counts.items()}
    pairs = [whole[a] + whole[b] for a in asked for b in whole if a != b]
    if pairs and limit < min(pairs):
        with pytest.raises(UserError, match=f"at least {min(pairs)}"):
            instances(items, limit, seed)
        return
    part = instances(items, limit, seed)
    taken = {item.label for item in part}
    assert len(part) <= limit or limit >= len(items)
    assert len(part) == sum(whole[label] for label in taken)
    assert taken & asked or not asked
    if asked:
        assert len(taken) >= 2


JUNK = "query,gallery\nqueries/cup/000.jpg,gallery/hat/001.jpg\nqueries/hat/000.jpg, gallery/hat/000.jpg\n"


def test_junk_pairs_are_read_from_folders_archives_and_beside_tables(
    write_tree: Write, store: Store, tmp_path: Path
) -> None:
    root = write_tree(SET)
    plain = open_dataset(str(root), store)
    (root / "junk.csv").write_text(JUNK)
    data = open_dataset(str(root), store)
    assert plain.junk == ()
    assert data.junk == (
        ("queries/cup/000.jpg", "gallery/hat/001.jpg"),
        ("queries/hat/000.jpg", "gallery/hat/000.jpg"),
    )
    assert data.digest != plain.digest
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(root, "top")
    assert len(open_dataset(str(tmp_path / "a.tar"), store).junk) == 2
    rows = [f"{s.id},{data.classes[s.label]},{'gallery' if s.split == 'train' else 'query'}" for s in data.samples]
    (root / "labels.csv").write_text("path,label,split\n" + "\n".join(rows))
    for ref in (root, root / "labels.csv"):
        assert open_dataset(str(ref), store).digest == data.digest


def test_a_limit_and_a_corruption_keep_the_pairs_that_are_left(write_tree: Write, store: Store) -> None:
    root = write_tree(SET)
    (root / "junk.csv").write_text(JUNK)
    data = open_dataset(str(root), store)
    narrowed, harmed = shifted(data, corrupted(data, "fog", 3))  # nobody asks for a pin, so it is left out of both
    assert narrowed.junk == tuple((f"0:{query}", f"0:{image}") for query, image in data.junk)
    assert harmed.junk == tuple((f"1:{query}", f"0:{image}") for query, image in data.junk)
    part = open_dataset(str(root), store, limit=4)
    ids = {sample.id for sample in part.samples}
    assert part.junk == tuple(pair for pair in data.junk if set(pair) <= ids)
    assert open_dataset(str(root), store, whole=True).junk == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n", "lacks the header query,gallery"),
        ("", "Its first line is empty"),
        (
            "query,gallery\nqueries/cup/000.jpg,gallery/hat/009.jpg\n",
            "there is no gallery image gallery/hat/009",
        ),
        ("query,gallery\ngallery/cup/000.jpg,gallery/hat/000.jpg\n", "line 2: there is no query gallery/cup"),
        ("query,gallery\nqueries/cup/000.jpg\n", "line 2: 1 fields"),
    ],
)
def test_bad_junk(write_tree: Write, store: Store, text: str, sentence: str) -> None:
    root = write_tree(SET)
    (root / "junk.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        open_dataset(str(root), store)


def test_junk_without_queries_is_refused(write_tree: Write, store: Store) -> None:
    root = write_tree({"cup": 5, "hat": 5})
    (root / "junk.csv").write_text("query,gallery\n")
    with pytest.raises(UserError, match="no gallery and queries"):
        open_dataset(str(root), store)
