"""The texts, scores and vectors that the emulator answers with: functions of their arguments, with no model.

A word is a token. Refuses nothing: whoever asks has checked the request.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import struct
from collections.abc import Sequence

WORDS = 16
DIMENSIONS = 16
SILENCE = ("The", "river", "says", "nothing")
"""What is said when there is nothing to repeat."""

MAX_WORDS = 1_000_000
MAX_DIMENSIONS = 65_536


def asked(model: str, key: str, default: int, limit: int) -> int:
    """The N of ``key-N`` in a model's name, at most ``limit``."""
    found = re.search(rf"{key}-(\d{{1,9}})", model)
    return min(int(found[1]), limit) if found else default


def tokens(text: str, model: str, *, turn: int = 0) -> list[str]:
    """The tokens of an answer to ``text``: its words, starting at number ``turn``, over and over.

    All but the first have their space in front, so the answer is the tokens joined by nothing.
    """
    words = text.split() or SILENCE
    count = asked(model, "words", WORDS, MAX_WORDS)
    start = turn % len(words)
    chosen = list(itertools.islice(itertools.cycle(words), start, start + count))
    return chosen[:1] + [f" {word}" for word in chosen[1:]]


def pieces(text: str) -> list[str]:
    """``text`` cut into tokens that join to it again: words, runs of spaces, and single other characters."""
    return re.findall(r"\w+|\s+|[^\w\s]", text)


def until(said: Sequence[str], stops: Sequence[str], *, keep: bool) -> tuple[list[str], str | None]:
    """``said`` cut where the first of ``stops`` appears, and which it was; the stop stays if ``keep``."""
    text = "".join(said)
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return list(said), None
    at, stop = min(found)
    return cut(said, at + len(stop) if keep else at), stop


def cut(said: Sequence[str], length: int) -> list[str]:
    """The first ``length`` characters of the tokens ``said``."""
    kept: list[str] = []
    for token in said:
        if length <= 0:
            break
        kept.append(token[:length])
        length -= len(token)
    return kept


def count(text: str) -> int:
    return len(text.split())


def logprob(token: str, rank: int = 0) -> float:
    """A log-probability below 0: the same for the same token, and lower for each rank of alternatives."""
    return -round(rank + (number(token) % 1000 + 1) / 1024, 6)


def number(text: str) -> int:
    """A token's id: 16 bits of its hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big")


def vector(text: str, length: int, *, unit: bool = True) -> list[float]:
    """``length`` 32-bit floats for a text; of Euclidean norm 1 if ``unit``, else in [-1, 1)."""
    raw = hashlib.shake_256(text.encode()).digest(4 * length)
    numbers = [n / 2**31 for n in struct.unpack(f"<{length}i", raw)]
    norm = math.sqrt(math.fsum(n * n for n in numbers)) if unit else 1.0
    return list(struct.unpack(f"<{length}f", struct.pack(f"<{length}f", *(n / norm for n in numbers))))
