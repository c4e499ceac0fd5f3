"""The server that breaks on demand."""
