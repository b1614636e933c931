"""The export of a run as a static page, whose answers the browser computes."""
