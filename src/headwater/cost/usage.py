"""The tokens that an answer says it used, in one form, whichever API counted them.

    OpenAI's chats            prompt_tokens (with those cached), completion_tokens (with those of reasoning)
    OpenAI's Responses        input_tokens, output_tokens, with the same details
    Anthropic's Messages      input_tokens (without those cached), cache_read_input_tokens, cache_creation_input_tokens
    DeepSeek                  prompt_cache_hit_tokens within prompt_tokens
    text-generation servers   details.generated_tokens

https://platform.openai.com/docs/api-reference/chat/object,
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching, https://api-docs.deepseek.com/guides/kv_cache
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..protocol.json_text import UNREADABLE, loads

_MOST_TOKENS: Final = 10**11
"""A count above this is nonsense."""


class CountedTokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call, None where they were not told. `input` has those that were cached and those that were put
    into the cache (`cached`, `cache_write`); `output` has those of `reasoning`."""

    input: int | None = None
    output: int | None = None
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """In and out together, as far as they were told."""
        return (self.input or 0) + (self.output or 0)


NOT_COUNTED: Final = CountedTokens()


def tokens_of(answer: Any) -> CountedTokens:
    """What an answer says of its tokens, be it a result, a part of a stream's, or decoded JSON."""
    usage = answer.get("usage") if isinstance(answer, dict) else getattr(answer, "usage", None)
    if usage is None:
        usage = _usage_sent(answer)
    if usage is not None:
        return counted_tokens(_plain(usage))
    details = getattr(answer, "details", None)
    generated = token_count(getattr(details, "generated_tokens", None))
    if generated is None:
        return NOT_COUNTED
    prefill = getattr(details, "prefill", None)
    return CountedTokens(len(prefill) if prefill else None, generated)


def counted_tokens(usage: Any) -> CountedTokens:
    """A `usage` member; what is no object tells nothing."""
    if not isinstance(usage, Mapping):
        return NOT_COUNTED
    into, out = _first(usage, "prompt_tokens", "input_tokens"), _first(usage, "completion_tokens", "output_tokens")
    details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    told = _details(usage, "completion_tokens_details", "output_tokens_details")
    cached = _first(details, "cached_tokens") or _first(usage, "prompt_cache_hit_tokens") or 0
    written = _first(usage, "cache_creation_input_tokens") or 0
    reasoning = _first(told, "reasoning_tokens") or _first(usage, "reasoning_tokens") or 0
    beside = _first(usage, "cache_read_input_tokens") or 0
    if "prompt_tokens" not in usage and into is not None and (beside or written):
        into, cached = into + beside + written, beside
    total = _first(usage, "total_tokens")
    if out is None and into is not None and total is not None:
        out = max(0, total - into)
    if reasoning and out is not None and total is not None and total == (into or 0) + out + reasoning:
        out += reasoning  # counted beside what was said
    return CountedTokens(into, out, min(cached, into or 0), written, min(reasoning, out or 0))


def _usage_sent(answer: Any) -> Any:
    """The usage that the server sent and no field holds."""
    body = getattr(answer, "__dict__", {}).get("_body")
    if not isinstance(body, bytes) or b'"usage"' not in body:
        return None
    try:
        sent = loads(body, replace=True)
    except UNREADABLE:
        return None
    return sent.get("usage") if isinstance(sent, dict) else None


def _plain(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return None


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((usage[name] for name in names if isinstance(usage.get(name), Mapping)), {})


def _first(place: Mapping[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := token_count(place.get(name))) is not None), None)


def token_count(value: Any) -> int | None:
    """A number of tokens as a server wrote it; None for what is no count."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS else None
