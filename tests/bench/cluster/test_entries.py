"""Entries that travel: from a store to another, compared with their hashes when they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from export.store import MANIFEST, Entry, Store

pytest.importorskip("ray", reason="Ray is not installed")

from bench.cluster.entries import Register, listed, packed


class Other:
    """One other store, as a peer; it may damage what it gives."""

    def __init__(self, root: Path, damage: bytes = b"") -> None:
        self.root, self.damage, self.heard = root, damage, list[tuple[str, str]]()

    def files(self, kind: str, key: str, /) -> Mapping[str, bytes] | None:
        found = packed(str(self.root), kind, key)
        if found is None:
            return None
        return {name: content if name == MANIFEST else content + self.damage for name, content in found.items()}

    def built(self, kind: str, key: str, /) -> None:
        self.heard.append((kind, key))


def make(store: Store, content: str = "first") -> Entry:
    def build(folder: Path) -> dict[str, str]:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text(content)
        return {"from": content}

    return store.obtain("onnx", "k" * 32, build)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Store, Store]:
    return tuple(Store(tmp_path / name, lambda line: None) for name in ("here", "there"))  # type: ignore[return-value]


def test_what_a_peer_has_is_not_built_again(pair: tuple[Store, Store]) -> None:
    here, there = pair
    made = make(there)
    here.peers = Other(there.root)
    found = make(here, "never built")
    assert (found.content, found.fields) == (made.content, {"from": "first"})
    assert found.file("deep/file").read_text() == "first"
    assert here.peers.heard == []


def test_what_nobody_has_is_built_and_told(pair: tuple[Store, Store]) -> None:
    here, there = pair
    here.peers = peer = Other(there.root)
    assert here.try_load("onnx", "k" * 32) is None
    assert make(here).fields == {"from": "first"}
    assert peer.heard == [("onnx", "k" * 32)]


def test_what_arrives_damaged_is_said_and_built_here(pair: tuple[Store, Store]) -> None:
    here, there = pair
    make(there)
    said: list[str] = []
    here.say = said.append
    here.peers = Other(there.root, b"!")
    assert make(here, "second").fields == {"from": "second"}
    assert any("arrived damaged (deep/file)" in line for line in said)
    assert sorted(path.name for path in (here.root / "onnx").iterdir()) == ["k" * 32, f"{'k' * 32}.lock"]


def test_the_register_knows_every_place_and_a_store_lists_what_may_travel(pair: tuple[Store, Store]) -> None:
    here, _ = pair
    make(here)
    here.obtain("maps", "m" * 32, lambda folder: {})
    assert listed(here.root) == (("onnx", "k" * 32),)
    register = Register()
    register.add(("a", "/a"), listed(here.root))
    register.add(("b", "/b"), [("onnx", "k" * 32)])
    assert register.where("onnx", "k" * 32) == [("a", "/a"), ("b", "/b")]
    assert register.where("plan", "k" * 32) == []
