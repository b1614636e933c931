"""Releases: the versions agree, forms name what exists, and workflows call the Makefile."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from elboroom import __version__
from elboroom.cli import main as cli
from tests.support.repository import ROOT

GITHUB = ROOT / ".github"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
RELEASED = re.compile(r"^## \[(.+)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)


def read(path: Path) -> dict[str, Any]:
    # `BaseLoader` keeps texts: `on` is a key of workflows, and would be read as true.
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps(job: dict[str, Any], key: str) -> list[str]:
    return [step[key] for step in job["steps"] if key in step]


def versions_differ(changelog: str, citation: dict[str, str], version: str) -> bool:
    """Compare what the CHANGELOG and CITATION.cff say with the version of the package."""
    latest, day = RELEASED.findall(changelog)[0]
    begun = f"## [Unreleased]\n\nThis section, {version}, " in changelog
    announced = begun if ".dev" in version else latest == version
    return not announced or citation["version"] != version or citation["date-released"] != day


def test_the_versions_agree():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not versions_differ(changelog, read(ROOT / "CITATION.cff"), __version__)


@pytest.mark.parametrize(
    ("version", "cited", "day", "differ"),
    [
        ("0.2.0", "0.2.0", "2027-01-02", False),
        ("0.3.0.dev0", "0.3.0.dev0", "2027-01-02", False),
        ("0.2.1", "0.2.1", "2027-01-02", True),
        ("0.4.0.dev0", "0.4.0.dev0", "2027-01-02", True),
        ("0.2.0", "0.1.0", "2027-01-02", True),
        ("0.2.0", "0.2.0", "2026-01-02", True),
    ],
)
def test_a_planted_difference_of_versions_is_found(
    version: str, cited: str, day: str, differ: bool
):
    changelog = "## [Unreleased]\n\nThis section, 0.3.0.dev0, is new.\n\n## [0.2.0] - 2027-01-02\n"
    citation = {"version": cited, "date-released": day}
    assert versions_differ(changelog, citation, version) is differ


def test_every_form_has_a_name_a_description_and_fields_that_differ():
    assert [form.stem for form in FORMS] == ["bug", "feature", "question"]
    for form in map(read, FORMS):
        assert form["name"]
        assert form["description"]
        fields = [part for part in form["body"] if part["type"] != "markdown"]
        assert all(part["attributes"]["label"] for part in fields)
        assert len({part["id"] for part in fields}) == len(fields)


@pytest.mark.parametrize("page", [ROOT / "SECURITY.md", *FORMS], ids=lambda page: page.name)
def test_the_commands_and_files_that_it_names_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"`elboroom ([^`]+)`", text):
        cli.parse(shlex.split(command.replace("explore", "explore RUN")))
    for file in re.findall(r"[\w/.]+\.md", text):
        assert (ROOT / file).exists()


def test_a_release_is_what_make_dist_built_and_alone_may_ask_for_a_token():
    workflow = read(GITHUB / "workflows" / "release.yml")
    build, publish = (workflow["jobs"][name] for name in ("build", "publish"))
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert workflow["permissions"] == {}
    assert "make dist" in steps(build, "run")
    assert build["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    assert publish["environment"]["name"] == "pypi"
    assert steps(publish, "uses")[-1].startswith("pypa/gh-action-pypi-publish@")


def test_the_workflows_name_files_and_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for workflow in WORKFLOWS:
        text = workflow.read_text(encoding="utf-8")
        for file in re.findall(r"--ignore (\S+)|bash (\S+)|(src/\S+)", text):
            assert (ROOT / "".join(file)).exists(), file
        for target in re.findall(r"run: make (\w+)", text):
            assert f"\n{target}:" in makefile, target


def test_linux_is_checked_with_every_python_from_the_oldest_on():
    matrix = read(GITHUB / "workflows" / "ci.yml")["jobs"]["check"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
