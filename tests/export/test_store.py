from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import OutOfSpace
from export.store import MANIFEST, Store, key, write_atomic

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def build_text(text: str, calls: list[str] | None = None) -> Any:
    def build(folder: Path) -> dict[str, Any]:
        if calls is not None:
            calls.append(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "data.txt").write_text(text)
        return {"length": len(text)}

    return build


@given(st.dictionaries(st.text(min_size=1, max_size=5), plain, min_size=1, max_size=4), st.data())
def test_any_field_changed_changes_the_key(fields: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    other = data.draw(plain.filter(lambda v: json.dumps(v) != json.dumps(fields[name])))
    assert key("k", **fields) == key("k", **dict(reversed(fields.items())))
    assert key("k", **fields) != key("k", **{**fields, name: other})
    assert key("k", **fields) != key("other", **fields)


def test_what_another_process_has_verified_is_hashed_again_only_if_it_was_touched_and_must_be_there(
    tmp_path: Path,
) -> None:
    entry = Store(tmp_path).obtain("shelf", "k1", build_text("hello"))
    before = entry.file("deep/data.txt").stat().st_mtime_ns
    entry.file("deep/data.txt").write_text("other")
    assert Store(tmp_path).try_load("shelf", "k1") is None
    assert Store(tmp_path, verified=True).try_load("shelf", "k1") is None, "it was touched after it was published"
    os.utime(entry.file("deep/data.txt"), ns=(before, before))
    assert Store(tmp_path, verified=True).try_load("shelf", "k1") == entry
    entry.file("deep/data.txt").unlink()
    assert Store(tmp_path, verified=True).try_load("shelf", "k1") is None


def test_a_key_takes_only_plain_values() -> None:
    with pytest.raises(TypeError):
        key("k", path=Path("x"))
    with pytest.raises(ValueError, match="JSON"):
        key("k", value=float("nan"))


def test_build_once_then_load(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), list[str]()
    first = store.obtain("shelf", "k1", build_text("hello", calls))
    second = store.obtain("shelf", "k1", build_text("hello", calls))
    assert calls == ["hello"]
    assert first.content == second.content
    assert second.file("deep/data.txt").read_text() == "hello"
    assert second.fields == {"length": 5}
    assert second.bytes == 5


@pytest.mark.parametrize("victim", ["deep/data.txt", MANIFEST])
def test_one_flipped_byte_is_set_aside_said_and_rebuilt(tmp_path: Path, victim: str) -> None:
    said: list[str] = []
    store = Store(tmp_path, said.append)
    entry = store.obtain("shelf", "k1", build_text("hello"))
    raw = bytearray(entry.file(victim).read_bytes())
    raw[len(raw) // 2] ^= 1
    entry.file(victim).write_bytes(raw)
    assert store.try_load("shelf", "k1") is None
    again = store.obtain("shelf", "k1", build_text("hello"))
    assert again.file("deep/data.txt").read_text() == "hello"
    assert any("damaged store entry" in line for line in said)
    kept = [p for p in (tmp_path / "shelf").iterdir() if ".bad-" in p.name]
    assert len(kept) == 1, "the damaged entry is kept for whoever wants to look"


@pytest.mark.parametrize("lost", ["deep/data.txt", MANIFEST])
def test_a_lost_file_is_rebuilt(tmp_path: Path, lost: str) -> None:
    store = Store(tmp_path, lambda line: None)
    store.obtain("shelf", "k1", build_text("hello")).file(lost).unlink()
    assert store.try_load("shelf", "k1") is None
    assert store.obtain("shelf", "k1", build_text("hello")).file("deep/data.txt").read_text() == "hello"


def test_a_build_that_fails_publishes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fails(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("written")
        raise RuntimeError("died")

    with pytest.raises(RuntimeError):
        store.obtain("shelf", "k1", fails)
    assert store.try_load("shelf", "k1") is None
    assert not [p for p in (tmp_path / "shelf").iterdir() if p.is_dir()]
    assert store.obtain("shelf", "k1", build_text("ok")).fields == {"length": 2}


def _hang(root: Path, started: Any) -> None:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("half")
        started.set()
        time.sleep(60)
        return {}

    Store(root).obtain("shelf", "k1", build)


def test_killed_in_the_middle_leaves_nothing_to_be_read(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    started = fork.Event()
    child = fork.Process(target=_hang, args=(tmp_path, started))
    child.start()
    assert started.wait(30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    store = Store(tmp_path)
    assert store.try_load("shelf", "k1") is None
    assert store.obtain("shelf", "k1", build_text("whole")).fields == {"length": 5}


def _race(root: Path, log: Path) -> None:
    def build(folder: Path) -> dict[str, Any]:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.5)
        (folder / "data").write_text("x" * 1000)
        return {}

    entry = Store(root, lambda line: None).obtain("shelf", "k1", build)
    assert entry.file("data").read_text() == "x" * 1000


def test_two_runs_at_once_build_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    children = [spawn.Process(target=_race, args=(tmp_path / "store", log)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert log.read_text() == "built\n"


def test_a_full_disk_gets_a_sentence_and_keeps_what_was_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.obtain("shelf", "before", build_text("kept"))

    def full(folder: Path) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "big"))

    with pytest.raises(OutOfSpace, match="No space left") as error:
        store.obtain("shelf", "k1", full)
    assert "--store" in error.value.remedy
    assert store.try_load("shelf", "before")


def test_a_really_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def build(folder: Path) -> dict[str, Any]:
        (folder / "link").symlink_to(full)
        (folder / "link").write_bytes(b"x" * 100_000)
        return {}

    with pytest.raises(OutOfSpace):
        Store(tmp_path).obtain("shelf", "k1", build)


def test_write_atomic_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file.json"
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(target.parent.iterdir()) == [target]
