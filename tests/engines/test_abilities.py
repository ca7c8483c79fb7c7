"""What sessions are able to do, asked of real ones: TensorRT's can do all, a processor's nothing beyond running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_trt import Stage

from engines.abilities import PreprocessesPhotographs, Streams, TimesDevice
from engines.base import EngineSpec, Plan
from engines.catalog import ENGINES, engine

ABILITIES = (Streams, TimesDevice, PreprocessesPhotographs)


@pytest.mark.parametrize("ability", ABILITIES)
def test_tensorrts_sessions_have_every_ability(ability: type, tmp_path: Path) -> None:
    with Stage(tmp_path).open() as session:
        assert isinstance(session, ability)


@pytest.mark.parametrize("ability", ABILITIES)
@pytest.mark.parametrize("name", ["null", "torch", "ort", "openvino"])
def test_a_processors_sessions_have_none(ability: type, name: str, planned: Callable[..., Plan]) -> None:
    runner = engine(name)
    if not runner.available().ok:
        pytest.skip(runner.available().reason)
    with runner.load(planned(name)) as session:
        assert type(session) is runner.session
        assert not isinstance(session, ability)


def test_an_engine_tells_before_a_session_is_open() -> None:
    able = {
        str(runner.spec)
        for name in ENGINES
        for provider in ENGINES.get(name).providers
        if issubclass((runner := engine(EngineSpec(name, provider))).session, PreprocessesPhotographs)
    }
    assert able == {f"{name}:{p}" for name in ("trt", "trt-rtx") for p in ("gpu", "nograph", "compatible", "dynamic")}
