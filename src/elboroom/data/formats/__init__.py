"""File formats of data, one per file; `registry` lists them."""
