"""The report of a batch: its output file read, counted and drawn as a page and a picture."""
