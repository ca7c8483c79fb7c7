"""The path that needs no torch: the reference's own pixels, on a session as in features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from encoders import exif, pillow
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL import __version__ as version
from specs import SPECS

from engines.base import EngineSpec, Plan
from engines.catalog import engine
from engines.preprocess.catalog import identity, preprocess, refusal
from export.picture import VERSION, Undecodable, decode
from export.reference import resize_and_crop
from export.spec import PreprocessSpec
from export.store import Store


@settings(max_examples=40)
@given(SPECS, st.integers(1, 80), st.integers(1, 80), st.integers(0, 3))
def test_its_pixels_are_the_references(spec: PreprocessSpec, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    encoded = pillow(Image.fromarray(image), "JPEG", quality=90)
    found = preprocess("pillow", spec, Store())(encoded)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, resize_and_crop(decode(encoded), spec))


def test_it_turns_photographs_upright_where_it_is_asked_to(store: Store) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    sideways = pillow(Image.fromarray(image).transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    spec = PreprocessSpec(16, 16, "bilinear", 1.0)
    np.testing.assert_array_equal(preprocess("pillow:exif", spec, store)(sideways), resize_and_crop(image, spec))
    assert preprocess("pillow", spec, store).decode(sideways).shape == (40, 30, 3)


def test_its_identity_is_pillows_version() -> None:
    implementation = {"name": "pillow", "version": 1, "pillow": version}
    assert identity("pillow") == {**implementation, "decode": VERSION, "orientation": "stored"}
    assert identity("pillow:exif") != identity("pillow") != identity("cpu")


def test_damaged_photographs_are_a_sentence(store: Store) -> None:
    with pytest.raises(Undecodable, match="cannot be decoded"):
        preprocess("pillow", PreprocessSpec(16, 16), store)(b"\xff\xd8\xff\xe0" + bytes(20))


def test_a_session_is_given_its_pixels(planned: Callable[..., Plan], store: Store) -> None:
    plan = planned("ort")
    size = plan.artifact.preprocess.height
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    path = preprocess("pillow", plan.artifact.preprocess, store)
    with engine(plan.engine).load(plan) as session:
        np.testing.assert_array_equal(path.run(session, list(images))["features"], session.run(images)["features"])


def test_without_torch_the_path_cpu_is_refused_and_its_keys_are_made(
    only_installed: Callable[..., None], store: Store
) -> None:
    with_torch = identity("cpu")
    only_installed("pillow")
    why, remedy = refusal("cpu:exif", engine(EngineSpec("null")), store)
    assert why == "The path cpu resizes with torch, which is not installed."
    assert remedy == "pip install 'backbones-deployed[export]'; or --preprocess pillow"
    assert identity("cpu") == {**with_torch, "torch": ""}
    assert refusal("pillow", engine(EngineSpec("null")), store) == ("", "")
