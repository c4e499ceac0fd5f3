"""Headwater against its peers: the same work, one server, one core. Run `python -m benchmarks`."""
