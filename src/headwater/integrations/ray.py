"""`InferenceStage`: inference as a stage of a Ray Data pipeline, one client and one map of calls in each actor.

    answered = dataset.map_batches(
        InferenceStage,
        fn_constructor_kwargs={"inputs": "prompt", "model": "meta-llama/Llama-3.1-8B-Instruct", "provider": "auto"},
        batch_size=256,
        concurrency=2,
    )

Every row comes back, with the answer or with its error; no row's failure ends the job. Ray gives an actor several
batches at a time, and the rows of all of them share one limit, which `concurrency="auto"` finds. Calls run on a loop of
headwater's own, so that they go on while Ray holds its loop up.

Keys never pass through Ray, which keeps and shows what constructors are given, and logs a `runtime_env`: actors read
them from the environment that Ray's nodes were started with.
Nothing is kept across failures of actors: Ray does such a batch again, and its calls are made and paid for again.
https://docs.ray.io/en/latest/data/api/doc/ray.data.Dataset.map_batches.html
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal

import anyio
import anyio.to_thread
import msgspec

from ..blocking.portal import call
from ..client.async_client import AsyncInferenceClient
from ..errors import ClosedError, InvalidParameterError, MissingCredentialError, UnsupportedTaskError
from ..mapper.inputs import Feed
from ..mapper.results import MapResult
from ..media.images import data_url, encode_image, mime_type_of
from ..media.source import kind_of
from ..tasks.chat import chat_completion
from ..tasks.declaration import Bound
from . import require_extra

with require_extra("ray", "numpy"):
    import numpy as np

COLUMNS: Final = (
    "answer",
    "result",
    "error",
    "error_type",
    "attempts",
    "seconds",
    "prompt_tokens",
    "completion_tokens",
    "provider",
)
_SECRET: Final = frozenset({"token", "api_key", "headers", "cookies", "proxies"})


class InferenceStage:
    """A callable class for `Dataset.map_batches`, with batches of the format "numpy" (Ray's default).

    `task`: the method of `AsyncInferenceClient`. `inputs`: the column that it works on; a chat takes a text or a list
    of messages. `columns`: further parameters of the task, each from the column named. `parameters`: those that all
    rows have; `model` is one of them, with an option of its own. `concurrency`, `requests_per_minute` and
    `tokens_per_minute`: the limits of one actor, as `client.map` takes them. `key_env`: the environment variable with
    the key, where it is not the provider's own. `prefix`: put before the names of `COLUMNS`, where rows have such.
    `client`: `AsyncInferenceClient`'s options, but for those that may hold a secret.

    Added columns: `answer`, the text of a chat or of a task of text; `result`, all of it as JSON; `error` and
    `error_type`, the message and class of a failure; `attempts`; `seconds`, in all; `prompt_tokens`,
    `completion_tokens`; `provider`. Null (numbers: NaN) where not known.

    Raises, for the whole job: `InvalidParameterError`, `UnsupportedTaskError`, `MissingCredentialError`.
    """

    def __init__(
        self,
        task: str = "chat_completion",
        *,
        inputs: str = "prompt",
        model: str | None = None,
        columns: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        concurrency: int | Literal["auto"] = "auto",
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        key_env: str | None = None,
        prefix: str = "",
        **client: Any,
    ) -> None:
        if given := sorted(client.keys() & _SECRET):
            raise InvalidParameterError(
                f"Ray would keep and show {' and '.join(given)}: put the key into the actors' environment, and name"
                " its variable as key_env if it is not the provider's own"
            )
        self._task = task
        self._inputs = inputs
        self._columns = dict(columns or {})
        self._parameters = dict(parameters or {}) | ({} if model is None else {"model": model})
        self._pace: dict[str, Any] = {
            "concurrency": concurrency,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
        }
        self._key_env = key_env
        self._prefix = prefix
        self._client = client
        self._session: _Session | None = None

    def __repr__(self) -> str:
        return f"InferenceStage({self._task!r}, inputs={self._inputs!r})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_session": None}

    async def __call__(self, batch: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The batch with the added columns."""
        if not isinstance(batch, Mapping):
            raise InvalidParameterError('InferenceStage takes batches of the format "numpy"')
        if taken := sorted(batch.keys() & {self._prefix + name for name in COLUMNS}):
            raise InvalidParameterError(f"the rows have {', '.join(taken)} already: give another prefix")
        session = self._session = self._session or self._start()
        rows = self._rows(batch, session.first)
        results = await anyio.to_thread.run_sync(call, session.perform, rows, abandon_on_cancel=True)
        added = [_row(result) for result in results]
        yield {
            **batch,
            **{self._prefix + name: _array(name, [row[at] for row in added]) for at, name in enumerate(COLUMNS)},
        }

    def _start(self) -> _Session:
        client = AsyncInferenceClient(**self._client, **self._key())
        task = getattr(client, self._task, None)
        if not isinstance(task, Bound):
            raise UnsupportedTaskError(f"{self._task!r} is no task of AsyncInferenceClient")
        asked: Any = task
        session = _Session(task, partial(client.map, asked, parameters=self._parameters, **self._pace))
        threading.Thread(target=session.hold, name="headwater-stage", daemon=True).start()
        return session

    def _key(self) -> dict[str, Any]:
        if self._key_env is None:
            return {}
        key = os.environ.get(self._key_env, "")
        if not key.strip():
            raise MissingCredentialError("key_env names an environment variable that the actor does not have")
        return {"api_key": key}

    def _rows(self, batch: Mapping[str, Any], first: str) -> list[dict[str, Any]]:
        """The arguments of every row's call."""
        named = {first: self._inputs, **self._columns}
        if missing := sorted(set(named.values()) - batch.keys()):
            raise InvalidParameterError(f"the rows have no column {', '.join(missing)}")
        given = {name: [_plain(value) for value in batch[column]] for name, column in named.items()}
        if first == chat_completion.positional[0] and self._task == chat_completion.method:
            given[first] = [_messages(value) for value in given[first]]
        return [dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True)]


class _Session:
    """An actor's map of calls, which all of its batches share; it runs on headwater's loop, as long as the actor."""

    def __init__(self, task: Bound[Any, Any, Any], start: Callable[[Feed], Any]) -> None:
        self.first = task.declaration.positional[0]
        self._start = start
        self._feed = Feed()
        self._number = 0
        self._places: dict[int, tuple[_Batch, int]] = {}
        self._failure: Exception | None = None

    def hold(self) -> None:
        """Run it in the calling thread, until the actor ends."""
        with suppress(CancelledError):  # as headwater's loop does when the process ends
            call(self._run)

    async def _run(self) -> None:
        """Perform what comes, until the actor ends."""
        try:
            async with self._start(self._feed) as results:
                async for result in results:
                    batch, at = self._places.pop(result.index)
                    batch.put(at, result)
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            self._failure = error
        finally:
            self._failure = self._failure or ClosedError("the actor is ending")
            for batch, _ in self._places.values():
                batch.whole.set()

    async def perform(self, rows: Sequence[dict[str, Any]]) -> list[MapResult[Any]]:
        """The results of a batch, in its order."""
        batch = _Batch(len(rows))
        if self._failure is None and rows:
            for at in range(len(rows)):
                self._places[self._number + at] = batch, at
            self._number += len(rows)
            self._feed.put(rows, last=False)
            await batch.whole.wait()
        if len(batch.results) < len(rows):
            raise self._failure or ClosedError("the actor is ending")
        return [batch.results[at] for at in range(len(rows))]


class _Batch:
    """The results of a batch, as they come."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.results: dict[int, MapResult[Any]] = {}
        self.whole = anyio.Event()

    def put(self, at: int, result: MapResult[Any]) -> None:
        """One of them."""
        self.results[at] = result
        if len(self.results) == self._size:
            self.whole.set()


def _plain(value: Any) -> Any:
    """A cell without numpy in it."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _messages(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _row(result: MapResult[Any]) -> tuple[Any, ...]:
    """The values of `COLUMNS` for one row."""
    value, error = result.value, result.error
    return (
        _text(value),
        None if error is not None else _json(value),
        None if error is None else str(error),
        None if error is None else type(error).__name__,
        len(result.attempts),
        result.timings.total,
        getattr(result.usage, "prompt_tokens", None),
        getattr(result.usage, "completion_tokens", None),
        result.provider or None,
    )


def _text(value: Any) -> str | None:
    choices = getattr(value, "choices", None)
    text = choices[0].message.content if choices else getattr(value, "text", value)
    return text if isinstance(text, str) else None


def _json(value: Any) -> str:
    """All of a result; images, sounds and videos are data URLs."""
    whole = data_url(value, mime_type_of(value)) if isinstance(value, bytes) else value
    return msgspec.json.encode(whole, enc_hook=_encode).decode()


def _encode(value: Any) -> Any:
    return data_url(*encode_image(value)) if kind_of(value) == "image" else _plain(value)


def _array(name: str, values: list[Any]) -> Any:
    """A column whose type does not hang on its values: blocks of a dataset must agree."""
    if name == "attempts":
        return np.array(values, dtype=np.int64)
    if name in ("seconds", "prompt_tokens", "completion_tokens"):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=object)
