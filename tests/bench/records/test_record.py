from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.record import SCHEMA, Cell, Failure, Record, protocol_hash, read, upgrade
from export.errors import UserError
from export.spec import Metric

FIRST, GOLDEN = (Path(__file__).parent / f"record-{schema}.json" for schema in (1, SCHEMA))

TEXT = st.text(max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), NUMBER, TEXT)
DOCUMENT = st.dictionaries(TEXT, st.one_of(VALUE, st.lists(VALUE, max_size=3)), max_size=3)
METRIC = st.builds(
    Metric, TEXT, st.one_of(st.none(), NUMBER), TEXT, st.booleans(), st.one_of(st.none(), st.integers(0, 10**6))
)
RECORD = st.builds(
    Record,
    kind=st.sampled_from(["score", "timing"]),
    status=st.sampled_from(["ok", "failed", "skipped"]),
    key=st.text("0123456789abcdef", min_size=1, max_size=32),
    cell=st.builds(Cell, TEXT, TEXT, TEXT, TEXT, st.tuples(st.integers(1, 64)), st.integers(1, 64), st.booleans()),
    subject=DOCUMENT,
    protocol=TEXT,
    keys=st.dictionaries(TEXT, TEXT, max_size=3),
    metrics=st.lists(METRIC, max_size=3).map(tuple),
    failure=st.one_of(st.none(), st.builds(Failure, TEXT, TEXT, TEXT, TEXT)),
    backbone=DOCUMENT,
    environment=DOCUMENT,
    detail=DOCUMENT,
    samples=st.dictionaries(TEXT, st.lists(st.integers(0, 2**62), max_size=4), max_size=2),
    per_sample=st.lists(NUMBER, max_size=4),
    per_draw=st.lists(NUMBER, max_size=4),
    started_at=TEXT,
    seconds=NUMBER,
)


@given(RECORD)
def test_a_record_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, record: Record) -> None:
    folder = tmp_path_factory.mktemp("records")
    path = record.write(folder)
    assert path.name == f"{record.key}.json"
    assert read(path) == record
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_the_record_of_schema_1_still_loads() -> None:
    record = read(FIRST)
    assert (record.kind, record.status, record.schema) == ("score", "ok", SCHEMA)
    assert record.per_draw == []
    assert record.cell == Cell("efficientnet_lite0", "ort:cpu", "fp32", "cpu", (1, 8), 2)
    assert record.subject["data_digest"] == "0123456789abcdef"
    main = record.metrics[0]
    assert (main.name, main.value, main.unit, main.higher_is_better, main.n) == ("accuracy", 62.5, "%", True, 8)
    assert record.per_sample == [100, 0, 100, 100, 0, 100, 0, 100]
    assert record.detail["parity"]["passed"] is True
    missing = record.metric("log_loss")
    assert missing is not None
    assert missing.value is None
    assert missing.note == "not computed"
    assert record.metric("absent") is None


def test_the_record_of_schema_2_tells_the_draws() -> None:
    record = read(GOLDEN)
    assert record.per_draw == [75, 50]
    assert record.subject["task"] == "few_shot"


def test_the_golden_file_is_what_would_be_written_today(tmp_path: Path) -> None:
    document = json.loads(read(GOLDEN).write(tmp_path).read_text())
    assert document == json.loads(GOLDEN.read_text())


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    document = json.loads(GOLDEN.read_text()) | {"schema": SCHEMA + 1}
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=f"schema {SCHEMA + 1}.*\\n.*update"):
        read(path)


@pytest.mark.parametrize("schema", [None, "1", 0, -1, 1.5])
def test_a_document_without_a_schema_is_refused(schema: object) -> None:
    with pytest.raises(UserError, match="no schema version"):
        upgrade({"schema": schema})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_half_written_record_is_refused_by_name(tmp_path: Path, share: float) -> None:
    whole = GOLDEN.read_bytes().rstrip()
    path = tmp_path / "half.json"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"half\.json is not a record"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b'"text"', b"\xff\xfe\x00", b'{"schema": 1}', b'{"schema": 1, "kind": "rumour"}']
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"odd\.json is not a record"):
        read(path)


def test_every_field_of_a_protocol_moves_its_hash() -> None:
    one = protocol_hash("score", data="a", task="knn", settings={"k": 20})
    others = [
        protocol_hash("timing", data="a", task="knn", settings={"k": 20}),
        protocol_hash("score", data="b", task="knn", settings={"k": 20}),
        protocol_hash("score", data="a", task="knn", settings={"k": 21}),
    ]
    assert len({one, *others}) == 4


def test_the_golden_file_has_every_field_of_a_record() -> None:
    assert set(json.loads(GOLDEN.read_text())) == set(Record.__dataclass_fields__)
