"""File formats of data, one a file."""
