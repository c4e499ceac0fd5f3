"""One record after the other: its line read, its call made under the map's pace, its result put into the journal.

Whatever is wrong with a record is written as its result, and is nobody else's affair. Only where the journal cannot be
written is there an end to all.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
from anyio import to_thread

from ..client.core import ClientCore
from ..client.keys import is_url
from ..client.post import CUSTOM, request_flow
from ..cost.usage import counted_tokens, tokens_of
from ..engine.facts import Timings
from ..errors import InvalidAnswerError
from ..mapper.item import own
from ..mapper.results import MapResult
from ..throttle.scheduler import ItemThrottle
from ..throttle.settings import CHARACTERS_PER_TOKEN, UNKNOWN_ANSWER_TOKENS
from .file_lock import JournalError
from .input_file import Item
from .record import RecordMeta
from .request_line import STREAMED, ParsedRequest, chosen, custom_id_of, parse_line, with_type
from .result_line import MediaFolder, failure, is_small, result_body, success

if TYPE_CHECKING:
    from ..engine.failover import Order
    from ..engine.run import AsyncRun

DEFAULT_PROVIDER: Final = "hf-inference"
"""Who is asked where nobody is named."""
_USAGE: Final = {"include_usage": True}
"""https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options"""
_MOST_TOKENS: Final = re.compile(rb'"max_(?:completion_|new_|output_)?tokens"\s*:\s*(\d{1,9})')

Store = Callable[[str, bytes, RecordMeta, Exception | None], Awaitable[None]]
"""Puts a line, of which this is the beginning, into the journal; the text is the record's custom_id, the error its
own."""


class RecordTokens(msgspec.Struct, frozen=True):
    """What a record used, as the map reads it."""

    total_tokens: int


def tokens_of_line(item: Item) -> float:
    """The tokens that a line may use, roughly: a quarter of its bytes, and what it allows the answer."""
    found = _MOST_TOKENS.search(item.line)
    return len(item.line) / CHARACTERS_PER_TOKEN + (float(found[1]) if found else UNKNOWN_ANSWER_TOKENS)


class Records:
    """What a map of lines does with each: a call of `caller`, the core of a client.

    `model`: of lines that name none; `stream`: have the answers streamed. `types`: those that lines may name for their
    answers, `answer_type` that of lines that say nothing of it.
    """

    def __init__(
        self,
        caller: ClientCore,
        model: str | None,
        folder: MediaFolder,
        *,
        stream: bool,
        types: Mapping[str, Any],
        answer_type: Any,
    ) -> None:
        self._caller = caller
        self._model = model
        self._folder = folder
        self._stream = stream
        self._types = types
        self._answer_type = answer_type
        self._others: dict[str, ClientCore] = {}
        self.providers = caller.providers
        self.store: Store

    def perform(self, index: int, item: Item, throttle: ItemThrottle) -> Awaitable[MapResult[Any]]:
        """Perform one record."""
        order = throttle.scheduler.in_order(throttle.first) if self.providers else None
        return self._perform(index, item, throttle, order)

    def _caller_of(self, provider: str | None) -> ClientCore:
        """Who makes a line's call: where it wants one of several providers, a caller with that one alone."""
        if provider is None:
            return self._caller
        if provider not in self._others:
            entry = chosen(provider, self._own)
            self._others[provider] = self._caller.with_options(provider=entry) if len(self._own) > 1 else self._caller
        return self._others[provider]

    @cached_property
    def _own(self) -> dict[str, Any]:
        """The client's own providers by their names; a server's URL has none."""
        settings, given = self._caller.settings, self._caller.arguments["provider"]
        if settings.base_url is not None or is_url(settings.model):
            return {}
        listed = (
            given
            if isinstance(given, list | tuple)
            else [given or os.environ.get("HEADWATER_PROVIDER") or DEFAULT_PROVIDER]
        )
        return {name: one for one in listed if (name := getattr(one, "provider", one)) is not None}

    async def _perform(self, index: int, item: Item, throttle: ItemThrottle, order: Order | None) -> MapResult[Any]:
        meta = RecordMeta(index=item.number, input=item.checksum, started=time.time())
        began = time.monotonic()
        run: AsyncRun[Any, Any] | None = None
        error: Exception | None = None
        custom_id: str | None = None
        try:
            request = parse_line(item)
            custom_id = request.custom_id
            request = with_type(request, self._types, self._answer_type)
            meta.model, meta.provider = request.model or self._model, request.provider
            run = self._start(request, throttle, order)
            result = await run.result()
            body = await self._body(request, result, item)
            used = tokens_of(result)
            meta.input_tokens, meta.output_tokens = used.input, used.output
            members = success(custom_id, run.request_id, body, run.redact)
        except BaseException as caught:  # noqa: BLE001 - a mistake of ours with one record is no reason to lose the others
            error = wrong = own(caught)
            meta.error = type(wrong).__name__
            if isinstance(wrong, InvalidAnswerError):  # it was paid for
                used = counted_tokens(wrong.usage)
                meta.input_tokens, meta.output_tokens = used.input, used.output
            custom_id = custom_id_of(item) if custom_id is None else custom_id
            members = failure(custom_id, wrong, run.redact if run else str)
        if run is not None:
            meta.attempts, meta.provider, meta.model = len(run.attempts), run.provider, run.model or meta.model
            meta.answered, meta.first_event = run.timings.answered, run.timings.first_event
            if self._caller.account is not None:
                cost = run.facts.cost
                meta.spend = None if cost is None else cost.usd
        meta.seconds = time.monotonic() - began
        meta.in_flight, meta.limit = throttle.scheduler.in_flight, throttle.scheduler.limit
        try:
            await self.store(custom_id, members, meta, error)
        except JournalError as full:
            error = full
        return _done(index, item, meta, error, run)

    async def _body(self, request: ParsedRequest, result: Any, item: Item) -> bytes:
        if is_small(request, result):
            return result_body(request, result, item.number, self._folder)
        return await to_thread.run_sync(result_body, request, result, item.number, self._folder)

    def _start(self, request: ParsedRequest, throttle: ItemThrottle, order: Order | None) -> AsyncRun[Any, Any]:
        caller = self._caller_of(request.provider)
        given = dict(request.arguments)
        if self._model is not None and given.get("model") is None:
            given["model"] = self._model
        if request.declaration is None:
            return caller.custom(CUSTOM, request.path, request_flow(given, None, False), throttle=throttle)
        streams = (request.streams or self._stream) and request.declaration.name in STREAMED
        if streams and request.declaration.name == "chat-completion":
            given.setdefault("stream_options", _USAGE)
        bound = request.declaration.bind((), given)
        return caller.start(request.declaration, bound, stream=streams, throttle=throttle, order=order)


def _done(
    index: int, item: Item, meta: RecordMeta, error: Exception | None, run: AsyncRun[Any, Any] | None
) -> MapResult[Any]:
    used = (meta.input_tokens or 0) + (meta.output_tokens or 0)
    return MapResult(
        index=index,
        input=item,
        error=error,
        attempts=run.attempts if run else (),
        timings=run.timings if run else Timings(),
        usage=RecordTokens(used) if used else None,
        provider=meta.provider or "",
        started=meta.started,
    )
