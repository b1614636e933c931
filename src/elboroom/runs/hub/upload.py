"""Runs as repositories of the Hub."""

from pathlib import Path
from tempfile import TemporaryDirectory

from elboroom import __version__
from elboroom.runs.hub.folder import FILES, save_pretrained
from elboroom.runs.hub.library import hub_errors
from elboroom.runs.run import Run


def push_to_hub(
    run: Run,
    repo_id: str,
    *,
    best: bool = False,
    license: str | None = None,  # the name that model cards give it
    commit_message: str = "Publish a model of elboroom",
    private: bool | None = None,
    token: str | bool | None = None,
    branch: str | None = None,
    create_pr: bool = False,
) -> str:
    """Publish the model of a run as a repository of the Hub, which is made if there is none.

    What is sent is what `save_pretrained` writes. Files of an earlier model that this one does not
    have are deleted there; the card is written anew.

    Args:
        run: the run.
        repo_id: the id of the repository, OWNER/NAME.
        best: take the checkpoint with the largest held-out ELBO instead of the newest.
        license: as in `save_pretrained`.
        commit_message: the message of the commit.
        private: make a private repository; None takes the default of the owner.
        token: a token that may write; None takes the stored one.
        branch: an existing branch to send to, by default main.
        create_pr: open a pull request in place of a commit.

    Returns:
        The address of the commit, or of the pull request.

    Raises:
        UsageError: if the id is no id, or huggingface_hub is not installed.
        RunError: if the run has no whole checkpoint, or the Hub refuses or cannot be reached.
        DiskError: if there is no room for the files.

    Example:
        >>> from elboroom import Config, ElboroomError, Run, push_to_hub
        >>> run = Run.create("runs/first", Config(model=networks, train=brief), mnist)
        >>> try:
        ...     push_to_hub(run, "my digits")  # "OWNER/digits" is an id
        ... except ElboroomError as error:
        ...     print(error.what)
        my digits is neither a folder nor the id of a repository
    """
    with hub_errors(repo_id, _SENT, branch):
        _require_id(repo_id)
    with TemporaryDirectory() as place:
        folder = Path(place) / repo_id.split("/")[-1]
        save_pretrained(run, folder, best=best, license=license, repo_id=repo_id)
        with hub_errors(repo_id, _SENT, branch):
            from huggingface_hub import HfApi

            api = HfApi(token=token, library_name="elboroom", library_version=__version__)
            made = api.create_repo(repo_id, private=private, exist_ok=True)
            sent = api.upload_folder(
                repo_id=made.repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=branch,
                create_pr=create_pr,
                delete_patterns=list(FILES),
            )
    return str(sent.pr_url or sent.commit_url)


_SENT = "published on the Hub"


def _require_id(repo_id: str) -> None:
    """Check the form of an id, before the model is written.

    Raises:
        HFValidationError: if it is not that of an id.
    """
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
