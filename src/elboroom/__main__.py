"""`python -m elboroom`."""

from elboroom.cli import main

main()
