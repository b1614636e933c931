"""`python -m elboroom`."""

from elboroom.cli.main import main

main()
