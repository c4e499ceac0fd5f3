"""The names under which a model sees the tools of several servers: each takes a name once. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 64
"""Characters of a function's name at OpenAI; MCP's own may have 128, dots and slashes."""


def plain_name(name: str) -> str:
    """The name as OpenAI and others take it; one that is too long ends in a mark of the whole."""
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", name) or "tool"
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def unique_names(tools: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each tool of a server, (server's name, tool's name): the tool's own, with the server's before it where
    another has the same, and a number behind it where that is not enough."""
    counts = Counter(plain_name(name) for _, name in tools)
    taken: set[str] = set()
    found = []
    for server, name in tools:
        plain = plain_name(name)
        wanted = plain if counts[plain] == 1 else plain_name(f"{server}_{name}")
        free, number = wanted, 2
        while free in taken:
            free, number = f"{wanted[: LONGEST - 4]}_{number}", number + 1
        taken.add(free)
        found.append(free)
    return found
