from __future__ import annotations

import gzip
import re
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from fake_records import made_up, sheet

from bench.report import answers as module
from bench.report.answers import answers
from bench.report.cells import order
from bench.verdict.ranking import Ranking


def data_of(elements: str, name: str) -> bytes:
    [text] = re.findall(f'id="{name}">([^<]*)<', elements)
    return gzip.decompress(b64decode(text))


def test_answers_come_back_as_they_were() -> None:
    ranking = made_up()
    places = order(ranking)
    entries, elements = answers(ranking, places)
    assert [e["id"] for e in entries] == [s.name for s in ranking.sheet.settings]
    for j, entry in enumerate(entries):
        data = data_of(elements, entry["element"])
        count, n = len(entry["places"]), entry["images"]
        if entry["bits"]:
            codes = np.unpackbits(np.frombuffer(data, np.uint8).reshape(count, -1), axis=1)[:, :n].astype(float)
        else:
            codes = np.frombuffer(data, np.uint8)[: count * n].reshape(count, n) / 255
        values = entry["low"] + codes * (entry["high"] - entry["low"])
        for p, row in zip(entry["places"], values, strict=True):
            exact = ranking.sheet.samples[places[p], j]
            np.testing.assert_allclose(row, exact, atol=(entry["high"] - entry["low"]) / 500)


def test_right_and_wrong_take_a_bit_and_draws_follow_the_images() -> None:
    right = np.array([[100.0, 0, 0, 100, 100], [0.0, 0, 0, 100, 100]])
    draws = {(i, 0): right[i].mean() + np.array([1.0, -1.0]) for i in range(2)}
    table = replace(sheet([[60.0], [40.0]]), samples={(i, 0): right[i] for i in range(2)}, by_draw=draws)
    [entry], elements = answers(Ranking(table), [0, 1])
    assert (entry["bits"], entry["draws"]) == (True, 2)
    data = data_of(elements, entry["element"])
    assert data[:2] == bytes([0b10011000, 0b00011000])
    assert np.frombuffer(data[2:], "<f4").tolist() == [61.0, 59.0, 41.0, 39.0]


def test_what_does_not_fit_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = made_up()
    whole, _ = answers(ranking, order(ranking))
    monkeypatch.setattr(module, "MOST", 0)
    entries, elements = answers(ranking, order(ranking))
    assert elements == ""
    assert entries == [{"id": e["id"], "left_out": True} for e in whole]
