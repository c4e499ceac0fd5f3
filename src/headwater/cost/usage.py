"""The tokens that an answer says it used, in one form, whichever API counted them.

    OpenAI's chats            prompt_tokens (with those cached), completion_tokens (with those of reasoning)
    OpenAI's Responses        input_tokens, output_tokens, with the same details
    Anthropic's Messages      input_tokens (without those cached), cache_read_input_tokens, cache_creation_input_tokens
    DeepSeek, Moonshot        prompt_cache_hit_tokens, cached_tokens, within prompt_tokens
    OpenRouter                cache_write_tokens among the details
    text-generation servers   details.generated_tokens

Some say there what they charge, in US dollars:

    OpenRouter, Vercel        cost; with a key of the user's own, cost_details.upstream_inference_cost on top
    xAI                       cost_in_usd_ticks, of which 10^10 are a dollar
    Perplexity                cost.total_cost
    DeepInfra                 estimated_cost
    LiteLLM's proxy           the header x-litellm-response-cost

Servers write odd things there: what is no count is taken for not told, and makes nothing else unreadable.

https://platform.openai.com/docs/api-reference/chat/object,
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching, https://api-docs.deepseek.com/guides/kv_cache,
https://openrouter.ai/docs/guides/guides/usage-accounting, https://docs.x.ai/developers/cost-tracking,
https://docs.perplexity.ai/api-reference/chat-completions-post, https://docs.litellm.ai/docs/proxy/response_headers
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..protocol.json_text import UNREADABLE, loads

_MOST_TOKENS: Final = 10**11
"""A count above this is nonsense."""
_FURTHER: Final = re.compile(rb'_hit_tokens"|"cached_tokens"|"cache_|"reasoning_tokens"|"input_tokens"|cost')
"""What is in the bytes of an answer whose usage has counts in words that a chat's type does not know, or a cost."""
_TICKS_PER_DOLLAR: Final = 10**10
_MOST_DOLLARS: Final = 10**6
"""A charge above this, for one call, is nonsense."""
_COST_HEADER: Final = "x-litellm-response-cost"

_THREE_COUNTS: Final = re.compile(rb'"usage"\s*:\s*\{(?:\s*"(?:prompt|completion|total)_tokens"\s*:\s*\d+\s*,?)*\s*\}')
"""A usage that has nothing else, as most servers' has."""


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
        if (plain := _plain(usage)) is not None:
            return plain
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


class Charge(NamedTuple):
    """What the provider says that a call costs, in US dollars; `estimated`: by its own word."""

    usd: float
    estimated: bool = False


def charge_of(usages: Sequence[Any], headers: Mapping[str, str]) -> Charge | None:
    """What the provider says that these cost together, which answered with such headers; None where it does not say of
    each of them."""
    charges = [_charge(usage) for usage in usages]
    told = [charge for charge in charges if charge is not None]
    if told and len(told) == len(charges):
        return Charge(sum(charge.usd for charge in told), any(charge.estimated for charge in told))
    usd = _dollars(headers.get(_COST_HEADER)) if len(charges) == 1 else None
    return Charge(usd) if usd else None  # the header of a stream, which is sent before it, has nothing in it


def usages_of(answer: Any) -> list[Any]:
    """The usage of an answer with all of its members; of a typed one that was asked for again, of all of its tries."""
    return [*(each.usage for each in getattr(answer, "tries", None) or ()), _usage_told(answer)]


def _usage_told(answer: Any) -> Any:
    """The usage of an answer with all of its members."""
    if isinstance(answer, dict):
        return answer.get("usage")
    usage = getattr(answer, "usage", None)
    is_whole = isinstance(usage, dict) or not getattr(usage, "__dict__", {}).keys().isdisjoint(("_part", "_further"))
    return usage if is_whole else _usage_sent(answer) or usage


def _charge(usage: Any) -> Charge | None:
    told = _members(usage) if isinstance(usage, msgspec.Struct) else usage
    if not isinstance(told, dict):
        return None
    cost = told.get("cost")
    usd = _dollars(cost.get("total_cost") if isinstance(cost, dict) else cost)
    if usd is not None:
        details = told.get("cost_details")
        upstream = _dollars(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        return Charge(usd + (upstream or 0.0) if told.get("is_byok") is True else usd)
    ticks = _dollars(told.get("cost_in_usd_ticks"), _TICKS_PER_DOLLAR)
    if ticks is not None:
        return Charge(ticks)
    estimated = _dollars(told.get("estimated_cost"))
    return None if estimated is None else Charge(estimated, estimated=True)


def _dollars(value: Any, parts: int = 1) -> float | None:
    """An amount of money as a server wrote it, in so many parts of a dollar; None for what is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if type(value) is not int and type(value) is not float:
        return None
    return value / parts if 0 <= value <= _MOST_DOLLARS * parts else None


def _within(part: int | None, whole: int | None) -> int | None:
    return min(part, whole or 0) if part else part


def _usage_sent(answer: Any) -> Any:
    """The usage that the server sent and no field holds."""
    beside = getattr(answer, "__dict__", {})
    body, *way = beside.get("_part") or (beside.get("_body"),)
    if not isinstance(body, bytes) or b'"usage"' not in body:
        return None
    try:
        sent = loads(body, replace=True)
        for step in way:
            sent = sent[step]
    except (*UNREADABLE, LookupError, TypeError):
        return None
    return sent.get("usage") if isinstance(sent, dict) else None


def _plain(usage: Any) -> CountedTokens | None:
    """Of a chat's usage that is but what went in and out, as most are, these two; None where there may be more."""
    if getattr(usage, "prompt_tokens_details", 0) is not None or usage.completion_tokens_details is not None:
        return None
    into, out = token_count(usage.prompt_tokens), token_count(usage.completion_tokens)
    return None if into is None or out is None or _has_more(usage) else CountedTokens(into, out)


def _members(usage: Any) -> dict[str, Any]:
    """The fields of a result's usage, and what the server told beyond them."""
    found = {name: getattr(usage, name) for name in usage.__struct_fields__}
    if _has_more(usage):
        found |= usage.undeclared()
    return found


def _has_more(usage: Any) -> bool:
    """Whether the server may have told counts beyond the fields."""
    beside = getattr(usage, "__dict__", {})
    if "_part" not in beside or "_further" in beside:
        return "_further" in beside
    body = beside["_part"][0]
    at = body.find(b'"usage"')
    if at == body.rfind(b'"usage"') and _THREE_COUNTS.match(body, at) is not None:
        return False
    return _FURTHER.search(body, max(0, at)) is not None


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
