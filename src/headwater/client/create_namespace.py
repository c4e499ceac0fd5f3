"""OpenAI's objects whose `create` is a task: `client.chat.completions`, `client.embeddings`, `client.moderations`."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class CreateNamespace(Generic[T]):
    """An object of OpenAI's whose `create` is one of our tasks."""

    def __init__(self, create: T) -> None:
        self.create = create
        """The task, in OpenAI's spelling: its parameters are the task's, all by name."""


class ChatCompletions(CreateNamespace[T]):
    """`client.chat.completions`."""

    @property
    def parse(self) -> T:
        """The same task; OpenAI's name for it where `response_format` is a type."""
        return self.create


class Chat(Generic[T]):
    """`client.chat`, which has `completions`."""

    def __init__(self, create: T) -> None:
        self.completions = ChatCompletions(create)
