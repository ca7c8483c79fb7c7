from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UserError
from export.packages import Package
from export.zoo import readers, sources
from export.zoo.backbones import Backbone, listing
from export.zoo.readers import ByName
from export.zoo.sources import (
    DEFAULTS,
    Checkpoint,
    Hub,
    LocalFile,
    ModuleFunction,
    OnnxFile,
    OwnWeights,
    PackageFile,
    RandomWeights,
    Source,
    TimmCheckpoint,
    TimmModel,
    file_of,
    row_of,
    source_of,
    with_checkpoint,
    with_random_weights,
    without_places,
)

WORDS = st.text("abc.", min_size=1, max_size=5)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | st.booleans() | WORDS, max_size=2)
PACKAGES = st.builds(Package, WORDS, WORDS, WORDS, WORDS, st.booleans(), st.booleans())
PATHS = st.builds(Path("/a").joinpath, st.text("abc", min_size=1))
FILES = st.builds(LocalFile, PATHS) | st.builds(PackageFile, PACKAGES, WORDS, WORDS)
READERS = st.builds(ByName, st.just("") | WORDS) | st.sampled_from([made() for made in readers.READERS.values()])
CHECKPOINTS = st.builds(Checkpoint, FILES, READERS)
TIMMS_OWN = st.builds(TimmCheckpoint, FILES, st.just("") | WORDS)
TIMM = st.builds(
    TimmModel,
    WORDS,
    st.builds(Hub, WORDS)
    | st.builds(TimmCheckpoint, FILES, st.just("") | WORDS)
    | CHECKPOINTS
    | st.just(RandomWeights()),
    ARGUMENTS,
    st.sampled_from([0, 10, 1000, 1001]),
)
OTHERS = st.just(OwnWeights()) | st.just(RandomWeights())
MODULES = st.builds(ModuleFunction, WORDS, CHECKPOINTS | OTHERS, ARGUMENTS)
SOURCES: st.SearchStrategy[Source] = TIMM | MODULES | st.builds(OnnxFile, FILES, st.just("") | WORDS)
ZOO = st.sampled_from(listing())


@given(SOURCES)
def test_a_row_tells_the_source_and_no_more(source: Source) -> None:
    row = row_of(source)
    assert list(row) == list(DEFAULTS)
    assert source_of(row, "row") == source


@given(ZOO | st.builds(replace, ZOO, source=SOURCES))
def test_a_request_survives_the_manifest(backbone: Backbone) -> None:
    assert Backbone.of_json(json.loads(json.dumps(backbone.as_json()))) == backbone


@given(SOURCES, SOURCES)
def test_what_enters_a_key_forgets_the_place_alone(one: Source, other: Source) -> None:
    assert json.dumps(without_places(one))
    places = set(sources.PLACES)
    differ = {name for name, value in row_of(one).items() if value != row_of(other)[name]}
    assert (without_places(one) == without_places(other)) == (not differ - places)


@given(SOURCES)
def test_untrained_means_that_no_file_and_no_hub_gives_the_weights(source: Source) -> None:
    hub = isinstance(source, TimmModel) and isinstance(source.weights, Hub)
    assert Backbone("x", source).untrained == (file_of(source) is None and not hub)


@given(TIMM | MODULES)
def test_weights_are_exchanged_and_the_network_stays(source: TimmModel | ModuleFunction) -> None:
    random = with_random_weights(source, "x")
    given_file = with_checkpoint(source, Path("mine.pth"), "x")
    assert Backbone("x", random).weights == "random"
    assert Backbone("x", given_file).weights == "file mine.pth"
    places = {*sources.PLACES, "random", "reader", "prefix", "layout"}
    for other in (random, given_file):
        assert {k for k, v in row_of(other).items() if v != row_of(source)[k]} <= places


def test_a_row_of_ones_own_keeps_its_prefix_and_reader_for_another_file() -> None:
    named, timm = Checkpoint(LocalFile(FILE), ByName("a.")), TimmCheckpoint(LocalFile(FILE), "a.")
    other = LocalFile(Path("/other"))
    for own in (named, timm):
        assert with_checkpoint(TimmModel("a", own), other.path, "x") == TimmModel("a", replace(own, file=other))
    published = Checkpoint(PACKAGE, ByName("a."))
    assert with_checkpoint(TimmModel("a", published), other.path, "x") == TimmModel("a", TimmCheckpoint(other))


@given(st.builds(OnnxFile, FILES))
def test_a_finished_file_takes_no_other_weights(source: OnnxFile) -> None:
    with pytest.raises(UserError, match="no random weights"):
        with_random_weights(source, "x")
    with pytest.raises(UserError, match="no other weights"):
        with_checkpoint(source, Path("mine.pth"), "x")


FILE, PACKAGE = Path("/net"), PackageFile(Package("p", "1", "0", "MIT"), "m", "0")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "names nothing to load"),
        ({"reader": "onnx", "timm": "a"}, "names no ONNX file"),
        ({"file": FILE}, "weights but no network"),
        ({"file": FILE, "package": PACKAGE, "timm": "a"}, "cannot have package"),
        ({"file": FILE, "timm": "a", "revision": "v2"}, "cannot have revision"),
        ({"timm": "a", "prefix": "x."}, "cannot have prefix"),
        ({"file": FILE, "timm": "a", "reader": "in_order", "prefix": "x."}, "cannot have prefix"),
        ({"file": FILE, "timm": "a", "cut": "Relu"}, "cannot have cut"),
        ({"package": PACKAGE, "timm": "a", "revision": "v2"}, "cannot have revision"),
        ({"module": "a:b", "revision": "v2"}, "cannot have revision"),
        ({"module": "a:b", "classes": 3}, "cannot have classes"),
        ({"file": FILE, "reader": "onnx", "prefix": "x."}, "cannot have prefix"),
        ({"file": FILE, "timm": "a", "reader": "backwards"}, "Unknown reader"),
        ({"file": FILE, "reader": "onnx", "arguments": {"a": 1}}, "cannot have arguments"),
        ({"file": FILE, "reader": "onnx", "timm": "a"}, "cannot have timm"),
        ({"module": "a:b", "headless": True}, "cannot have headless"),
        ({"module": "a:b", "timm": "a"}, "cannot have timm"),
        ({"timm": "a", "random": True, "file": FILE}, "cannot have file"),
    ],
)
def test_fields_without_a_meaning_together_are_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        source_of(row, "row 'x' of a test")
