"""The tokens that a result says it has used, in whichever words its server has for them.

https://platform.openai.com/docs/api-reference/chat/object (prompt_tokens), and of its Responses (input_tokens)
https://docs.claude.com/en/api/messages (cache_read_input_tokens, beside input_tokens)
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..cost.usage import token_count


class UsedTokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens that went in and came out; None where nobody said. `cached` and `cache_written` are parts of the input,
    and `reasoning` of the output."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


def used_tokens(result: Any) -> UsedTokens | None:
    """What this result has used; None where it does not say."""
    usage = _member(result, "usage")
    if usage is None:
        return _generated(_member(result, "details"))
    came, made = _member(usage, "prompt_tokens_details"), _member(usage, "completion_tokens_details")
    came, made = came or _member(usage, "input_tokens_details"), made or _member(usage, "output_tokens_details")
    beside, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    into, out = _first(usage, "prompt_tokens", "input_tokens"), _first(usage, "completion_tokens", "output_tokens")
    if into is not None and (beside or written):  # which are not counted among the input
        into += (beside or 0) + (written or 0)
    found = UsedTokens(
        into,
        out,
        beside if beside is not None else _count(came, "cached_tokens"),
        written if written is not None else _count(came, "cache_write_tokens"),
        _count(made, "reasoning_tokens"),
    )
    return None if found == UsedTokens() else found


def _generated(details: Any) -> UsedTokens | None:
    """Of text-generation, whose details count what came out.

    https://huggingface.co/docs/api-inference/tasks/text-generation
    """
    out = _count(details, "generated_tokens")
    return None if out is None else UsedTokens(output=out)


def _first(usage: Any, *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage, name)) is not None), None)


def _count(owner: Any, name: str) -> int | None:
    return token_count(_member(owner, name))


def _member(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
