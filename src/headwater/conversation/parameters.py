"""The parameters of a conversation: a chat's, less those that it sets itself, and its own.

A test compares the former with the chat's: a parameter that is new there is added here.
"""

from __future__ import annotations

from typing import Any

from ..tasks.chat import LogitBias, ResponseFormat, ToolChoice
from ..tasks.declaration import CallOptions
from .async_run import ToolMode
from .tool_group import Approve


class TurnParameters(CallOptions, total=False):
    """What each call of the model is given; what each means says `chat_completion`."""

    model: str | None
    frequency_penalty: float | None
    logit_bias: LogitBias | None
    logprobs: bool | None
    max_tokens: int | None
    presence_penalty: float | None
    response_format: ResponseFormat | None
    seed: int | None
    stop: str | list[str] | None
    temperature: float | None
    tool_choice: ToolChoice | None
    tool_prompt: str | None
    top_logprobs: int | None
    top_p: float | None
    reasoning_effort: str | None
    max_completion_tokens: int | None
    parallel_tool_calls: bool | None
    service_tier: str | None
    store: bool | None
    metadata: dict[str, str] | None
    user: str | None
    modalities: list[str] | None
    audio: dict[str, Any] | None
    prediction: dict[str, Any] | None
    verbosity: str | None
    web_search_options: dict[str, Any] | None
    prompt_cache_key: str | None
    safety_identifier: str | None


class ConversationParameters(TurnParameters, total=False):
    """What a conversation takes by name; what each means says `converse`."""

    max_turns: int | None
    budget: int | None
    approve: Approve | None
    approval_timeout: float | None
    tool_timeout: float | None
    tools_at_once: int | None
    tool_mode: ToolMode | None
    stream: bool | None
