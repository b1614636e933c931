"""The rules for columns of dates."""

from dataclasses import replace

import numpy as np

from elboroom.data.tables.column import Column, option, refused
from elboroom.data.tables.date_values import days_of_dates, days_of_texts, is_date, time_of
from elboroom.data.tables.found import Found
from elboroom.data.tables.listing import listed
from elboroom.data.tables.number_column import made_column


def date_column(found: Found) -> Column:
    """Return a column of dates.

    Raises:
        DataError: if an entry is no date.
    """
    days, form = _days(found)
    if np.isnan(days).any():
        wrong = [t for t, d in zip(found.cells.texts, days, strict=True) if np.isnan(d)]
        raise refused(
            found.name,
            f"found {listed(wrong)}; expected dates" + (f" as {form}" if form else ""),
            f"say their format: {option(found.name, 'format', '%d/%m/%Y')}",
        )
    every = found.cells.expand(days)
    numbers = every[~np.isnan(every)]
    decimals = 0 if (days == np.round(days)).all() and "%H" not in form else None
    first, last = (time_of(end, form, decimals) for end in (days.min(), days.max()))
    shown = form or ("%Y-%m-%d" if decimals == 0 else "%Y-%m-%d %H:%M:%S")
    why = f"dates {first.strftime(shown)} to {last.strftime(shown)}"
    why += f", as {form}" if form else ""
    column = made_column(found, "date", why + _other_formats(found, form), numbers)
    return replace(column, decimals=decimals, format=form)


def _days(found: Found) -> tuple[np.ndarray, str]:
    if all(map(is_date, found.cells.values)):
        return days_of_dates(found.cells.values), ""
    form = found.formats[0] if found.formats else ""
    if not form:
        return np.full(len(found.cells.values), np.nan), form
    return days_of_texts(found.cells.texts, form), form


def _other_formats(found: Found, form: str) -> str:
    others = [other for other in found.formats if other != form] if form else []
    if not others:
        return ""
    return f" (they could be {others[0]} too: say {option(found.name, 'format', others[0])})"
