"""Python types as JSON schemas, and JSON as values of them: whole, in part, and element by element."""
