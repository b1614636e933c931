"""What options may be: each check raises the `UsageError` of its option."""

from typing import Any, get_args

from elboroom.errors import UsageError


def require(ok: bool, name: str, found: object, expected: str) -> None:
    """That option `name` is `ok`; `expected` tells what it should have been."""
    if not ok:
        raise UsageError(
            f"--{name.replace('_', '-')} {found} cannot be used",
            why=f"{name} must be {expected}",
            fix="change that value; the --help of the command lists its options",
        )


def require_seed(seed: int) -> None:
    """That a seed is one of PyTorch's."""
    require(0 <= seed < 2**63, "seed", seed, "in [0, 2^63)")


def require_rows(index: tuple[int, ...] | None) -> None:
    """That the rows asked for are some, where any are named."""
    require(index != (), "index", index, "one row or more")


def require_images(images: int | None) -> None:
    """That a number of images is positive, where it is given."""
    require(images is None or images >= 1, "images", images, "1 or more")


def require_different(method: tuple[str, ...]) -> None:
    """That no method is named twice."""
    require(len(set(method)) == len(method), "method", " ".join(method), "of different methods")


def require_choices(config: object, **choices: Any) -> None:
    """That options are among the `Literal` of each."""
    for name, literal in choices.items():
        options = get_args(literal)
        require(getattr(config, name) in options, name, getattr(config, name), f"in {options}")
