"""What README.md and docs show of the published records is what the program writes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_records import Lab
from project import ROOT

from bench import publish, readme
from bench.records import results
from export.errors import UserError

pytest.importorskip("matplotlib")

DOCUMENTS = (
    "README.md",
    "docs/cluster.md",
    "docs/dense.md",
    "docs/diffusion.md",
    "docs/load.md",
    "docs/race.md",
    "docs/study.md",
    "docs/tasks.md",
)
INSIDE = re.compile(r"<!-- \w+: make readme -->\n.*?<!-- end of \w+ -->", re.DOTALL)


def drawn(svg: bytes) -> tuple[list[str], int]:
    """What a picture says and how many marks it has: other versions of matplotlib write other bytes."""
    text = svg.decode()
    return re.findall(r"<text[^>]*>([^<]+)</text>", text), text.count("<use ")


def test_the_documents_are_what_the_program_writes() -> None:
    for name, content in readme.contents(ROOT).items():
        found = (ROOT / name).read_bytes()
        if name.endswith(".svg"):
            assert drawn(found) == drawn(content), f"{name}: make readme"
        else:
            assert found.decode() == content.decode(), f"{name}: make readme"


def test_no_score_is_typed_by_hand() -> None:
    for name in DOCUMENTS:
        outside = INSIDE.sub("", (ROOT / name).read_text())
        assert not re.search(r"^\|.*(rank|\d±\d|●|▼)", outside, re.MULTILINE), name


def test_the_readme_is_read_in_a_minute() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for section in ("My photographs", "My backbone", "A budget", "Edge and server", "GPU", "No network", "Python"):
        assert f"\n## {section}\n" in text


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the documents without what was written into them, and made-up records that are published with it."""
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        text = (ROOT / name).read_text(encoding="utf-8")
        emptied = INSIDE.sub(lambda block: re.sub(r"(?s)-->\n.*<!--", "-->\n<!--", block[0]), text)
        (tmp_path / name).write_text(emptied, encoding="utf-8")
    monkeypatch.setattr(results, "PUBLISHED", tmp_path / "published.xz")
    publish.main([str(Lab().write(tmp_path / "results")), "--out", str(tmp_path / "published.xz")])
    return tmp_path


def test_picture_verdict_and_table_come_from_the_published_records(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert readme.main(["--root", str(project)]) == 0
    written = {Path(line).relative_to(project).as_posix() for line in capsys.readouterr().out.splitlines()}
    pictures = {f"docs/{kind}-{theme}.svg" for kind in ("front", "tasks") for theme in ("light", "dark")}
    assert written == {*DOCUMENTS, *pictures}
    text = (project / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "**Ship made_up_base · openvino:cpu · fp32: latency p50 7.44 ms" in text
    assert len([line for line in text.splitlines() if "| made_up_" in line]) == readme.ROWS
    assert "Measured on 2 cores of Imaginary CPU made-up-a, 2026-01-01." in text
    assert 'srcset="docs/front-dark.svg"' in text
    assert readme.main(["--root", str(project)]) == 0
    assert capsys.readouterr().out == "", "nothing changes again"


def test_a_document_without_its_markers_is_named(project: Path) -> None:
    (project / "README.md").write_text("# Nothing\n")
    with pytest.raises(UserError, match=r"README\.md has no place for the picture"):
        readme.contents(project)
