"""huggingface_hub, which an extra installs, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from elboroom.errors import RunError, UsageError, missing_library

_ONLINE = "go online (HF_HUB_OFFLINE=0"
_LOG_IN = "log in by `hf auth login`, or give a token"


@contextmanager
def hub_errors(repo_id: str, done: str, revision: str | None = None) -> Iterator[None]:
    """Raise errors that name the repository instead of those of huggingface_hub in this block.

    Args:
        repo_id: the id of the repository.
        done: what is done in the block, such as "fetched from the Hub".
        revision: the revision that is asked for.

    Raises:
        UsageError: if the library is not installed, or the id is no id.
        RunError: if the Hub refuses, or cannot be reached.
    """
    _require_library(repo_id, done)
    from huggingface_hub import errors

    what = f"{repo_id} cannot be {done}"
    try:
        yield
    except errors.HFValidationError as error:
        raise UsageError(
            f"{repo_id} is neither a folder nor the id of a repository",
            why=_first_line(error),
            fix="give a folder, or the id of a repository, OWNER/NAME",
        ) from error
    except errors.GatedRepoError as error:
        fix = f"ask for access on its page, and {_LOG_IN}"
        raise RunError(what, why="its authors give access to whom they know", fix=fix) from error
    except errors.RepositoryNotFoundError as error:
        fix = f"correct the id; if the repository is private, {_LOG_IN}"
        raise RunError(
            what, why="the Hub has no such repository that you may see", fix=fix
        ) from error
    except errors.RevisionNotFoundError as error:
        fix = "give a branch, a tag or a commit of it, or omit the revision"
        raise RunError(what, why=f"it has no revision {revision}", fix=fix) from error
    except errors.LocalEntryNotFoundError as error:
        why = f"the cache lacks files of it, which cannot be fetched: {_first_line(error)}"
        fix = f"{_ONLINE}, local_files_only=False), or give a folder with its files"
        raise RunError(what, why=why, fix=fix) from error
    except errors.OfflineModeIsEnabled as error:
        raise RunError(what, why=_first_line(error), fix=f"{_ONLINE})") from error
    except (
        errors.HTTPError,  # pyright: ignore[reportPrivateImportUsage]  # of httpx, or httpx2
        OSError,
    ) as error:
        fix = f"try again; if you may not do it, {_LOG_IN} that may"
        raise RunError(what, why=_first_line(error), fix=fix) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _require_library(repo_id: str, done: str) -> None:
    if find_spec("huggingface_hub") is None:
        raise missing_library(f"{repo_id} cannot be {done}", "huggingface_hub", "hub")
