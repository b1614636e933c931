"""Options as notebooks show them: those that are not the defaults, and all of them in a table."""

from dataclasses import MISSING, Field, fields
from typing import Any

from elboroom.html_table import Folded, Shown, Summary, Table


class Options(Shown):
    """A dataclass of options."""

    def _summary(self) -> Summary:
        return Summary("", changed(self), [Folded("all options", all_options(self))])


def changed(options: Any) -> dict[str, object]:
    """Return the options that are not the defaults, by name."""
    named = {f.name: (getattr(options, f.name), _default(f)) for f in fields(options)}
    return {name: value for name, (value, default) in named.items() if value != default}


def all_options(options: Any) -> Table:
    """Lay out a row for each option."""
    rows = [(f.name, getattr(options, f.name)) for f in fields(options)]
    return Table(("option", "value"), rows, numbers=False)


def folded(name: str, options: Any) -> Folded:
    """Return the options of a part of a config, under a line that names those that differ."""
    found = ", ".join(f"{option} = {value}" for option, value in changed(options).items())
    return Folded(f"{name}: {found or 'all by default'}", all_options(options))


def _default(option: Field[Any]) -> object:
    return option.default if option.default_factory is MISSING else option.default_factory()
