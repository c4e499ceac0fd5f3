"""What keeps credentials out of the records: masks for headers, and a look-out for tokens that look real.

It knows tokens by the length that vendors give out, so that nobody's account ends up in a test by mistake.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

MASK = "***"
HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-key", "x-goog-api-key")
)

REAL = re.compile(
    r"hf_[A-Za-z0-9]{30,}"  # Hugging Face
    r"|r8_[A-Za-z0-9]{30,}"  # Replicate
    r"|gsk_[A-Za-z0-9]{40,}"  # Groq
    r"|sk-[A-Za-z0-9_-]{40,}"  # OpenAI and those who follow it
    r"|nvapi-[A-Za-z0-9_-]{40,}"  # NVIDIA
    r"|csk-[a-z0-9]{40,}"  # Cerebras
    r"|fw_[A-Za-z0-9]{20,}"  # Fireworks
)


def looks_real(texts: Iterable[str]) -> bool:
    return any(REAL.search(text) for text in texts)


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with their credentials masked; the scheme ("Bearer", "Key") stays."""
    return {name: mask(value) if name in HEADERS else REAL.sub(MASK, value) for name, value in headers.items()}


def mask(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.isalpha() else MASK


def credentials(headers: Mapping[str, str]) -> frozenset[str]:
    """Digests of the credentials in the headers, to compare with and nothing else."""
    values = (value for name, value in headers.items() if name in HEADERS)
    return frozenset(digest(value.rpartition(" ")[2]) for value in values)


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def among(key: str, digests: Iterable[str]) -> bool:
    """Whether a key is one of those that have these digests."""
    found = digest(key)
    return any(hmac.compare_digest(found, known) for known in digests)
