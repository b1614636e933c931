"""config.toml of a run: every option, the identity of the data, the event, the environment."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w

from elboroom import __version__
from elboroom.config import Config
from elboroom.config.typed_tables import read, require_type
from elboroom.data import Dataset, Identity
from elboroom.errors import RunError, UsageError
from elboroom.runs.atomic import write_file
from elboroom.runs.environment import environment
from elboroom.untrusted import parse_toml, read_bytes, require_no_links

CONFIG = "config.toml"
_LARGEST = 1 << 20  # bytes; a table has a name for each column
_MOST_NAMED = 6
_MOST_AXES = 8  # in the shape of an event


def read_config(run: Path) -> tuple[Config, Identity, tuple[int, ...], dict[str, Any]]:
    """Read the options of a run, the identity of its data, the event shape and the environment.

    Raises:
        RunError: if `run` is not a run, contains links, or has a config that cannot be used.
    """
    try:
        if (run / CONFIG).exists():
            require_no_links(run, "checkpoints", "figures")
        tables = parse_toml(read_bytes(run / CONFIG, _LARGEST))
        identity = read(Identity, tables.pop("identity"))
        shape = as_event_shape(tables.pop("event")["shape"])
        versions = dict(tables.pop("environment"))
        config = Config.from_dict(tables)
        if versions.get("elboroom") == __version__:  # another version has other options
            Config.require_complete(tables)
        return config, identity, shape, versions
    except (FileNotFoundError, NotADirectoryError) as error:
        raise not_a_run(run) from error
    except UsageError as error:
        raise _unreadable(run, f"{error.what}: {error.why}") from error
    except KeyError as error:
        raise _unreadable(run, f"it has no {error}") from error
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(run, str(error)) from error


def not_a_run(path: Path) -> RunError:
    """Return the error for a folder that is no run, and name a run in it if there are some."""
    inner = sorted(file.parent.name for file in path.glob(f"*/{CONFIG}"))
    if not inner:
        fix = "give the folder that `elboroom train` printed, such as runs/reference-…"
        return RunError(f"{path} is not a run", why=f"it has no {CONFIG}", fix=fix)
    more = ", …" * (len(inner) > _MOST_NAMED)
    return RunError(
        f"{path} is not a run",
        why=f"it is a folder of runs: {', '.join(inner[:_MOST_NAMED])}{more}",
        fix=f"give one of them, such as {path / inner[0]}",
    )


def write_config(run: Path, config: Config, data: Dataset) -> None:
    """Write the config that `read_config` reads.

    Raises:
        DiskError: if it cannot be written.
    """
    tables = {
        **_plain(asdict(config)),
        "event": {"shape": list(data.event_shape)},
        "identity": data.identity.to_dict(),
        "environment": environment(config.train),
    }
    write_file(run / CONFIG, tomli_w.dumps(tables).encode())


def write_epochs(run: Path, epochs: int) -> None:
    """Change the number of epochs in the config of a run, and nothing else.

    Raises:
        DiskError: if it cannot be written. The old config is then unchanged.
    """
    tables = parse_toml(read_bytes(run / CONFIG, _LARGEST))
    tables["train"]["epochs"] = epochs
    write_file(run / CONFIG, tomli_w.dumps(tables).encode())


def _unreadable(run: Path, why: str) -> RunError:
    return RunError(
        f"the config of {run} cannot be read",
        why=why,
        fix=f"restore {CONFIG} from where the run was made, or use the version that wrote it",
    )


def as_event_shape(found: Any) -> tuple[int, ...]:
    """Check the shape of an event that a file states.

    Raises:
        UsageError: if it is no tuple of integers.
        ValueError: if no event can have it.
    """
    require_type("event", found, tuple[int, ...])
    shape = tuple(found)
    if not 1 <= len(shape) <= _MOST_AXES or min(shape) < 1:
        raise ValueError(f"an event cannot have the shape {shape}")
    return shape


def _plain(value: Any) -> Any:
    """Return a value as TOML has it: without None, which TOML lacks and absent options mean."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return list(value) if isinstance(value, tuple) else value
