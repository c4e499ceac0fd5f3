"""Worked examples, each a program: `python -m headwater.examples.web_backend`, and `ray_batch`."""
