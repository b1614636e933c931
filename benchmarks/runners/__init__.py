"""elboroom's own side of a comparison: each script runs one problem in a process of its own."""
