"""Places where a client is used: web backends (`sse`, `starlette`) and Ray Data (`ray`). Nothing is imported here."""
