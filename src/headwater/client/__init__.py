"""The two clients, and how a call finds its provider."""
