"""A published model as it is read: from a folder, or from the Hub through its cache."""

import os
from pathlib import Path
from typing import cast

from elboroom.errors import RunError, UsageError, require_instance
from elboroom.model.factory import NetworkFactory
from elboroom.model.vae import VAE, least_weights
from elboroom.runs import partial_encoder_file
from elboroom.runs.checkpoints.manifest import MODEL, describe
from elboroom.runs.checkpoints.tensors import largest_file, read_tensors
from elboroom.runs.empty_model import empty_model
from elboroom.runs.hub.pretrained_config import FETCH, PretrainedConfig, StoredWeights
from elboroom.runs.own_networks import known_factory, require_known
from elboroom.runs.read_errors import read_errors
from elboroom.untrusted import open_file, read_bytes

_POINTER = b"version https://git-lfs"
_TRUST = "from_pretrained(…, network=function) or from_pretrained(…, trust=True)"


def from_pretrained(
    name_or_folder: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    network: NetworkFactory | None = None,
    trust: bool = False,
) -> VAE:
    """Load a published model, bit for bit, with its partial encoder if it has one.

    A folder is read as it is, without huggingface_hub. Any other name is a repository of the Hub,
    whose files are fetched into the cache. Nothing is unpickled, and no code is run.

    Args:
        name_or_folder: a folder that `save_pretrained` wrote, or the id of a repository,
            OWNER/NAME.
        revision: a branch, a tag, or a commit; the commit pins what is read. By default main.
        token: a token of the Hub, for a private repository; None takes the stored one.
        cache_dir: the cache, by default that of huggingface_hub.
        local_files_only: fetch nothing; the cache must have the files.
        force_download: fetch files that the cache has.
        network: makes the networks of a model whose config names a factory.
        trust: import and run the factory that the config names. Do so only if you know its code.

    Returns:
        The model, in evaluation mode, on the processor.

    Raises:
        RunError: if there is no such model, it cannot be fetched or read, or its networks are made
            by code that nobody has trusted.
        UsageError: if an argument has another type or does not count for a folder, the id is no id,
            or huggingface_hub is not installed.

    Example:
        >>> from elboroom import (
        ...     Config,
        ...     DataConfig,
        ...     Run,
        ...     from_pretrained,
        ...     save_pretrained,
        ...     train_run,
        ... )
        >>> config = Config(DataConfig(split="reference"), networks, train=replace(brief, epochs=1))
        >>> run = Run.create("runs/first", config, mnist)
        >>> trained, _ = train_run(run, mnist)
        >>> published = from_pretrained(save_pretrained(run, "digits"))
        >>> torch.equal(published.posterior(x).mean, trained.posterior(x).mean)
        True
    """
    fix = "give a folder, or the id of a repository, OWNER/NAME"
    require_instance("name_or_folder", name_or_folder, str, os.PathLike, fix=fix)
    folder = Path(cast(str, name_or_folder)).expanduser()
    if folder.is_dir():
        _require_unused(folder, revision=revision, force_download=force_download)
    elif _is_path(name_or_folder):
        raise RunError(f"{folder} is not a model", why="there is no such folder", fix=fix)
    else:
        from elboroom.runs.hub.download import download  # loads huggingface_hub

        folder = download(
            str(name_or_folder),
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
    return read_folder(folder, network=network, trust=trust)


def read_folder(folder: Path, *, network: NetworkFactory | None, trust: bool) -> VAE:
    """Read the model of a folder, after checking that its files hold what its config promises.

    Raises:
        RunError: if it cannot be read, or code that nobody has trusted makes its networks.
        UsageError: if the networks do not fit, or `network` is given for elboroom's own.
    """
    config = PretrainedConfig.read(folder)
    factory = known_factory(config.model, folder, network, trust=trust)
    require_known(config.model, folder, factory, f"use {_TRUST}")
    path = folder / MODEL
    with read_errors(path, FETCH):
        _require_size(path, config)
    model = empty_model(config.model, config.event_shape, config.weights.seed, factory)
    with read_errors(path, FETCH):
        _take_weights(model, path, config.weights)
    found = partial_encoder_file.read(folder, config.model, model)
    model.partial_encoder = None if found is None else found[0]
    return model.eval()


def _require_size(path: Path, config: PretrainedConfig) -> None:
    """Check that the file has the size of the config, and room for its networks.

    Raises:
        OSError: there is no such file.
        ValueError: it is too small, or of another size.
    """
    with open_file(path) as file:
        size, start = os.fstat(file.fileno()).st_size, file.read(len(_POINTER))
    if start == _POINTER:
        raise ValueError("it is a pointer of Git LFS and not the file: run `git lfs pull`")
    if size != config.weights.size:
        raise ValueError(f"found {size:,} bytes; config.json expects {config.weights.size:,}")
    least = 4 * least_weights(config.model, config.event_shape)
    if least > size:
        raise ValueError(
            f"found {size:,} bytes; the networks of config.json take at least {least:,}"
        )


def _take_weights(model: VAE, path: Path, weights: StoredWeights) -> None:
    """Give a model the weights of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not the file of the config, or has other tensors than the model.
    """
    content = read_bytes(path, largest_file(model.state_dict()))
    digest = describe(content)["sha256"]
    if digest != weights.sha256:
        raise ValueError(
            f"its SHA-256 begins {digest[:16]}; config.json expects {weights.sha256[:16]}"
        )
    model.load_state_dict(read_tensors(content, model.state_dict()))


def _is_path(name: str | os.PathLike[str]) -> bool:
    """Return whether a name can only be that of a folder, which an id is not."""
    text = os.fspath(name)
    is_local = text.startswith((".", "~", "/")) or "\\" in text or text.count("/") > 1
    return not isinstance(name, str) or is_local or Path(text).is_absolute()


def _require_unused(folder: Path, *, revision: str | None, force_download: bool) -> None:
    """Check that nothing is asked for that a folder does not have.

    Raises:
        UsageError: if something is.
    """
    asked = {"revision": revision is not None, "force_download": force_download}
    for name in (name for name, is_given in asked.items() if is_given):
        raise UsageError(
            f"{name} does not count for {folder}",
            why="it is a folder here, which is read as it is",
            fix=f"omit {name}; or rename the folder, if the repository of that name is meant",
        )
