from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import parts
from bench.records.energy import Energy, EnergyWindow
from bench.records.parts import (
    About,
    Cell,
    Environment,
    Extraction,
    Failure,
    GpuMonitoring,
    Keys,
    Monitoring,
    SampleSeries,
    ScenarioSubject,
    Shift,
    TaskSubject,
)
from bench.records.record import ScoreRecord, TimingRecord, protocol_hash, read
from bench.records.schema import SCHEMA
from export.errors import UserError
from export.parity import Parity
from export.spec import Metric

HERE = Path(__file__).parent
GOLDEN = {part: HERE / f"record-{SCHEMA}-{part}.json" for part in ("score", "timing", "failed")}

TEXT = st.text(max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 2**62)
VALUE = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), NUMBER, TEXT)
DOCUMENT = st.dictionaries(TEXT, st.one_of(VALUE, st.lists(VALUE, max_size=3)), max_size=3)
COUNTS = st.dictionaries(TEXT, COUNT, max_size=2)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


METRIC = st.builds(Metric, TEXT, maybe(NUMBER), TEXT, st.booleans(), maybe(COUNT), maybe(NUMBER), TEXT)
SHIFT = st.builds(Shift, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple))
ABOUT = st.builds(
    About,
    family=TEXT,
    parameters=maybe(COUNT),
    gmacs=maybe(NUMBER),
    input=maybe(st.tuples(COUNT, COUNT)),
    preprocess=DOCUMENT,
    dim=maybe(COUNT),
    source=DOCUMENT,
)
ENVIRONMENT = st.builds(
    Environment,
    id=TEXT,
    board=TEXT,
    cores=COUNT,
    memory_mib=NUMBER,
    gpu=maybe(st.dictionaries(TEXT, TEXT, max_size=2)),
    libraries=st.dictionaries(TEXT, TEXT, max_size=2),
)
SHARED = {
    "status": st.sampled_from(["ok", "failed", "skipped"]),
    "key": st.text("0123456789abcdef", min_size=1, max_size=32),
    "cell": st.builds(
        Cell, TEXT, TEXT, TEXT, TEXT, st.lists(COUNT, max_size=3).map(tuple), COUNT, st.booleans(), st.booleans()
    ),
    "protocol": TEXT,
    "keys": st.builds(Keys, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), TEXT),
    "metrics": st.lists(METRIC, max_size=3).map(tuple),
    "failure": maybe(st.builds(Failure, TEXT, TEXT, TEXT, TEXT, TEXT)),
    "about": ABOUT,
    "environment": ENVIRONMENT,
    "parity": maybe(st.builds(Parity, TEXT, NUMBER, NUMBER, NUMBER, COUNT, COUNT, NUMBER, NUMBER, st.booleans())),
    "arithmetic": COUNTS,
    "emulated": TEXT,
    "started_at": TEXT,
    "seconds": NUMBER,
}
SUBJECT = {"version": COUNT, "data": TEXT, "data_digest": TEXT, "settings": DOCUMENT, "protocol": TEXT}
SCORE = st.builds(
    ScoreRecord,
    **SHARED,
    subject=st.builds(
        TaskSubject,
        **SUBJECT,
        task=TEXT,
        published=TEXT,
        splits_from=TEXT,
        outputs=st.lists(TEXT, max_size=2).map(tuple),
        n_test=COUNT,
        shift=maybe(SHIFT),
    ),
    per_sample=st.lists(NUMBER, max_size=4),
    per_draw=st.lists(NUMBER, max_size=4),
    chosen=DOCUMENT,
    sweep=st.lists(DOCUMENT, max_size=2),
    extraction=maybe(st.builds(Extraction, COUNT, NUMBER)),
)
TIMING = st.builds(
    TimingRecord,
    **SHARED,
    subject=st.builds(ScenarioSubject, **SUBJECT, scenario=TEXT, images=COUNT),
    series=st.lists(
        st.builds(
            SampleSeries,
            TEXT,
            COUNT,
            st.lists(COUNT, max_size=4),
            maybe(COUNT),
            COUNT,
            COUNT,
            COUNT,
            st.booleans(),
            TEXT,
        ),
        max_size=2,
    ),
    monitoring=st.lists(
        st.builds(
            Monitoring,
            NUMBER,
            st.booleans(),
            st.booleans(),
            maybe(st.tuples(NUMBER, NUMBER)),
            maybe(st.tuples(NUMBER, NUMBER)),
            maybe(
                st.builds(
                    GpuMonitoring, COUNT, maybe(st.tuples(COUNT, COUNT)), maybe(st.tuples(COUNT, COUNT)), st.booleans()
                )
            ),
            st.lists(TEXT, max_size=2).map(tuple),
            TEXT,
            COUNT,
            NUMBER,
            st.booleans(),
            COUNT,
        ),
        max_size=2,
    ),
    placement=DOCUMENT,
    energy=maybe(
        st.builds(
            Energy,
            TEXT,
            TEXT,
            st.lists(
                st.builds(
                    EnergyWindow,
                    TEXT,
                    COUNT,
                    COUNT,
                    NUMBER,
                    NUMBER,
                    maybe(NUMBER),
                    maybe(NUMBER),
                    st.dictionaries(TEXT, NUMBER, max_size=2),
                    COUNT,
                    TEXT,
                ),
                max_size=2,
            ).map(tuple),
            TEXT,
            TEXT,
        )
    ),
)


@given(st.one_of(SCORE, TIMING))
def test_a_record_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, record: ScoreRecord | TimingRecord
) -> None:
    folder = tmp_path_factory.mktemp("records")
    path = record.write(folder)
    assert path.name == f"{record.key}.json"
    assert read(path) == record
    assert [p.name for p in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("part", GOLDEN)
def test_a_golden_file_is_what_would_be_written_today(tmp_path: Path, part: str) -> None:
    document = json.loads(read(GOLDEN[part]).write(tmp_path).read_text())
    assert document == json.loads(GOLDEN[part].read_text())


def inside(value: Any, document: Any) -> Iterator[tuple[type, str, Any]]:
    """Every field of every dataclass in ``value``, with what the document says at its place."""
    if is_dataclass(value):
        assert set(document) == {f.name for f in fields(value)}, type(value)
        for f in fields(value):
            yield type(value), f.name, document[f.name]
            yield from inside(getattr(value, f.name), document[f.name])
    elif isinstance(value, (list, tuple)):
        for one, written in zip(value, document, strict=True):
            yield from inside(one, written)


def test_the_golden_files_have_every_field_of_every_part_and_a_value_in_it() -> None:
    found: dict[tuple[type, str], list[Any]] = {}
    for path in GOLDEN.values():
        for of, name, value in inside(read(path), json.loads(path.read_text())):
            found.setdefault((of, name), []).append(value)
    types = {of for of, _ in found}
    abstract = {parts.Subject}
    assert types >= {one for one in vars(parts).values() if isinstance(one, type) and is_dataclass(one)} - abstract
    assert types >= {ScoreRecord, TimingRecord, Metric, Parity, Energy, EnergyWindow}
    never = {(of.__name__, name) for (of, name), values in found.items() if not any(v or v is False for v in values)}
    # a bug says nothing but its traceback, a close engine emits nothing but numbers, the failure is of a score, and
    # where there is an energy there is no reason for none
    never -= {("Energy", "reason"), ("Energy", "remedy")}
    assert never == {("Failure", "why"), ("Parity", "nonfinite"), ("TimingRecord", "failure")}


def test_the_main_metric_is_the_first_and_there_must_be_one() -> None:
    record = read(GOLDEN["score"])
    assert (record.main.name, record.main.value) == ("accuracy", 62.5)
    loss = record.metric("log_loss")
    assert loss is not None
    assert (loss.value, loss.note) == (None, "not computed")
    assert record.metric("absent") is None
    failed = read(GOLDEN["failed"])
    with pytest.raises(ValueError, match=f"{failed.key} has no result: it failed"):
        _ = failed.main


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_half_written_record_is_refused_by_name(tmp_path: Path, share: float) -> None:
    whole = GOLDEN["score"].read_bytes().rstrip()
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


@pytest.mark.parametrize(("of", "change"), [("score", {"kind": "timing"}), ("timing", {"subject": {"task": "knn"}})])
def test_one_kind_is_not_read_as_the_other(tmp_path: Path, of: str, change: dict[str, Any]) -> None:
    path = tmp_path / "mixed.json"
    path.write_text(json.dumps(json.loads(GOLDEN[of].read_text()) | change))
    with pytest.raises(UserError, match=r"mixed\.json is not a record"):
        read(path)


def test_every_field_of_a_protocol_moves_its_hash() -> None:
    one = protocol_hash("score", data="a", task="knn", settings={"k": 20})
    others = [
        protocol_hash("timing", data="a", task="knn", settings={"k": 20}),
        protocol_hash("score", data="b", task="knn", settings={"k": 20}),
        protocol_hash("score", data="a", task="knn", settings={"k": 21}),
    ]
    assert len({one, *others}) == 4
