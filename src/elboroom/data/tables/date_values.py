"""Dates ⇄ days since 1970-01-01."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import cast

import numpy as np
import pandas as pd

_DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
)
_TIMES = ("", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%SZ", "T%H:%M:%S.%f", " %H:%M:%S.%f", " %H:%M")
FORMATS = tuple(day + time for day in _DAYS for time in _TIMES)
"""The forms of dates that are recognised, as `datetime.strftime` writes them."""
_FEW = 20  # texts that sort out most formats
_LONGEST = 40  # characters of a date
_DAY = 86_400.0  # seconds
_EPOCH = pd.Timestamp("1970-01-01")


def date_formats(texts: Sequence[str]) -> list[str]:
    """Return the formats in which all texts are dates; several if day and month are ambiguous."""
    if not texts or max(map(len, texts)) > _LONGEST:
        return []
    few = [form for form in FORMATS if all(_is_of(text, form) for text in texts[:_FEW])]
    return [form for form in few if not np.isnan(days_of_texts(texts, form)).any()]


def days_of_texts(texts: Sequence[str], form: str) -> np.ndarray:
    """Return the days of some texts, (N,); NaN where one is no date of the format."""
    found = pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce")
    return days_of_times(found)


def days_of_times(times: pd.Series) -> np.ndarray:
    """Return the days of a series of times, in UTC if they have a time zone, (N,)."""
    if times.dt.tz is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return ((times - _EPOCH) / pd.Timedelta(days=1)).to_numpy(np.float64, na_value=np.nan)


def days_of_dates(values: Sequence[object]) -> np.ndarray:
    """Return the days of dates and times, (N,)."""
    return days_of_times(pd.to_datetime(pd.Series([_utc(value) for value in values])))


def time_of(days: float, form: str, decimals: int | None) -> pd.Timestamp:
    """Return the time of some days, to the day, minute or second that the column has."""
    finest = 60.0 if form and "%S" not in form else 1.0
    step = _DAY if decimals == 0 else finest
    seconds = round(days * _DAY / step) * step
    return cast(pd.Timestamp, _EPOCH + pd.Timedelta(seconds=int(seconds)))


def date_text(days: float, form: str, *, decimals: int | None, padded: bool) -> str:
    """Return a date as a column of text writes it; without `padded`, 03/04 is written 3/4."""
    text = time_of(days, form, decimals).strftime(form)
    return text if padded else re.sub(r"(?<![\d:.])0(?=\d)", "", text)


def are_padded(texts: Sequence[str], form: str) -> bool:
    """Return whether some dates are written as `strftime` would."""
    return all(datetime.strptime(text, form).strftime(form) == text for text in texts[:_FEW])


def is_date(value: object) -> bool:
    """Return whether a value is a date or a time."""
    return isinstance(value, date | np.datetime64)


def _utc(value: object) -> pd.Timestamp:
    time = pd.Timestamp(value)  # type: ignore[arg-type]
    return time if time.tz is None else time.tz_convert("UTC").tz_localize(None)


def _is_of(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True
