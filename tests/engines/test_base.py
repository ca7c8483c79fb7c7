"""What every engine must do, on one real network: the same features, whatever the batch and the thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engines import ov
from engines.base import Availability, EngineSpec, Pixels, Plan, Profile, Purpose, Session
from engines.catalog import BASELINE, ENGINES, engine
from engines.ort.engine import OrtEngine
from export.artifact import ONNX, Artifact
from export.errors import CellError, Unavailable, UserError
from export.reference import normalize
from export.store import Store

Planned = Callable[..., Plan]
REAL = ["ort", "openvino", "ncnn", "torch"]


def opened(plan: Plan) -> Session:
    return engine(plan.engine).load(plan)


@pytest.fixture(scope="module")
def eager(artifact: Artifact, pixels: Pixels) -> npt.NDArray[np.float32]:
    """The features of the module itself, on the reference's own normalisation."""
    import torch
    from nets import tiny

    with torch.inference_mode():
        found: npt.NDArray[np.float32] = tiny()(torch.from_numpy(normalize(pixels, artifact.preprocess))).numpy()
    return found


@pytest.fixture(params=REAL)
def plan(request: pytest.FixtureRequest, planned: Planned) -> Plan:
    asked = engine(request.param).available()
    if not asked.ok:
        pytest.skip(asked.reason)
    return planned(request.param)


def assert_close(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() >= 0.9999
    assert np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_same_features_as_eager(plan: Plan, pixels: Pixels, eager: npt.NDArray[np.float32]) -> None:
    with opened(plan) as session:
        assert_close(session.run(pixels)["features"], eager)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own import of its compiler
def test_compiled_gives_the_same_features(planned: Planned, pixels: Pixels, eager: npt.NDArray[np.float32]) -> None:
    asked = engine("torch:compiled").available()
    if not asked.ok:
        pytest.skip(asked.reason)
    with opened(planned("torch:compiled")) as session:
        assert_close(session.run(pixels)["features"], eager)


def test_features_do_not_depend_on_the_batch(plan: Plan, pixels: Pixels) -> None:
    with opened(plan) as session:
        whole = session.run(pixels)["features"]
        alone = np.concatenate([session.run(pixels[i : i + 1])["features"] for i in range(4)])
        turned = session.run(np.ascontiguousarray(pixels[::-1]))["features"][::-1]
    scale = np.abs(whole).max()
    assert np.abs(whole - alone).max() <= 1e-5 * scale
    assert np.abs(whole - turned).max() <= 1e-5 * scale


def test_outputs_belong_to_the_caller(plan: Plan, pixels: Pixels) -> None:
    with opened(plan) as session:
        first = session.run(pixels)["features"]
        kept = first.copy()
        session.run(255 - pixels)
        np.testing.assert_array_equal(first, kept)
        first[:] = 0  # writable
    assert kept.any()


@pytest.mark.parametrize("name", ["ort", "openvino", "ncnn"])
def test_several_threads_get_what_one_gets(name: str, planned: Planned, pixels: Pixels) -> None:
    with opened(planned(name)) as session:
        alone = [session.run(pixels[i : i + 1])["features"] for i in range(4)]
    with opened(planned(name, streams=2)) as session, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: session.run(pixels[i % 4 : i % 4 + 1])["features"], range(40)))
    for i, found in enumerate(together):
        np.testing.assert_allclose(found, alone[i % 4], rtol=1e-5, atol=1e-6)


def test_streams_and_threads_are_no_part_of_the_plan(planned: Planned) -> None:
    assert planned("openvino", streams=2).path == planned("openvino").path
    a, b = engine(EngineSpec("ort", "cpu", 1, 1)), engine(EngineSpec("ort", "cpu", 2, 2))
    assert a.plan_key("k", Profile((1,))) == b.plan_key("k", Profile((1,)))


@pytest.mark.parametrize("name", ["ort", "openvino", "ncnn"])
def test_a_plan_does_not_tell_what_was_built_before_it(
    name: str, artifact: Artifact, room: Store, tmp_path: Path
) -> None:
    for store in "ab":
        (tmp_path / store).mkdir()
        (tmp_path / store / "onnx").symlink_to(room.root / "onnx")
    try:
        first, second = (engine(name).plan(artifact, Profile((1,)), Store(tmp_path / store)) for store in "ab")
    except Unavailable as error:
        pytest.skip(str(error))
    assert first.path != second.path
    assert first.content == second.content


def test_plan_key_holds_artifact_profile_engine_and_provider() -> None:
    keys = [
        engine(name).plan_key(onnx, Profile(batches))
        for name in (BASELINE, "ort", "ort:cuda", "openvino", "torch", "torch:compiled")
        for onnx in ("a", "b")
        for batches in ((1,), (1, 8))
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("wrong", ["dtype", "shape", "batch", "closed"])
def test_wrong_use_is_a_sentence(wrong: str, planned: Planned, pixels: Pixels) -> None:
    session = opened(planned("null"))
    given: dict[str, tuple[npt.NDArray[np.generic], str]] = {
        "dtype": (pixels.astype(np.float32), r"takes uint8 \[n, 32, 32, 3\].\nGiven: float32 \[4, 32, 32, 3\]"),
        "shape": (pixels[:, :31], r"Given: uint8 \[4, 31, 32, 3\]"),
        "batch": (pixels[:3], r"not built for batches of 3.\nIts profile has 1, 4"),
        "closed": (pixels, "closed"),
    }
    if wrong == "closed":
        session.close()
        session.close()
    with pytest.raises(UserError, match=given[wrong][1]):
        session.run(given[wrong][0])  # type: ignore[arg-type]


def test_placement_names_every_node(planned: Planned, pixels: Pixels) -> None:
    for name, provider in (("ort", "CPUExecutionProvider"), ("openvino", "CPU")):
        with opened(planned(name)) as session:
            session.run(pixels)
            placed = session.placement()
        assert set(placed.nodes) == {provider}
        assert placed.nodes[provider] > 10
    assert placed.precisions["f32"] > 10
    assert not {"bf16", "f16"} & set(placed.precisions)


@pytest.mark.parametrize("name", ["ort", "openvino", "ncnn"])
def test_damaged_plan_is_set_aside_and_rebuilt(
    name: str, planned: Planned, artifact: Artifact, room: Store, pixels: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(name)
    with opened(plan) as session:
        before = session.run(pixels)["features"]
    file = max(plan.path.iterdir(), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    again = planned(name)
    assert "damaged store entry" in capsys.readouterr().err
    assert again.key == plan.key
    with opened(again) as session:
        np.testing.assert_array_equal(session.run(pixels)["features"], before)
    assert room.try_load("onnx", artifact.key) is not None  # the damage did not reach the artifact


@pytest.mark.parametrize("name", ["ort", "openvino", "ncnn"])
def test_file_that_does_not_load_is_a_failed_cell(name: str, artifact: Artifact, tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / ONNX).write_bytes(b"not a network")
    broken = replace(artifact, key="broken", path=tmp_path)
    if not (here := engine(name).available()).ok:
        pytest.skip(here.reason)
    with pytest.raises(CellError, match="cannot") as failure:
        engine(name).plan(broken, Profile(), Store(tmp_path / "store"))
    assert failure.value.why


def test_precision_that_an_engine_lacks_is_a_failed_cell(artifact: Artifact, room: Store) -> None:
    from dataclasses import replace

    from export.spec import Precision

    with pytest.raises(CellError, match="does not run bf16"):
        engine("ort").plan(replace(artifact, precision=Precision.BF16), Profile(), room)


def test_unknown_names_are_sentences() -> None:
    with pytest.raises(UserError, match="Did you mean openvino"):
        engine("openvin")
    with pytest.raises(UserError, match="no provider 'rocm'"):
        engine("ort:rocm")


def test_every_engine_says_whether_it_runs_here() -> None:
    for name in ENGINES:
        for provider in ENGINES.get(name).providers:
            plug_in = engine(EngineSpec(name, provider))
            found = plug_in.available()
            assert found.ok or found.reason.endswith(".")
            if found.ok:
                assert found.version
            else:
                with pytest.raises(Unavailable, match="cannot run on this machine"):
                    plug_in.require()


def test_a_plan_that_the_store_has_needs_no_builder(
    planned: Planned, artifact: Artifact, room: Store, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, probe = planned("ort"), OrtEngine._probe

    def only_the_runtime(self: OrtEngine, purpose: Purpose) -> Availability:
        return Availability(False, "The builder is missing.") if purpose == "build" else probe(self, purpose)

    monkeypatch.setattr(OrtEngine, "_probe", only_the_runtime)
    runner = engine(plan.engine)
    assert runner.available().ok
    again = runner.plan(artifact, plan.profile, room)
    assert again == plan
    with opened(again) as session:
        assert session.run(pixels)["features"].any()
    with pytest.raises(Unavailable, match=r"'ort:cpu' cannot build on this machine\.\nThe builder is missing"):
        runner.plan(artifact, Profile((2,)), room)


def test_null_answers_zeros(planned: Planned, pixels: Pixels) -> None:
    with opened(planned(BASELINE)) as session:
        assert session.run(pixels)["features"].shape == (4, 24)
        assert not session.run(pixels)["features"].any()


class Miscompiled:
    """A compilation of OpenVINO that computes something else."""

    def __init__(self, right: Any) -> None:
        self._right = right

    def __getattr__(self, name: str) -> Any:
        return getattr(self._right, name)

    def create_infer_request(self) -> Any:
        request = self._right.create_infer_request()

        def get_tensor(name: str) -> Any:
            return SimpleNamespace(data=-np.array(request.get_tensor(name).data))

        return SimpleNamespace(
            start_async=request.start_async, wait=request.wait, get_tensor=get_tensor, infer=lambda *_, **__: 1 / 0
        )


def test_a_network_that_openvino_compiled_wrongly_is_compiled_again(
    planned: Planned, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("openvino", streams=2)
    with opened(plan) as session:
        wanted = session.run(pixels)["features"]
    compiled, wrong = ov._compile, [True, True, False]

    def now_and_then(*given: Any) -> Any:
        made = compiled(*given)
        return Miscompiled(made) if wrong and wrong.pop(0) else made

    monkeypatch.setattr(ov, "_compile", now_and_then)
    with opened(plan) as session:
        np.testing.assert_allclose(session.run(pixels)["features"], wanted, rtol=1e-5, atol=1e-6)
    assert wrong == []
    monkeypatch.setattr(ov, "_compile", lambda *given: Miscompiled(compiled(*given)))
    with pytest.raises(CellError, match="not deterministic"):
        opened(plan)


def test_a_plan_is_published_only_when_two_compilations_agree(
    artifact: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, calls = ov._compile, []

    def every_other(*given: Any) -> Any:
        calls.append(given)
        made = compiled(*given)
        return Miscompiled(made) if len(calls) % 2 else made

    monkeypatch.setattr(ov, "_compile", every_other)
    plan = engine("openvino").plan(artifact, Profile((1,)), store)
    assert len(calls) == 4  # one that shows that it compiles, then a right, a wrong, a right
    assert (plan.path / ov.PROBE).exists()
