from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from export.errors import Unavailable
from export.store import Store
from export.zoo import hub, weights
from export.zoo.backbones import resolve

QUESTION = "HEAD / HTTP/1.1"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a hub of this machine was asked; it takes every question, and answers none until its first line is set."""
    import huggingface_hub.constants

    questions: list[str] = []
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the server is closed
                while True:
                    caller = server.accept()[0]
                    held.append(caller)
                    questions.append(caller.recv(4096).decode().partition("\r\n")[0])
                    if questions[0].startswith("answer"):
                        caller.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub, "SECONDS", 0.3)
        hub._asked.cache_clear()
        yield questions
        hub._asked.cache_clear()
        server.shutdown(socket.SHUT_RDWR)
    for caller in held:
        caller.close()


def test_a_hub_that_does_not_answer_is_asked_once_and_said_once(
    asked: list[str], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("resnet18", "resnet34", "vit_b"):
        with pytest.raises(Unavailable, match="could not be downloaded") as error:
            weights.fetch(resolve(name), store)
        assert "cannot be reached" in error.value.why
    assert asked.count(QUESTION) == 1
    assert not any("resnet" in line or "vit" in line for line in asked), "no file was asked for"
    assert capsys.readouterr().err.count("only weights that are here are used") == 1


def test_a_hub_that_answers_anything_is_there(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked.append("answer")
    assert hub.answers()
    assert hub.answers()
    assert asked.count(QUESTION) == 1
    assert capsys.readouterr().err == ""


def test_offline_nobody_is_asked(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert not hub.answers()
    assert asked == []
