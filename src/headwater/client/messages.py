"""Anthropic's names between a client and our tasks: `client.messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tasks.message_types import MessageTokensCount
from .bound_task import AsyncTask, RawResponses, SyncTask

if TYPE_CHECKING:
    from .overloads import AsyncCreateMessage, SyncCreateMessage


class AsyncMessages(RawResponses):
    """`client.messages` of `AsyncInferenceClient`."""

    def __init__(self, create: AsyncCreateMessage, count_tokens: AsyncTask[..., Any, MessageTokensCount]) -> None:
        self.create = create
        """The task `create_message`; with `stream=True` its run."""
        self.parse = create
        """The same; Anthropic's name for it where `output_format` is a type."""
        self.stream = create.stream
        """The same call as a run: `async with client.messages.stream(...) as run`."""
        self.count_tokens = count_tokens
        """The task `count_message_tokens`."""


class SyncMessages(RawResponses):
    """`client.messages` of `InferenceClient`."""

    def __init__(self, create: SyncCreateMessage, count_tokens: SyncTask[..., Any, MessageTokensCount]) -> None:
        self.create = create
        """The task `create_message`; with `stream=True` its run."""
        self.parse = create
        """The same; Anthropic's name for it where `output_format` is a type."""
        self.stream = create.stream
        """The same call as a run: `with client.messages.stream(...) as run`."""
        self.count_tokens = count_tokens
        """The task `count_message_tokens`."""
