import re
import shlex
from dataclasses import replace

import pytest

import elboroom
from elboroom import load_mnist
from elboroom.cli import main as cli
from tests.support.repository import ROOT

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide.md"


@pytest.fixture
def few_digits(monkeypatch):
    """Of each part of MNIST the first 2,000 images: whether code runs does not hang on the rest."""

    def few(**options):
        data = load_mnist(**options)
        parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
        rows = range(2_000)
        return replace(data, **{name: part and part.rows(rows) for name, part in parts.items()})

    monkeypatch.setattr(elboroom, "load_mnist", few)


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda p: p.name)
def test_the_code_of_a_page_runs(page, few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    assert blocks(page)
    for block in blocks(page):
        exec(compile(block, page.name, "exec"), namespace)
    assert capsys.readouterr().out
    filled, x = namespace["filled"], namespace["x"]
    assert filled.draws.shape == (3, *x.shape)


def test_the_commands_of_the_readme_are_spelled_as_the_command_line_takes_them():
    page = README.read_text()
    commands = re.findall(r"^(?:    |\| `)(elboroom [^`\n]*)", page, flags=re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        if "--resume" not in command:  # reads the run that it names
            cli.parse(shlex.split(command)[1:])


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")))
def test_every_link_within_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
