"""Chromium of this machine, driven by Playwright."""

import os
import shutil

from playwright.sync_api import Browser, Playwright


def launched(playwright: Playwright) -> Browser:
    """Launch the Chromium that CHROMIUM names, or that is on the PATH."""
    name = os.environ.get("CHROMIUM", "chromium")
    path = shutil.which(name)
    assert path is not None, f"there is no {name}: run `make chromium`, or let CHROMIUM name one"
    as_root = os.name == "posix" and os.geteuid() == 0
    # The sandbox of Chromium does not start for the superuser.
    return playwright.chromium.launch(executable_path=path, chromium_sandbox=not as_root)
