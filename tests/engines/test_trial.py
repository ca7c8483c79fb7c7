from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_files import PHOTOGRAPHS, Situation

from engines import trial
from engines.base import Profile
from engines.catalog import engine
from export import child
from export.artifact import Artifact
from export.convert import trial as conversion
from export.convert.onnx_from_torch import artifact
from export.errors import CellError
from export.store import Store
from export.zoo.backbones import resolve

PROFILE = Profile((1, 3))


@pytest.fixture
def made(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    monkeypatch.setattr(conversion, "alone", conversion.made)
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: PHOTOGRAPHS)
    return artifact(resolve(str(Situation().write(tmp_path))), store)


def test_the_plan_of_a_foreign_file_is_built_by_a_child_once(
    made: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def here(target: str, job: dict[str, Any], what: str) -> None:
        asked.append(what)
        trial.work({**job, "batches": list(job["batches"])})

    monkeypatch.setattr(child, "alone", here)
    runner = engine("ort")
    for _ in range(2):
        trial.prove(runner, made, PROFILE, store)
    trial.prove(engine("null"), made, PROFILE, store)
    assert [what.rpartition("/")[2] for what in asked] == ["net on ort:cpu"]
    assert store.try_load("plan", runner.plan_key(made.key, PROFILE))


def test_a_compiler_that_crashes_is_a_sentence(made: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "sys", type("Crashing", (), {"executable": "/bin/false"}))
    with pytest.raises(CellError, match=r"net on ort:cpu crashes the library"):
        trial.prove(engine("ort"), made, PROFILE, store)


def test_other_files_are_built_here(made: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setattr(child, "alone", lambda *_: pytest.fail("a child for a file of our own"))
    trial.prove(engine("ort"), replace(made, source={"request": {"name": "x"}}), PROFILE, store)
