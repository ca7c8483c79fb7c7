"""Files at an address, from a server of this machine that breaks off, goes on, changes and refuses."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from export.errors import OutOfSpace, Unavailable, UserError
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone
from export.zoo.download import fetched, here, recorded
from export.zoo.readers import ByLayout
from export.zoo.sources import Checkpoint, TimmModel, UrlFile

CONTENT = bytes(range(256)) * 12_000
"""About three MiB."""


@dataclass
class Server:
    """What it serves, and what it was asked."""

    port: int
    content: bytes = CONTENT
    break_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers ends."""
    tag: str = '"1"'
    ranges: list[str] = field(default_factory=list)

    @property
    def file(self) -> UrlFile:
        return UrlFile(f"http://127.0.0.1:{self.port}/weights/net.pth.tar?x=1")


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.ranges.append(asked)
            if not self.path.startswith("/weights/net"):
                self.send_error(404)
                return
            at = int(asked.removeprefix("bytes=").rstrip("-") or 0) if self.headers.get("If-Range") == state.tag else 0
            if asked and at >= len(state.content):
                self.send_error(416)
                return
            self.send_response(206 if at else 200)
            self.send_header("Content-Length", str(len(state.content) - at))
            if state.tag:
                self.send_header("ETag", state.tag)
            self.end_headers()
            rest = state.content[at:]
            self.wfile.write(rest[: state.break_after.pop(0)] if state.break_after else rest)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(http.server_port)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield state
        http.shutdown()


def backbone(file: UrlFile) -> Backbone:
    return Backbone("x", TimmModel("resnet50", Checkpoint(file, ByLayout(()))), licence="mit")


def test_a_file_is_downloaded_once_and_its_hash_recorded(server: Server, store: Store) -> None:
    assert not here(server.file, store)
    assert recorded(server.file, store) == ""
    file = fetched(server.file, "mit", store)
    assert (file.name, file.read_bytes()) == ("net.pth.tar", CONTENT)
    assert recorded(server.file, store) == hashlib.sha256(CONTENT).hexdigest()
    assert here(server.file, store)
    assert fetched(server.file, "mit", store) == file
    assert len(server.ranges) == 1
    assert list((store.root / "urls").glob("*.part")) == []


def test_a_download_that_breaks_off_goes_on_by_itself(server: Server, store: Store) -> None:
    server.break_after = [1_500_000, 700_000]
    assert fetched(server.file, "", store).read_bytes() == CONTENT
    assert server.ranges == ["", "bytes=1500000-", "bytes=2200000-"]


def test_a_download_that_was_given_up_goes_on_with_the_next_command(server: Server, store: Store) -> None:
    server.break_after = [1_500_000, 0]
    with pytest.raises(Unavailable, match=r"net.pth.tar could not be downloaded(.|\n)*it goes on after 1.4 MiB"):
        fetched(server.file, "", store)
    assert fetched(server.file, "", store).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=1500000-"


@pytest.mark.parametrize("tag", ['"2"', "", 'W/"2"'])
def test_a_file_that_changed_in_between_is_begun_again(tag: str, server: Server, store: Store) -> None:
    server.break_after = [1_500_000, 0]
    if tag != '"2"':  # without a version, nobody can say whether the rest belongs to it
        server.tag = tag
    with pytest.raises(Unavailable):
        fetched(server.file, "", store)
    server.content, server.tag = CONTENT[::-1], tag
    assert fetched(server.file, "", store).read_bytes() == CONTENT[::-1]


def test_other_bytes_than_the_first_time_are_refused(server: Server, store: Store) -> None:
    first = fetched(server.file, "", store)
    first.chmod(0o644)
    first.write_bytes(b"damaged")
    again = Store(store.root, lambda line: None)
    server.content = CONTENT[::-1]
    with pytest.raises(UserError, match=r"net.pth.tar is not the file that it was(.|\n)*downloaded first"):
        fetched(server.file, "", again)
    server.content = CONTENT
    assert fetched(server.file, "", again).read_bytes() == CONTENT


def test_a_pinned_hash_is_held_to(server: Server, store: Store) -> None:
    pinned = UrlFile(server.file.url, "0" * 64)
    with pytest.raises(UserError, match=r"not the file that it was(.|\n)*It is pinned"):
        fetched(pinned, "", store)
    right = UrlFile(server.file.url, hashlib.sha256(CONTENT).hexdigest())
    assert fetched(right, "", store).read_bytes() == CONTENT
    assert weights.digest(backbone(right), store) == right.sha256


def test_what_is_not_there_gets_a_sentence(server: Server, store: Store) -> None:
    with pytest.raises(Unavailable, match=r"could not be downloaded(.|\n)*404 Not Found"):
        fetched(UrlFile(f"http://127.0.0.1:{server.port}/gone.pth"), "", store)
    with pytest.raises(Unavailable, match=r"could not be downloaded(.|\n)*refused"):
        fetched(UrlFile("http://127.0.0.1:1/net.pth"), "", store)


def test_a_disk_that_is_too_small_is_said_before_the_download(
    server: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1 << 20))
    with pytest.raises(OutOfSpace, match=r"Too little space is free for net.pth.tar(.|\n)*2 MiB are needed"):
        fetched(server.file, "", store)


def test_a_backbones_weights_come_from_there_and_its_key_needs_no_second_download(server: Server, store: Store) -> None:
    row = backbone(server.file)
    assert weights.identity(row) == server.file.url
    assert not weights.here(row, store)
    digest = weights.digest(row, store)
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert weights.here(row, store)
    assert weights.source(row, store) == {"weights": row.weights, "sha256": digest, "url": server.file.url}
    assert len(server.ranges) == 1
    fetched_file = weights.fetch(row, store)
    assert isinstance(fetched_file, Path)
