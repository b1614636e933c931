from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import HfApi, errors

from elboroom import Run, from_pretrained, push_to_hub, save_pretrained
from elboroom.errors import ElboroomError, RunError, UsageError
from elboroom.runs.hub.folder import FILES
from tests.runs.hub.test_pretrained import require_equal

ID, COMMIT = "me/digits", "a" * 40


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what is sent to the Hub, in place of sending it."""
    found = list[Any]()

    def create_repo(api: HfApi, repo_id: str, **options: Any) -> SimpleNamespace:
        found.append((api.token, repo_id, options))
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(api: HfApi, *, folder_path: Path, **options: Any) -> SimpleNamespace:
        files = {path.name: path.read_bytes() for path in folder_path.iterdir()}
        found.append((files, options))
        pr = "https://hub/pr/1" if options["create_pr"] else None
        return SimpleNamespace(commit_url="https://hub/commit/1", pr_url=pr)

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return found


def test_a_run_is_sent_as_a_folder(run: Run, tmp_path: Path, sent: list[Any]):
    options: dict[str, Any] = {"license": "mit", "private": True, "token": "hf_x", "branch": "b"}
    assert push_to_hub(run, ID, commit_message="More", **options) == "https://hub/commit/1"
    (token, repo_id, made), (files, given) = sent
    assert (token, repo_id) == ("hf_x", ID)
    assert made == {"private": True, "exist_ok": True}
    expected = {"commit_message": "More", "revision": "b", "create_pr": False}
    assert given == {"repo_id": ID, "delete_patterns": list(FILES), **expected}
    save_pretrained(run, tmp_path / "digits", license="mit", repo_id=ID)
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "digits").iterdir()}
    assert b'from_pretrained("me/digits")' in files["README.md"]


def test_the_address_of_a_pull_request_is_returned(run: Run, sent: list[Any]):
    assert push_to_hub(run, ID, create_pr=True) == "https://hub/pr/1"


@pytest.mark.parametrize("repo_id", ["a/b/c", "-x", "my digits", "..", ""])
def test_nothing_is_written_for_a_bad_id(
    run: Run, sent: list[Any], repo_id: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Run, "load_model_and_step", None)
    with pytest.raises(UsageError, match="neither a folder nor the id of a repository"):
        push_to_hub(run, repo_id)
    assert sent == []


@pytest.fixture
def cache(run: Run, tmp_path: Path) -> Path:
    """Lay out the cache as the Hub's library does: links to files that are named by their hash."""
    save_pretrained(run, tmp_path / "out")
    repository = tmp_path / "cache" / "models--me--digits"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for number, path in enumerate((tmp_path / "out").iterdir()):
        path.rename(repository / "blobs" / str(number))
        (snapshot / path.name).symlink_to(repository / "blobs" / str(number))
    return tmp_path / "cache"


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_model_is_read_from_the_cache(run: Run, cache: Path, revision: str | None):
    options = {"cache_dir": cache, "local_files_only": True, "revision": revision}
    require_equal(from_pretrained(ID, **options), run.load_model())


def test_a_model_is_read_from_the_cache_offline(
    run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    require_equal(from_pretrained(ID, cache_dir=cache), run.load_model())
    with pytest.raises(RunError, match="cannot be fetched from the Hub") as caught:
        from_pretrained("me/other", cache_dir=cache)
    assert "the cache lacks files of it" in caught.value.why
    assert "HF_HUB_OFFLINE=0" in caught.value.fix


def test_a_revision_that_the_cache_lacks_is_told(cache: Path):
    with pytest.raises(RunError, match="the cache lacks files of it"):
        from_pretrained(ID, cache_dir=cache, local_files_only=True, revision="v9")


def test_a_model_is_fetched_with_what_was_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_pretrained(run, tmp_path / "out")
    asked = dict[str, Any]()

    def snapshot_download(repo_id: str, **options: Any) -> str:
        asked.update(options, repo_id=repo_id)
        return str(tmp_path / "out")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    options: dict[str, Any] = {"revision": "v1", "token": "hf_x", "force_download": True}
    require_equal(from_pretrained(ID, cache_dir=tmp_path / "c", **options), run.load_model())
    assert asked.items() >= {**options, "repo_id": ID, "cache_dir": str(tmp_path / "c")}.items()
    fetched = asked["allow_patterns"]
    assert fetched == ["config.json", "model.safetensors", "partial-encoder.safetensors"]


def http(kind: type[Exception], code: int = 404) -> Exception:
    response = SimpleNamespace(status_code=code, headers={}, request=None)
    return kind("the Hub says so", response=response)  # type: ignore[call-arg]


FAILURES: list[tuple[Exception, type[ElboroomError], str, str]] = [
    (errors.HFValidationError("no id"), UsageError, "no id", "OWNER/NAME"),
    (http(errors.RepositoryNotFoundError), RunError, "has no such repository", "correct the id"),
    (http(errors.GatedRepoError), RunError, "to whom they know", "ask for access"),
    (http(errors.RevisionNotFoundError), RunError, "it has no revision v1", "a branch, a tag"),
    (errors.LocalEntryNotFoundError("gone"), RunError, "the cache lacks files", "go online"),
    (errors.OfflineModeIsEnabled("off"), RunError, "off", "go online"),
    (httpx2.ConnectError("no route"), RunError, "no route", "try again"),
    (http(errors.HfHubHTTPError, 403), RunError, "the Hub says so", "hf auth login"),
    (errors.LocalTokenNotFoundError("no token"), RunError, "no token", "hf auth login"),
    (OSError("the disk is full"), RunError, "the disk is full", "try again"),
]


@pytest.mark.parametrize(
    ("error", "kind", "why", "fix"), FAILURES, ids=[type(f[0]).__name__ for f in FAILURES]
)
def test_what_the_hub_refuses_is_told(
    run: Run, sent: list[Any], error, kind, why, fix, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.setattr(HfApi, "create_repo", refuse)
    for call in (
        lambda: from_pretrained(ID, revision="v1"),
        lambda: push_to_hub(run, ID, branch="v1"),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert (type(caught.value), ID in caught.value.what) == (kind, True)
        assert why in caught.value.why
        assert fix in caught.value.fix


def test_the_extra_is_named_where_it_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("elboroom.runs.hub.library.find_spec", lambda name: None)
    for call in (lambda: from_pretrained(ID), lambda: push_to_hub(run, ID)):
        with pytest.raises(UsageError, match="is not installed") as caught:
            call()
        assert "pip install 'elboroom[hub]'" in caught.value.fix
