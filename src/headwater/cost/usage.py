"""The tokens that an answer says it used, in one form, whichever API counted them.

    OpenAI's chats            prompt_tokens (with those cached), completion_tokens (with those of reasoning)
    OpenAI's Responses        input_tokens, output_tokens, with the same details
    Anthropic's Messages      input_tokens (without those cached), cache_read_input_tokens, cache_creation_input_tokens
    DeepSeek, Moonshot        prompt_cache_hit_tokens, cached_tokens, within prompt_tokens
    OpenRouter                cache_write_tokens among the details
    text-generation servers   details.generated_tokens

Servers write odd things there: what is no count is taken for not told, and makes nothing else unreadable.

https://platform.openai.com/docs/api-reference/chat/object,
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching, https://api-docs.deepseek.com/guides/kv_cache,
https://openrouter.ai/docs/guides/guides/usage-accounting
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..protocol.json_text import UNREADABLE, loads

_MOST_TOKENS: Final = 10**11
"""A count above this is nonsense."""
_FURTHER: Final = re.compile(rb'_hit_tokens"|"cached_tokens"|"cache_|"reasoning_tokens"|"input_tokens"')
"""What is in the bytes of an answer whose usage has counts in words that a chat's type does not know."""


class CountedTokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call, None where they were not told. `input` has those that were cached and those that were put
    into the cache (`cached`, `cache_write`); `output` has those of `reasoning`."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    @property
    def total(self) -> int:
        """In and out together, as far as they were told."""
        return (self.input or 0) + (self.output or 0)


NOT_COUNTED: Final = CountedTokens()


def tokens_of(answer: Any) -> CountedTokens:
    """What an answer says of its tokens, be it a result, a part of a stream's, or decoded JSON. Of a typed answer that
    was asked for again, all of its tries'."""
    if isinstance(answer, dict):
        return counted_tokens(answer.get("usage"))
    usage = getattr(answer, "usage", None)
    if tries := getattr(answer, "tries", None):
        return all_tokens([*(counted_tokens(each.usage) for each in tries), counted_tokens(usage)])
    if usage is None:
        usage = _usage_sent(answer)
    if usage is not None:
        return counted_tokens(usage)
    details = getattr(answer, "details", None)
    generated = token_count(getattr(details, "generated_tokens", None))
    if generated is None:
        return NOT_COUNTED
    prefill = getattr(details, "prefill", None)
    return CountedTokens(len(prefill) if prefill else None, generated)


def all_tokens(counts: Iterable[CountedTokens]) -> CountedTokens:
    """Those of several calls together; what none of them was told stays so."""

    def total(name: str) -> int | None:
        told = [count for each in each_of if (count := getattr(each, name)) is not None]
        return sum(told) if told else None

    each_of = list(counts)
    return CountedTokens(*map(total, CountedTokens.__struct_fields__))


def counted_tokens(usage: Any) -> CountedTokens:
    """A `usage` member, decoded or of a result; what is no object tells nothing."""
    if isinstance(usage, msgspec.Struct):
        usage = _members(usage)
    elif not isinstance(usage, dict):
        return NOT_COUNTED
    prompt = token_count(usage.get("prompt_tokens"))
    into = _first(usage, "input_tokens") if prompt is None else prompt
    out = _first(usage, "completion_tokens", "output_tokens")
    details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    told = _details(usage, "completion_tokens_details", "output_tokens_details")
    beside, written = _first(usage, "cache_read_input_tokens"), _first(usage, "cache_creation_input_tokens")
    if prompt is None and into is not None:  # Anthropic counts them beside
        into += (beside or 0) + (written or 0)
    cached = _first(details, "cached_tokens")
    if cached is None:
        cached = _first(usage, "prompt_cache_hit_tokens", "cached_tokens") if beside is None else beside
    if written is None:
        written = _first(details, "cache_write_tokens")
    reasoning = _first(told, "reasoning_tokens")
    if reasoning is None:
        reasoning = _first(usage, "reasoning_tokens")
    total = token_count(usage.get("total_tokens"))
    if into is None and out is None:
        into = total  # of reranking
    if out is None and into is not None and total is not None:
        out = max(0, total - into)  # embeddings tell the total in place of what came out
    if reasoning and out is not None and total is not None and total == (into or 0) + out + reasoning:
        out += reasoning  # counted beside what was said
    return CountedTokens(into, out, _within(cached, into), _within(written, into), _within(reasoning, out))


def _within(part: int | None, whole: int | None) -> int | None:
    return min(part, whole or 0) if part else part


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


def _members(usage: Any) -> dict[str, Any]:
    """The fields of a result's usage, and what the server told beyond them."""
    found = {name: getattr(usage, name) for name in usage.__struct_fields__}
    beside = getattr(usage, "__dict__", {})
    if "_further" in beside or _FURTHER.search(beside["_part"][0] if "_part" in beside else b""):
        found |= usage.undeclared()
    return found


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if isinstance(found := usage.get(name), dict):
            return found
    return {}


def _first(place: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if (number := token_count(place.get(name))) is not None:
            return number
    return None


def token_count(value: Any) -> int | None:
    """A number of tokens as a server wrote it; None for what is no count."""
    if type(value) is not int and type(value) is not float:
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS else None
