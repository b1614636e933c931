"""File formats of data, one a file; `registry` lists them."""
