"""Checks of options: each raises a `UsageError` that names the option."""

from typing import Any, get_args

from elboroom.errors import UsageError


def require(ok: bool, name: str, found: object, expected: str) -> None:
    """Raise a `UsageError` about option `name` unless `ok`.

    Args:
        ok: True if the value can be used.
        name: the field of the config.
        found: its value.
        expected: words that complete "`name` must be …".
    """
    if not ok:
        raise UsageError(
            f"--{name.replace('_', '-')} {found} cannot be used",
            why=f"{name} must be {expected}",
            fix="change that value; the --help of the command lists its options",
        )


def require_seed(seed: int) -> None:
    """Check that PyTorch takes the seed."""
    require(0 <= seed < 2**63, "seed", seed, "in [0, 2^63)")


def require_rows(index: tuple[int, ...] | None) -> None:
    """Check that rows, if they are given, are not an empty list."""
    require(index != (), "index", index, "one row or more")


def require_images(images: int | None) -> None:
    """Check that a number of images, if it is given, is positive."""
    require(images is None or images >= 1, "images", images, "1 or more")


def require_different(method: tuple[str, ...]) -> None:
    """Check that no method is named twice."""
    require(len(set(method)) == len(method), "method", " ".join(method), "different methods")


def require_choices(config: object, **choices: Any) -> None:
    """Check that each option is one of the choices of its `Literal`."""
    for name, literal in choices.items():
        options = get_args(literal)
        require(getattr(config, name) in options, name, getattr(config, name), f"in {options}")
