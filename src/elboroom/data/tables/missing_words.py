"""The words that mean a missing entry."""

WORDS = frozenset(
    {
        *("", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NaT"),
        *("NULL", "null", "None", "?"),
    }
)
"""Text of an entry that is missing, after spaces around it are cut off.

They are pandas' own words, without those of old Windows compilers, and "?" and "NaT".
"""
