"""Recorded exchanges with real servers: reading them, recognising what each is, and playing it against our flows."""
