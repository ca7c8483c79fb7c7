from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from annotated_trees import masked
from trees import write

from export.errors import UserError
from tasks.__main__ import main
from tasks.catalog import TASKS, task


def test_every_task_can_be_had_and_says_what_it_is() -> None:
    for name in TASKS:
        meta = task(name).meta
        assert meta.name == name
        assert meta.protocol
        json.dumps(dict(meta.settings))  # they go into a key
    with pytest.raises(UserError, match="Did you mean knn"):
        task("knnn")


def test_listing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("knn", "retrieval", "elpv", "imagenet-v2", "CC BY-NC-SA 4.0"))
    assert main(["--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in document["tasks"]} == set(TASKS)
    assert {"name", "images", "classes", "licence", "how"} == set(document["data_sets"][0])


def test_looking_into_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "photos", masked(values=(0, 1, 11)))
    arguments = ["--data", str(root), "--void", "11,12", "--store", str(tmp_path / "store")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "photos: 10 images, 2 classes in masks; below, the images that show each" in text
    assert main([*arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["kind"] == "masks"
    assert document["classes"]["0"] == {"train": 6, "val": 2, "test": 2}


def test_looking_into_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "toy", "--limit", "60", "--store", str(tmp_path)]
    assert main([*arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["splits"] == {"train": 36, "val": 12, "test": 12}
    assert document["classes"]["disc"] == {"train": 9, "val": 3, "test": 3}
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert document["digest"] in text
    assert "0 exact, 0 near" in text


def test_copies_and_unreadable_images_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fakes import photograph

    for kind, first in (("cat", 0), ("dog", 20)):
        (tmp_path / "p" / kind).mkdir(parents=True)
        for i in range(10):
            (tmp_path / "p" / kind / f"{i}.jpg").write_bytes(photograph(first + i))
    (tmp_path / "p/cat/again.jpg").write_bytes(photograph(3))
    (tmp_path / "p/dog/bad.jpg").write_bytes(b"bad")
    assert main(["--data", str(tmp_path / "p"), "--max-unreadable", "0.1", "--store", str(tmp_path / "s")]) == 0
    text = capsys.readouterr().out
    assert "1 exact, 0 near" in text
    assert "cat/3.jpg" in text
    assert "dog/bad.jpg: It is text, not an image." in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--data", "elpw"], "Did you mean elpv"), (["--data", "./nowhere"], "There is no data set ./nowhere")],
)
def test_user_errors_exit_with_2_and_no_traceback(arguments: list[str], sentence: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tasks", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_and_listing_load_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tasks.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\nassert 'numpy' not in sys.modules\nmain([])\n"
        "heavy = {'torch', 'timm', 'scipy', 'sklearn', 'PIL', 'torchvision', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
