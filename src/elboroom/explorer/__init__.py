"""The explorer: a local web page to look inside trained models, and its JSON interface."""

from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.server.serve import listen, serve

__all__ = ["ExploredRun", "listen", "serve"]
