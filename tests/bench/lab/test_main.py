"""The preprocessing lab: what it says of known differences, on a session that does honest arithmetic."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import MeanColour, dataset, photograph, plan

from bench.lab import __main__ as preprocess_lab
from bench.lab.__main__ import main
from bench.lab.measures import Accuracy, Features, Pixels, Report, of_accuracy, of_features, of_pixels
from bench.lab.page import PICTURED, page, picture
from bench.lab.variants import REFERENCE, Variant, variants
from export.errors import Unavailable, UserError
from export.picture import Image, decode
from export.reference import resize_and_crop
from export.spec import PreprocessSpec
from export.store import Store


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> list[Variant]:
    try:
        return variants(Store(tmp_path_factory.mktemp("kernel")))
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [decode(photograph(seed, 200 + seed, 300)) for seed in range(4)]


def darker(image: Image, spec: PreprocessSpec) -> Image:
    return (resize_and_crop(image, spec) // 2).astype(np.uint8)


DARKER = Variant("darker", "half of every value", darker)


def test_every_way_gives_the_networks_size_and_ours_is_pillows(ways: list[Variant], images: list[Image]) -> None:
    assert ways[0].name == REFERENCE
    for spec in (PreprocessSpec(64, 64, "bicubic"), PreprocessSpec(48, 80, "bilinear", 1.0, "border", fill=(9, 9, 9))):
        for image in images:
            found = {way.name: way.resize(image, spec) for way in ways}
            assert {(f.shape, str(f.dtype)) for f in found.values()} == {((spec.height, spec.width, 3), "uint8")}
            np.testing.assert_array_equal(found["ours, cuda"], found[REFERENCE])
            assert np.abs(found["ours, cpu"].astype(int) - found[REFERENCE]).max() <= 2


def test_pixels(ways: list[Variant], images: list[Image], monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan().artifact
    found = {p.variant: p for p in of_pixels([*ways, DARKER], images, made)}
    assert (found[REFERENCE].largest, found[REFERENCE].differing) == (0, 0)
    assert found["ours, cuda"].largest == 0
    wanted = np.stack([resize_and_crop(image, made.preprocess) for image in images]).astype(int)
    off = wanted - wanted // 2
    assert found["darker"].largest == off.max()
    assert found["darker"].mean == pytest.approx(off.mean())
    assert found["darker"].differing == pytest.approx(100 * (off > 0).mean())
    assert all(p.ms > 0 for p in found.values())


def test_features(ways: list[Variant], images: list[Image]) -> None:
    session = MeanColour(plan((8,)))
    found = {f.variant: f for f in of_features("m", session, session.plan.artifact, [ways[0], ways[2], DARKER], images)}
    assert set(found) == {"ours, cuda", "darker"}
    assert found["ours, cuda"].least == pytest.approx(1, abs=1e-6)
    assert found["darker"].mean < 1


def test_accuracy_is_told_for_both_uses(ways: list[Variant]) -> None:
    """The mean colour of an image that a variant paints over says nothing of its class any more."""

    def grey(image: Image, spec: PreprocessSpec) -> Image:
        return np.full((spec.height, spec.width, 3), 99, np.uint8)

    data = dataset(60, 2)
    session = MeanColour(plan((8,)))
    shown = [ways[0], Variant("grey", "", grey)]
    found = {(a.variant, a.which): a for a in of_accuracy("m", session, session.plan.artifact, shown, data)}
    assert len(found) == 4
    assert found[REFERENCE, "all"].change == found[REFERENCE, "queries"].change == 0
    assert found["grey", "all"].n == len(data.split("test"))
    for which in ("all", "queries"):
        wanted = found["grey", which].accuracy - found[REFERENCE, "all"].accuracy
        assert found["grey", which].change == pytest.approx(wanted)


def report() -> Report:
    how = {
        "photographs": 4,
        "where": "photographs",
        "engine": "ort:cpu",
        "data": {"d": 60},
        "machine": "M",
        "date": "-",
        "command": "python -m bench.lab",
    }
    pixels = [
        Pixels(REFERENCE, "the reference", 0, 0.0, 0.0, 1.0),
        Pixels("ours, cuda", "the kernel", 0, 0.0, 0.0, 0.5),
        Pixels("bad", "a bad one", 40, 2.5, 60.0, 0.2),
    ]
    features = [Features("m", "ours, cuda", 1.0, 1.0), Features("m", "bad", 0.91, 0.99)]
    accuracies = [
        Accuracy("m", "d", name, which, 80 + change, change, 0.5, change - 1, change + 1, 20)
        for name, change in ((REFERENCE, 0.0), ("ours, cuda", 0.0), ("bad", -3.0))
        for which in ("all", "queries")
    ]
    return Report(how, pixels, features, accuracies)


def test_the_page_says_first_what_was_found() -> None:
    text = page(report(), 8)
    first = text.splitlines()[2]
    assert "ours, cuda: Pillow's pixels, bit for bit" in first
    assert "2.5/255, of bad" in first
    assert "0.910 (m, bad): below the parity bound" in first
    assert "-3.0 ± 0.5 points" in first
    assert "| bad | 0.9100 (0.9900) | **-3.0 ± 0.5** / **-3.0 ± 0.5** |" in text
    harmless = replace(report(), accuracies=[a for a in report().accuracies if a.variant != "bad"])
    assert "No loss of k-NN accuracy is significant with 20 test images" in page(harmless, 8)


def test_the_picture_shows_every_way(ways: list[Variant], images: list[Image]) -> None:
    sheet = picture(images[0], [*ways, DARKER], 4)
    assert sheet.size[0] > 4 * PICTURED.width
    assert sheet.size[1] >= 2 * PICTURED.height
    pixels = np.asarray(sheet)
    np.testing.assert_array_equal(pixels[18 : 18 + 224, :224], resize_and_crop(images[0], PICTURED))
    assert not pixels[18 : 18 + 224, 2 * 228 : 2 * 228 + 224].any()  # ours, cuda: no difference


def test_random_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="random weights"):
        main(
            [
                "--models",
                "vit_t@random",
                "--data",
                "none",
                "--store",
                str(tmp_path),
                "--photographs",
                str(drawn(tmp_path)),
            ]
        )


def test_without_opencv_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(Unavailable, match="OpenCV is not installed"):
        variants(Store(tmp_path))


def drawn(folder: Path) -> Path:
    folder = folder / "photographs"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.jpg").write_bytes(photograph(seed, 260, 340))
    return folder


@pytest.mark.network
def test_the_command_writes_page_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--models", "mobilenetv2", "--data", "none", "--photographs", str(drawn(tmp_path)), "--json"]
    assert main([*given, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pixels"][2]["largest"] == 0
    assert found["accuracies"] == []
    assert (tmp_path / "out" / "preprocessing.md").read_text().startswith("# Preprocessing lab")
    assert (tmp_path / "out" / "preprocessing.png").stat().st_size > 1000
    assert preprocess_lab.AMPLIFIED > 1
