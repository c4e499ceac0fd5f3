"""The tokens that an answer's `usage` tells of, in the words of chat completions or of responses.

Servers write odd things there: what is no count is taken for not told, and makes nothing else unreadable.
https://platform.openai.com/docs/api-reference/chat/object
https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..cost.usage import token_count
from ..protocol.json_text import UNREADABLE
from ..responses.json_decoder import decode_json


class TokenUsage(msgspec.Struct, gc=False):
    """The members that count; any of them may be anything."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    total_tokens: Any = None

    def tokens(self) -> tuple[int | None, int | None]:
        """Tokens in and out, each None where it is not told; embeddings tell the total in place of what came out."""
        into = token_count(self.prompt_tokens)
        if into is None:
            into = token_count(self.input_tokens)
        out = token_count(self.completion_tokens)
        if out is None:
            out = token_count(self.output_tokens)
        if out is None and into is not None and (total := token_count(self.total_tokens)) is not None:
            out = max(0, total - into)
        return into, out


class _AnswerUsage(msgspec.Struct, gc=False):
    usage: Any = None


def usage_in(value: Any) -> TokenUsage:
    """A decoded `usage` member; one that is no object tells nothing."""
    return msgspec.convert(value, TokenUsage) if isinstance(value, dict) else NOTHING


def tokens_in(usage: Any) -> tuple[int | None, int | None]:
    """Tokens in and out, as an answer's `usage` has them; both None where there is none."""
    return usage_in(msgspec.to_builtins(usage)).tokens()


def usage_of(body: bytes) -> tuple[int | None, int | None]:
    """Tokens in and out, as the `usage` of this answer has them."""
    try:
        return usage_in(decode_json(body, _AnswerUsage).usage).tokens()
    except UNREADABLE:
        return None, None


NOTHING: Final = TokenUsage()
