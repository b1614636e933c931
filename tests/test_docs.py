"""The documentation: its code runs, its commands parse, and its links lead somewhere."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import elboroom
import elboroom.figures
from elboroom import load_mnist
from elboroom.cli import main as cli
from elboroom.runs import run_data
from tests.support.repository import ROOT
from tests.support.written_pages import BYTES, PARTS, WRITTEN

README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`((?:\w+/)+\w+\.py)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MOST_WORDS = 90  # of a paragraph
COMPLETES = {"README.md", "docs/guide/inference.md"}  # pages that draw three completions of `x`


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[str]:
    return [code for language, code in FENCED.findall(page.read_text()) if language == "python"]


def commands(page: Path) -> list[str]:
    """Find the commands in indented lines, also below torchrun, and in the rows of a table."""
    lines = r"^(?:    (?:(?:timeout [^`\n]*)?torchrun [^`\n]*-m )?|\| `)(elboroom [^`\n|]*)"
    return re.findall(lines, page.read_text(), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """List the anchors of the headings, spelled as GitHub spells them."""
    text = FENCED.sub("", page.read_text())
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    seen: Counter[str] = Counter()
    found = set[str]()
    for heading in headings:
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{words}-{seen[words]}" if seen[words] else words)
        seen[words] += 1
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Find the links to files or headings that are not in the repository, or not in the site."""
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        leaves_site = page.is_relative_to(DOCS) and not file.resolve().is_relative_to(DOCS)
        if not file.exists() or leaves_site or (anchor and anchor not in anchors(file)):
            yield target


def missing_files(text: str) -> list[str]:
    """Find the Python files that a page names and that are not in the repository."""
    places = ROOT, ROOT / "src", ROOT / "src" / "elboroom"
    named = [file for file in FILE.findall(text) if "NAME" not in file]
    return [file for file in named if not any((place / file).exists() for place in places)]


def long_paragraphs(text: str) -> list[str]:
    """Find the paragraphs and the items of lists that have more than `MOST_WORDS` words."""
    parts = re.split(r"\n\s*\n|\n(?=- |\d+\. |\|)", FENCED.sub("", text))
    return [part for part in parts if len(part.split()) > MOST_WORDS]


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut each part of MNIST to its first 500 images, which are enough to run the code."""

    def few(load: Callable[..., elboroom.Dataset]) -> Callable[..., elboroom.Dataset]:
        def cut(*given: Any, **options: Any) -> elboroom.Dataset:
            data = load(*given, **options)
            parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
            return replace(
                data,
                **{n: part and part.rows(range(min(500, len(part)))) for n, part in parts.items()},
            )

        return cut

    monkeypatch.setattr(elboroom, "load_mnist", few(load_mnist))
    monkeypatch.setattr(run_data, "load_data", few(run_data.load_data))


GALLERY = ROOT / "docs" / "gallery.md"


def slow(page: Path) -> Any:
    """Mark the gallery, whose models take long, for `make test-full`."""
    return pytest.param(page, marks=pytest.mark.full) if page == GALLERY else page


@pytest.mark.parametrize("page", [slow(page) for page in PAGES if blocks(page)], ids=name)
def test_the_code_of_a_page_runs(
    page: Path,
    few_digits: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    printed = list[str]()
    for block in blocks(page):
        exec(compile(block, name(page), "exec"), namespace)
        printed.append(capsys.readouterr().out)
    assert any(printed)
    if page in WRITTEN:  # the page shows what each block prints, up to the numbers
        shown = [part["printed"] for part in PARTS.finditer(page.read_text()) if part["python"]]
        assert [len((text or "").splitlines()) for text in shown] == [
            len(text.splitlines()) for text in printed
        ]
    if name(page) in COMPLETES:
        assert namespace["filled"].draws.shape == (3, *namespace["x"].shape)


def test_a_link_of_the_site_to_another_file_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "docs").mkdir()
    (tmp_path / "other.md").write_text("# Elsewhere")
    page = tmp_path / "docs" / "page.md"
    page.write_text("A [link](../other.md).\n")
    assert list(broken_links(page)) == []
    monkeypatch.setitem(globals(), "DOCS", tmp_path / "docs")
    assert list(broken_links(page)) == ["../other.md"]


def test_the_readme_and_the_pages_for_users_have_code():
    with_code = {name(page) for page in PAGES if blocks(page)}
    guide = {name(page) for page in (ROOT / "docs" / "guide").glob("[a-z]*.md")}
    assert len(guide) > 10
    assert with_code >= {"README.md", *guide}


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_the_command_line_takes_the_commands_of_a_page(page: Path):
    for command in commands(page):
        if "--resume" not in command:  # reads the run that it names
            cli.parse(shlex.split(command)[1:])


def test_the_readme_shows_every_command():
    shown = {command.split()[1] for command in commands(README)}
    assert shown == {kind.__name__.lower() for kind in cli.COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paragraphs_are_short(page: Path):
    assert long_paragraphs(page.read_text()) == []


def test_a_long_paragraph_is_found():
    long = "- A word" + " and a word" * 30
    assert long_paragraphs(f"- Short.\n{long}\n- Short.\n") == [long]
    assert long_paragraphs("Short. " * 80 + "\n\n" + "Short. " * 80) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_exists(page: Path):
    assert missing_files(page.read_text()) == []


def test_a_missing_file_is_found():
    page = "`infer/svi.py`, `tests/test_docs.py`, `infer/NAME.py`, `infer/gone.py`"
    assert missing_files(page) == ["infer/gone.py"]


FORMS = {"arxiv.org": r"/abs/\d{4}\.\d{4,5}", "doi.org": r"/10\.\d{4,9}/\S+"}


def malformed_links(text: str) -> list[str]:
    """Find the links to other places that are not by HTTPS, or name no paper of arXiv or DOI."""
    found = [target for target in LINK.findall(FENCED.sub("", text)) if "://" in target]
    parts = {target: urlsplit(target) for target in found}
    return [
        target
        for target, at in parts.items()
        if at.scheme != "https"
        or "." not in at.netloc
        or not re.fullmatch(FORMS.get(at.netloc, r"\S*"), at.path)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_other_places_are_well_formed(page: Path):
    assert malformed_links(page.read_text()) == []


@pytest.mark.parametrize(
    ("link", "is_malformed"),
    [
        ("https://arxiv.org/abs/1312.6114", False),
        ("https://doi.org/10.1214/20-BA1221", False),
        ("https://example.org/any/page.html", False),
        ("https://arxiv.org/pdf/1312.6114v10", True),
        ("https://doi.org/1214/20-BA1221", True),
        ("http://example.org/", True),
        ("https://localhost/page", True),
    ],
)
def test_a_planted_malformed_link_is_found(link: str, is_malformed: bool):
    assert malformed_links(f"A [link]({link}).") == ([link] if is_malformed else [])


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_figure_of_a_written_page_is_drawn_by_its_lines(page: Path):
    text = page.read_text()
    saved = set(re.findall(r'savefig\("([\w-]+\.png)"', text))
    shown = {Path(link).name for link in LINK.findall(text) if link.endswith(".png")}
    assert saved == {picture for picture in shown if not picture.startswith("explorer-")}


def test_the_gallery_has_every_figure():
    headings = re.findall(r"^### (\w+)$", GALLERY.read_text(), re.M)
    assert sorted(headings) == sorted(elboroom.figures.__all__)


def test_pictures_of_the_tutorials_are_small():
    pictures = list((ROOT / "docs" / "figures" / "tutorials").glob("*.png"))
    limit = BYTES["tutorials"]
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > limit] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_within_the_repository_leads_somewhere(page: Path):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("other.md", False),
        ("other.md#the-second--a-heading", False),
        ("other.md#twice-1", False),
        ("#here", False),
        ("https://example.org/gone", False),
        ("gone.md", True),
        ("other.md#twice-2", True),
        ("other.md#no-heading", True),
        ("#there", True),
    ],
)
def test_a_planted_broken_link_is_found(tmp_path: Path, link: str, is_broken: bool):
    other = "# The second & a heading\n\n## Twice\n\n## Twice\n\n```python\n# no heading\n```\n"
    (tmp_path / "other.md").write_text(other)
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\nA [link]({link}).\n")
    assert list(broken_links(page)) == ([link] if is_broken else [])
