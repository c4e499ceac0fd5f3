"""Blocking code's way into the event loop."""
