"""The networks that code of the user's makes: no code is imported unless somebody trusts it."""

from elboroom.config import ModelConfig
from elboroom.errors import RunError, UsageError, require_callable
from elboroom.model.factory import NetworkFactory, import_factory


def known_factory(
    config: ModelConfig, place: object, network: NetworkFactory | None, *, trust: bool
) -> NetworkFactory | None:
    """Return the factory that was given or is trusted; None if nobody has named one.

    Args:
        config: options of the model.
        place: where they were read, for errors.
        network: the factory that was given.
        trust: import the factory that the config names.

    Raises:
        UsageError: if it cannot be imported, or is given for elboroom's own networks.
    """
    if network is not None:
        require_callable(network=network)
    if not config.has_own_network and network is not None:
        raise UsageError(
            f"the networks of {place} are elboroom's own",
            why=f"its config names {config.network}, and `network` was given",
            fix="open it without `network`",
        )
    if trust and network is None and config.has_own_network:
        return import_factory(config.network)
    return network


def require_known(
    config: ModelConfig, place: object, factory: NetworkFactory | None, fix: str
) -> None:
    """Check that the code which makes the networks is known, if code makes them.

    Raises:
        RunError: if nobody has trusted it; `fix` says how to, and begins with a verb.
    """
    if config.has_own_network and factory is None:
        raise RunError(
            f"the networks of {place} are made by code, {config.network}",
            why="opening it would import that module and call that function",
            fix=f"if you know that code, {fix}",
        )
