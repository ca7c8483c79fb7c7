from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from export import child
from export.errors import CellError, Unavailable


def work(job: dict[str, Any]) -> Any:
    """What the children below do: they import this module by its name."""
    what = job["what"]
    if what == "value":
        return {"seen": job["values"]}
    if what == "sentence":
        raise Unavailable("Not here.", "Because.", "another way")
    if what == "timm":
        raise ModuleNotFoundError("No module named 'timm'", name="timm")
    if what == "bug":
        raise ZeroDivisionError("deep inside")
    if what == "endless":
        child.deadline(1)
        time.sleep(60)
    os.kill(os.getpid(), getattr(signal, what))
    return None


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))


def test_a_value_comes_back() -> None:
    assert child.alone("test_child:work", {"what": "value", "values": [1, "ü"]}, "It") == {"seen": [1, "ü"]}


def test_a_sentence_comes_back_whole() -> None:
    with pytest.raises(Unavailable) as caught:
        child.alone("test_child:work", {"what": "sentence"}, "It")
    assert (caught.value.what, caught.value.why, caught.value.remedy) == ("Not here.", "Because.", "another way")


def test_a_library_that_a_child_lacks_is_named_with_its_extra() -> None:
    with pytest.raises(Unavailable, match=r"need timm, which is not installed\.\nTry: pip install .*\[export\]"):
        child.alone("test_child:work", {"what": "timm"}, "It")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="deep inside") as raised:
        child.alone("test_child:work", {"what": "bug"}, "It")
    assert "in work" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("what", "words"),
    [("SIGSEGV", "It crashes.*SIGSEGV"), ("SIGKILL", "memory of this machine"), ("endless", "It does not end")],
)
def test_a_death_is_a_sentence(what: str, words: str) -> None:
    with pytest.raises(CellError, match=f"(?s){words}"):
        child.alone("test_child:work", {"what": what}, "It")


def test_there_is_no_deadline_outside_a_child() -> None:
    child.deadline(1)
    assert signal.alarm(0) == 0
