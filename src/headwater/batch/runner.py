"""A file of requests into a file of results: `run_batch`.

The same call again goes on where the last one stopped. It holds, whatever ends the process: a result that was counted
is in the output; every record is there once, or not yet; what is sent again after a kill was under way when it came, at
most as many requests as there may be at once, or was a failure that `GiveUpRule` held back. How many those were is not
known: no note is taken of a request before its answer. How requests are paced is the map's, how lines are kept the
`Journal`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
from anyio import CancelScope, to_thread

from ..blocking.portal import call
from ..client.core import core_of
from ..errors import BudgetExceededError, InputError, InvalidParameterError
from ..mapper.async_map import AsyncMap
from ..mapper.results import Stats
from ..protocol.callback import check_callback
from ..schema.codec import codec_of
from ..throttle.settings import ThrottleSettings
from .file_lock import JournalError
from .give_up import FAILURES_IN_A_ROW, NO_KEY_ERRORS, GiveUpRule
from .input_file import Blocks, InputIndex, InterruptedBatchError, Items, is_same_file
from .journal import Journal, OpenJournal
from .perform import Records, tokens_of_line
from .progress import BatchStarted, BatchSummary, Count, Draining, Event, GaveUp, RecordFailed, Stopped
from .record import RecordMeta
from .result_line import MediaFolder
from .resume import EarlierRuns
from .spool import Spool, is_read_once
from .stop_signals import stop_signals
from .writer import JournalWriter

if TYPE_CHECKING:
    from ..client.async_client import AsyncInferenceClient
    from ..client.sync_client import InferenceClient
    from ..cost.budget import Budget
    from ..cost.price import Prices

PROGRESS_SECONDS: Final = 1.0
"""Seconds between two `BatchProgress` events."""


async def run_batch(
    client: AsyncInferenceClient,
    input: str | os.PathLike[str],  # noqa: A002 - what it is
    output: str | os.PathLike[str],
    *,
    concurrency: int | Literal["auto"] = "auto",
    ordered: bool = False,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    timeout: float | None = None,
    model: str | None = None,
    stream: bool = False,
    types: Mapping[str, Any] | None = None,
    answer_type: Any = None,
    retry_failed: bool = False,
    give_up_after: int | None = FAILURES_IN_A_ROW,
    prices: Prices | Sequence[Prices] | None = None,
    budget: Budget | int | None = None,
    media_folder: str | os.PathLike[str] | None = None,
    watch: Callable[[Event], object] | None = None,
    every: float = PROGRESS_SECONDS,
    catch_signals: bool = False,
) -> BatchSummary:
    """Perform the requests of a JSONL file, and write a result line for each.

    Args:
        input: Lines of OpenAI's Batch API, or of the short form that `request_line` describes. It is never written.
            What can be read once, such as a pipe or /dev/stdin, is first read to its end; a later run is given it
            anew.
        output: Result lines, in the order in which they come. A file that is there is gone on with: records that
            are in it are not sent again, those that failed are not either.
        concurrency: How many records may be under way at once; "auto" finds what the server bears.
        ordered: Put the output into the order of the input when every record is in it.
        requests_per_minute: The most requests to begin in a minute.
        tokens_per_minute: The most tokens to use in a minute.
        timeout: The most seconds that one record may take.
        model: The model of lines that name none.
        stream: Have chats and texts streamed, for the time of their first event; their lines are the same.
        types: Types that a line may name for its answer, by these names: `"response_format": "shop:Invoice"` of a
            chat, `"grammar"` of a text. The result has the value as `parsed`; an answer that is none is a failed
            record.
        answer_type: The type of answers of chats and texts whose lines say nothing of it.
        retry_failed: First take the records that failed out of the output, so that they are sent again.
        give_up_after: Begin no more records once so many in a row failed alike, in a way that no other would escape:
            a wrong key, model or address, a server that is gone; theirs are left to be done again. None: go on.
        prices: What tokens cost, as a client's `prices`, in place of those. A table counts for the records of earlier
            runs, too: in place of what was noted then, or where nothing was, if another place is named before it.
        budget: A `Budget`, or a number of tokens, that the records of this run spend besides the client's. Once it is
            spent no more are begun, those under way are finished, and the summary's `stopped` is "budget": the same
            call with another budget goes on.
        media_folder: Where images, sounds and videos go: "NAME.media" beside the output if not given.
        watch: Gets what is to be told, in the event loop's thread, which it must not block.
        every: Seconds between two `BatchProgress` events.
        catch_signals: In the main thread: SIGINT or SIGTERM ends the taking of records, a second one ends at once.

    Returns:
        What there is now, and what is left.

    Raises:
        InputError: The input cannot be read, has no JSON object in it, or is not what the output was made from.
        InvalidParameterError: An option cannot be what it is.
        JournalError: The output is in another run's hands, damaged, or cannot be written.
    """
    if give_up_after is not None and (isinstance(give_up_after, bool) or give_up_after < 1):
        raise InvalidParameterError("give_up_after must be a whole number above 0, or None")
    if watch is not None:
        check_callback("watch", watch, "an event")
    if answer_type is not None:
        codec_of(answer_type)
    if timeout is not None:
        client = client.with_options(timeout=timeout)
    core = core_of(client)
    core = (core if prices is None else core.with_options(prices=prices)).with_budget(budget)
    settings = ThrottleSettings(concurrency, requests_per_minute, tokens_per_minute, {}, tokens_of_line)
    output, count = Path(output), Count(core.account)
    folder = MediaFolder(Path(media_folder) if media_folder else output.with_suffix(".media"), output)
    records = Records(core, model, folder, stream=stream, types=types or {}, answer_type=answer_type)
    batch = Batch(Path(input), output, settings, records, count)
    batch.ordered, batch.retry_failed, batch.give_up_after = ordered, retry_failed, give_up_after
    batch.watch, batch.every = watch, every
    return await batch.run(catch_signals=catch_signals)


def run_batch_sync(
    client: InferenceClient,
    input: str | os.PathLike[str],  # noqa: A002 - what it is
    output: str | os.PathLike[str],
    **options: Any,
) -> BatchSummary:
    """`run_batch` for blocking code, with its options but for `catch_signals`; Ctrl-C ends it, and loses nothing."""
    from ..client.async_client import AsyncInferenceClient

    async def run() -> BatchSummary:
        async with AsyncInferenceClient(**core_of(client).arguments) as its:
            return await run_batch(its, input, output, **options)

    return call(run)


class Batch:
    """One run."""

    ordered = False
    retry_failed = False
    give_up_after: int | None = FAILURES_IN_A_ROW
    watch: Callable[[Event], object] | None = None
    every = PROGRESS_SECONDS

    def __init__(self, source: Path, output: Path, settings: ThrottleSettings, records: Records, count: Count) -> None:
        self._index = InputIndex(source)
        self._output = output
        self._settings = settings
        self._records = records
        self._count = count
        self._paths = (str(source), str(output))
        self._stopped: Stopped | None = None
        self._failure: Exception | None = None
        self._refusal: BudgetExceededError | None = None
        self._results: AsyncMap[Any] | None = None
        self._torn = 0
        self._failures: dict[int, RecordFailed] = {}
        self._give_up_rule: GiveUpRule[tuple[bytes, RecordMeta]] = GiveUpRule(None, has_succeeded=False, now=0.0)

    async def run(self, *, catch_signals: bool) -> BatchSummary:
        """Run to the end, whatever that is."""
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            if catch_signals:
                tasks.start_soon(self._listen)
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - raised again below, where no group is put around it
                self._failure = self._failure or error
            tasks.cancel_scope.cancel()
        if isinstance(self._failure, InterruptedBatchError):
            raise KeyboardInterrupt
        if self._failure is not None:
            raise self._failure
        stopped = self._stopped if self._count.left else None
        cause = self._give_up_rule.cause if stopped == "gave_up" else None
        cause = self._refusal if stopped == "budget" else cause
        reason = f"{type(cause).__name__}: {cause}" if cause else None
        summary = self._count.summary(self._paths, self._torn, stopped, reason)
        self._tell(summary)
        return summary

    async def _listen(self) -> None:
        with stop_signals() as signals:
            async for _ in signals:
                if self._stopped is None:
                    self._stop_taking("drained")
                    if self._results is not None:
                        self._tell(Draining(self._results.stats.in_flight))
                else:
                    self._stopped = "stopped"
                    self._scope.cancel()

    def _stop_taking(self, why: Stopped) -> None:
        self._stopped = why
        if self._results is not None:
            self._results.stop_taking()

    def _tell(self, event: Event) -> None:
        if self.watch is None or self._failure is not None:
            return
        try:
            self.watch(event)
        except Exception as error:  # noqa: BLE001 - raised by `run`: this may be anyone's task
            self._fail(error)

    def _fail(self, error: Exception) -> Exception:
        self._failure = self._failure or error
        self._scope.cancel()
        return error

    async def _work(self) -> None:
        is_read_once, opened = await to_thread.run_sync(self._open)
        spool: Spool | None = None
        try:
            if is_read_once:
                spool = await self._spooled(opened)
                self._index = InputIndex(spool.path, spool.open)
            count = self._count
            earlier = EarlierRuns(self._index, opened, count, lambda: self._stopped is not None)
            journal = await to_thread.run_sync(partial(earlier.read, retry_failed=self.retry_failed))
            self._torn = earlier.torn
            count.start()
            self._give_up_rule = GiveUpRule(self.give_up_after, has_succeeded=count.done > 0, now=time.monotonic())
            self._tell(BatchStarted(*self._paths, count.total, count.done, count.failed, count.left, self._torn))
            if count.left:
                await self._perform(journal)
            if self.ordered and not count.left:
                await to_thread.run_sync(opened.sort, len(self._index.states))
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(opened.close)
                if spool is not None:
                    await to_thread.run_sync(spool.close)

    def _open(self) -> tuple[bool, OpenJournal]:
        """Whether the input has to be kept, and the output."""
        once = is_read_once(self._index.path)
        if is_same_file(self._index.path, self._output):
            raise InputError(f"{self._output} is the input as well, and would be written; name another output")
        return once, OpenJournal(self._output)

    async def _spooled(self, opened: OpenJournal) -> Spool:
        """All of an input that can be read once. Raises `InputError` where there is nothing in it."""
        spool: Spool | None = None
        try:
            spool = await to_thread.run_sync(Spool, self._index.path, self._output)
            while await to_thread.run_sync(spool.take):
                if self._stopped is not None:
                    raise InterruptedBatchError
            if not spool.size:
                raise InputError(f"{spool.path} ended without giving anything; nothing was sent")
        except BaseException:
            with CancelScope(shield=True):
                if spool is not None:
                    await to_thread.run_sync(spool.close)
                await to_thread.run_sync(opened.remove_if_empty)
            raise
        return spool

    # -- what is left

    async def _perform(self, journal: Journal) -> None:
        writer = JournalWriter(journal, self._synced)
        try:
            async with anyio.create_task_group() as tasks:

                async def write() -> None:
                    await writer.run()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(write)
                tasks.start_soon(self._tick)
                try:
                    await self._ask(writer)
                except Exception as error:  # noqa: BLE001 - raised again by `run`
                    self._failure = self._failure or error
                tasks.cancel_scope.cancel()
        finally:
            writer.put(self._give_up_rule.release())
            with CancelScope(shield=True):
                await writer.finish()

    async def _ask(self, writer: JournalWriter) -> None:
        async def store(custom_id: str, members: bytes, meta: RecordMeta, error: Exception | None) -> None:
            if isinstance(error, JournalError):  # a result's own file could not be written
                raise self._fail(error)
            if isinstance(error, BudgetExceededError):  # the record is left, for a run that has more to spend
                self._refusal = error
                if self._stopped is None:
                    self._stop_taking("budget")
                return
            if error is not None:
                told = RecordFailed(meta.index + 1, custom_id, type(error).__name__, str(error))
                self._failures[meta.index] = told
                self._count.errors[told.error] += 1
            self._count.stamp(meta)
            due = self._give_up_rule.add((members, meta), error, time.monotonic())
            if isinstance(error, NO_KEY_ERRORS) and not self._records.providers:
                self._give_up_rule.give_up(error)
            if self._give_up_rule.cause is not None and self._stopped is None:
                self._give_up(self._give_up_rule.cause)
            if due:
                await writer.add(due)

        self._records.store = store
        work: Any = self._records  # to a map, a task of its own kind
        items = Items(Blocks(self._index))
        self._results = AsyncMap(work, items, self._settings)
        try:
            async with self._results as results:
                if self._stopped is not None:
                    results.stop_taking()
                async for _ in results:
                    pass
        except BudgetExceededError as error:
            self._refusal = error
        finally:
            items.close()

    def _give_up(self, cause: Exception) -> None:
        self._stop_taking("gave_up")
        under_way = self._results.stats.in_flight - 1 if self._results is not None else 0
        self._tell(GaveUp(type(cause).__name__, str(cause), self._give_up_rule.count, max(0, under_way)))

    def _synced(self, metas: Sequence[RecordMeta]) -> None:
        """Count and report records that are on the disk."""
        for meta in metas:
            self._count.add(meta)
            if meta.error is not None:
                self._tell(self._failures.pop(meta.index))

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(self.every)
            stats = Stats() if self._results is None else self._results.stats
            waiting = None if stats.waiting is None else max(0.0, stats.waiting - time.time())
            self._tell(self._count.now(stats.in_flight, stats.limit, waiting))
