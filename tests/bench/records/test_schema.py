"""Files that older versions wrote: they load, they are ranked, and nothing in them is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import rank, robustness
from bench.records.parts import Cell, GpuMonitoring, Monitoring, SampleSeries, Shift
from bench.records.record import ScoreRecord, TimingRecord, read
from bench.records.results import Results
from bench.records.schema import SCHEMA, upgrade
from bench.verdict.table import rows, sheet_of
from export.errors import UserError

HERE = Path(__file__).parent
FIRST, DRAWS, TIMED, SHIFTED = (HERE / f"record-{n}.json" for n in ("1", "2", "2-timing", "2-shift"))
LITE = Cell("efficientnet_lite0", "ort:cpu", "fp32", "cpu", (1, 8), 2)


def score(path: Path) -> ScoreRecord:
    record = read(path)
    assert isinstance(record, ScoreRecord)
    assert (record.status, record.schema) == ("ok", SCHEMA)
    return record


def timing(path: Path) -> TimingRecord:
    record = read(path)
    assert isinstance(record, TimingRecord)
    assert (record.status, record.schema) == ("ok", SCHEMA)
    return record


def document(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def written(folder: Path, *documents: dict[str, Any]) -> Path:
    for number, one in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return folder


def test_the_record_of_schema_1_still_loads() -> None:
    record = score(FIRST)
    assert record.per_draw == []
    assert record.cell == LITE
    assert (record.subject.name, record.subject.data_digest) == ("knn@drawings", "0123456789abcdef")
    assert record.subject.outputs == ("features",)
    assert record.subject.settings == {"k": 20, "temperature": 0.07}
    assert record.keys.features == ("d" * 32,)
    assert (record.about.family, record.about.parameters, record.about.input) == ("CNN", 3412000, (224, 224))
    assert (record.environment.id, record.environment.libraries) == ("f00dcafe", {"numpy": "2.0.0"})
    main = record.main
    assert (main.name, main.value, main.unit, main.higher_is_better, main.n) == ("accuracy", 62.5, "%", True, 8)
    assert record.per_sample == [100, 0, 100, 100, 0, 100, 0, 100]
    assert (record.chosen, record.sweep) == ({"k": 20}, [{"k": 1, "val_accuracy": 50.0}])
    assert record.parity is not None
    assert record.parity.passed
    assert (record.parity.output, record.parity.cosine_min, record.parity.images) == ("features", 0.999999, 0)
    missing = record.metric("log_loss")
    assert missing is not None
    assert missing.value is None
    assert missing.note == "not computed"
    assert record.metric("absent") is None


@pytest.mark.parametrize(("licence", "published"), [("MIT", "drawings"), ("", "")])
def test_records_of_schema_1_tell_named_sets_by_their_licence(tmp_path: Path, licence: str, published: str) -> None:
    one = document(FIRST)
    one["subject"]["data_licence"] = licence
    written(tmp_path, one)
    assert score(tmp_path / "0.json").subject.published == published


def test_the_record_of_schema_2_tells_the_draws() -> None:
    record = score(DRAWS)
    assert record.per_draw == [75, 50]
    assert (record.subject.task, record.subject.shift) == ("few_shot", None)


def test_a_timing_of_schema_2_keeps_every_sample_and_what_was_seen_beside_it() -> None:
    old, record = document(TIMED), timing(TIMED)
    samples = old["samples"]
    assert record.series == [
        SampleSeries("latency", 0, samples["latency/0"], warm_up=16, settled=False),
        SampleSeries("latency", 1, samples["latency/1"], warm_up=14, settled=False),
    ]
    gpu = GpuMonitoring(327155712, (1410, 1980), (41, 47))
    busy = GpuMonitoring(327155712, power_capped=True)
    assert record.monitoring == [
        Monitoring(0.0, clock_mhz=(2445, 2445), gpu=gpu),
        Monitoring(0.08, disturbed=True, clock_mhz=(2445, 2445), temperature_c=(38.5, 44), gpu=busy, repeat=1),
    ]
    assert record.placement == old["detail"]["placement"]
    assert record.subject.images == 28
    assert record.arithmetic == {"fp32": 49}
    assert record.parity is not None
    assert record.parity.images == 20
    assert record.environment.gpu == {"name": "Imaginary GPU", "capability": "8.6", "driver": "999.1"}
    assert record.about.dim == 1280
    assert [m.name for m in record.metrics] == [m["name"] for m in old["metrics"]]


def test_series_of_several_names_and_repeats_stay_apart(tmp_path: Path) -> None:
    one = document(TIMED)
    one["samples"] = {"batch_1/0": [1], "batch_8/0": [2], "batch_1/10": [3], "batch_8/10": []}
    one["detail"] |= {"warm_up": [4, 5, 6, 7], "settled": True}
    written(tmp_path, one)
    found = [(s.name, s.repeat, s.samples, s.warm_up, s.settled) for s in timing(tmp_path / "0.json").series]
    assert found == [
        ("batch_1", 0, [1], 4, True),
        ("batch_8", 0, [2], 5, True),
        ("batch_1", 10, [3], 6, True),
        ("batch_8", 10, [], 7, True),
    ]


@pytest.mark.parametrize("samples", [{"latency": [1]}, {"latency/one": [1]}, {"latency/0": [1], "latency/1": "two"}])
def test_a_series_that_nobody_wrote_is_refused(tmp_path: Path, samples: dict[str, Any]) -> None:
    written(tmp_path, document(TIMED) | {"samples": samples})
    with pytest.raises(UserError, match=r"0\.json is not a record"):
        read(tmp_path / "0.json")


def test_a_shift_of_schema_2_is_known_by_its_name_and_the_note_on_its_splits() -> None:
    assert score(SHIFTED).subject.shift == Shift("set", "grey", ("set|grey", "set"))


@pytest.mark.parametrize(
    ("data", "splits", "shift"),
    [
        ("a→b", "given", None),
        ("a→b", "train and val of a→b (given), test is all of c", None),
        ("a→b→c", "train and val of a→b (given), test is all of c", Shift("a→b", "c", ("a→b|c", "a→b"))),
        ("a→b→c", "train and val of a (given), test is all of b→c", Shift("a", "b→c", ("a|b→c", "a"))),
        ("a|b", "given; the 2 classes of b", None),
    ],
)
def test_an_arrow_in_a_name_alone_is_no_shift(tmp_path: Path, data: str, splits: str, shift: Shift | None) -> None:
    one = document(SHIFTED)
    one["subject"] |= {"data": data, "splits_from": splits}
    written(tmp_path, one)
    record = score(tmp_path / "0.json")
    assert (record.subject.data, record.subject.shift) == (data, shift)


@pytest.mark.parametrize(
    ("engine", "precision", "reference"),
    [("made:eager", "fp32", True), ("made:eager", "bf16", False), ("eager:cpu", "fp32", False)],
)
def test_the_reference_of_schema_2_is_the_eager_engine_in_fp32(
    tmp_path: Path, engine: str, precision: str, reference: bool
) -> None:
    one = document(DRAWS)
    one["cell"] |= {"engine": engine, "precision": precision}
    written(tmp_path, one)
    assert read(tmp_path / "0.json").cell.reference == reference


def test_weights_of_schema_3_are_those_of_its_source_and_lost_images_become_a_remark(tmp_path: Path) -> None:
    one = document(HERE / "record-3-score.json")
    assert one["subject"]["unreadable"] == 1
    packaged, downloaded, random = (json.loads(json.dumps(one)) for _ in range(3))
    packaged["about"]["source"] |= {"sha256": "ab" * 32}
    downloaded["about"]["source"] |= {"sha256": "ab" * 32, "repository": "timm/some", "commit": "c0ffee"}
    random["about"]["source"] |= {"sha256": "random, seed 0"}
    random["cell"] |= {"untrained": True}
    written(tmp_path, packaged, downloaded, random)
    found = [score(tmp_path / f"{i}.json") for i in range(3)]
    assert [r.cell.weights for r in found] == ["ab" * 32, "", ""]
    assert {r.subject.remarks for r in found} == {("left out: 1 unreadable image",)}


def test_old_and_new_files_join_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = document(SHIFTED)
    base["subject"] |= {"data": "set", "splits_from": "given"}
    base |= {"key": "base", "protocol": "base"}
    base["metrics"][0] |= {"value": 100.0}
    documents = [*map(document, sorted(HERE.glob("record-[123]*.json"))), base]
    for one in documents:  # one network, whose weights not every old record knew
        one["backbone" if one["schema"] < 3 else "about"]["source"] = {"sha256": "ab" * 32}
    folder = written(tmp_path, *documents)
    found, notes = rows(Results.load(folder))
    new, lite = found
    assert notes == ["* emulated: the engine computes most of the network in another precision than the file's."]
    assert lite.cell == replace(LITE, weights="ab" * 32)
    assert set(lite.scores) == {"knn@drawings", "few_shot@drawings", "knn@set→grey", "knn@set"}
    assert set(lite.timings) == {"single_stream"}
    assert set(new.scores) == {"few_shot@set→grey"}
    assert set(new.timings) == {"single_stream"}
    assert [r.key for r in new.troubles] == ["35112233445566778899aabbccddeeff"]
    assert [str(flag) for flag in lite.flags] == [
        "single_stream: in repeat 2 other processes took 8% of the cores",
        "single_stream: only 28 different images in rotation",
        "single_stream: had not settled when measuring began",
        "single_stream: noise 28.0 %",
        "single_stream: repeat spread 12.6 %",
    ]
    sheet = sheet_of(Results.load(folder))
    assert sheet.remarks == ("set→grey: left out: 1 unreadable image",)
    assert sheet.cost("device_memory_mib")[1][1] == 312
    assert sheet.cost("latency_p50_ms")[1].tolist() == [1.5, pytest.approx(13.4, abs=2)]
    assert rank.main([str(folder), "--setting", "few_shot@drawings", "--setting", "knn@drawings"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if "ort:cpu" in x)
    assert "62.5±18.3" in line
    assert line.startswith("1 ● ")
    assert robustness.main([str(folder)]) == 0
    assert "| knn | set→grey | efficientnet_lite0 · ort:cpu · fp32 | 100.0 | 50.0 | 50.0 ± " in capsys.readouterr().out


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    written(tmp_path, document(FIRST) | {"schema": SCHEMA + 1})
    with pytest.raises(UserError, match=f"schema {SCHEMA + 1}.*\\n.*update"):
        read(tmp_path / "0.json")


@pytest.mark.parametrize("schema", [None, "1", 0, -1, 1.5])
def test_a_document_without_a_schema_is_refused(schema: object) -> None:
    with pytest.raises(UserError, match="no schema version"):
        upgrade({"schema": schema})


def test_the_input_of_schema_5_is_a_size_and_a_resize(tmp_path: Path) -> None:
    five = document(HERE / "record-5-score.json")
    texts = ("352x480 letterbox", "128x128", "squash", "")
    written(tmp_path, *(five | {"cell": five["cell"] | {"input": text}} for text in texts))
    cells = [score(tmp_path / f"{i}.json").cell for i in range(4)]
    assert [(c.size, c.resize, c.depth) for c in cells] == [
        ("352x480", "letterbox", 0),
        ("128x128", "", 0),
        ("", "squash", 0),
        ("", "", 0),
    ]
    assert [c.input for c in cells] == list(texts)
    six = score(HERE / "record-6-score.json").cell
    assert six == replace(cells[0], depth=3)
    assert str(six) == "efficientnet_lite0 · 352x480 letterbox · depth 3 · imaginary:gpu · int8"


def test_a_record_of_schema_6_from_before_machines_had_limits_has_none(tmp_path: Path) -> None:
    one = document(HERE / "record-6-timing.json")
    for name in ("l4t", "jetpack", "power_mode", "clock_cap_mhz", "governor"):
        del one["environment"][name]
    for beside in one["monitoring"]:
        del beside["throttling"]
    written(tmp_path, one)
    found = timing(tmp_path / "0.json")
    assert found.environment.name == "Imaginary Board"
    assert found.environment.clock_cap_mhz == ()
    assert {m.throttling for m in found.monitoring} == {()}


def test_a_record_of_schema_6_from_before_energy_was_read_has_none(tmp_path: Path) -> None:
    one = document(HERE / "record-6-timing.json")
    del one["energy"]
    written(tmp_path, one)
    assert timing(tmp_path / "0.json").energy is None


def test_the_monitoring_of_schema_6_is_of_whole_repeats() -> None:
    found = timing(HERE / "record-6-timing.json").monitoring
    assert [(m.series, m.repeat, m.attempts) for m in found] == [("", 0, 1), ("", 1, 1)]
    assert (found[1].trouble, found[1].stolen_share) == ("other processes took 25% of the cores", 0.0)
    newer = timing(HERE / "record-7-timing.json").monitoring
    assert newer[1].trouble == "other processes took 25% of the cores, the hypervisor took 7% of the cores"
