"""A mark of tests that need what Windows does not have."""

import os

import pytest

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal or file")
