"""Answers in a file: SQLite's, so that several processes may read and write it at once.

Nothing of it happens in the event loop's thread, and nothing of it fails a call, or holds it up for long: what cannot
be read is asked for, what cannot be written is not kept. Whatever is wrong with the file is told by a warning, once,
and the file is left alone for a while. One that is no cache of ours is never touched. No credential is written: a key
is a digest, and an answer in which a secret of its call occurs is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from anyio import CapacityLimiter, move_on_after, to_thread
from anyio.lowlevel import RunVar

from ..errors import CacheError, InvalidParameterError
from ..protocol.callback import check_callback
from ..protocol.flow import Loaded, Part, Recalled, Request
from ..protocol.json_text import UNREADABLE
from .tape import StoredReply, StoredStream, Tape, headers_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..auth.credentials import Credentials

Repeatable: TypeAlias = Callable[[str, Mapping[str, Any]], bool]
"""Whether the answer to a task with these arguments is to be kept."""
T = TypeVar("T")

APPLICATION_ID: Final = 0x68777463
"""By which SQLite's file says whose it is: "hwtc"."""
LAYOUT: Final = 1
"""Of the file; a file with a higher number is a newer release's."""
STATEMENTS: Final = 0 if "free-threading" in sys.version else 128
"""That a connection keeps. In free-threaded Python those of a worker thread are let go of by that thread alone, which
may sleep, and until then the file is not closed: its last answers are in a log beside it."""
BUSY_SECONDS: Final = 2.0
"""How long another process's writing is waited for."""
PATIENCE_SECONDS: Final = 10.0
"""How long a call waits for its cache, whose disk may be a hanging one."""
REST_SECONDS: Final = 30.0
"""How long a file that failed is left alone, so that each of many calls does not wait for it."""
TOUCH_SECONDS: Final = 60.0
"""How exactly it is known when an answer was last used, and by how much the machine's clock may be set back."""
ROOM_LEFT: Final = 0.9
"""To how much of its size a full cache is emptied."""
THREADS: Final = 2
"""In which one event loop reads and writes its caches."""
COMPUTED: Final = frozenset(
    {
        "audio-classification",
        "automatic-speech-recognition",
        "count-tokens",
        "depth-estimation",
        "document-question-answering",
        "embeddings",
        "feature-extraction",
        "fill-mask",
        "image-classification",
        "image-segmentation",
        "image-to-text",
        "moderation",
        "object-detection",
        "question-answering",
        "rerank",
        "sentence-similarity",
        "summarization",
        "table-question-answering",
        "tabular-classification",
        "tabular-regression",
        "text-classification",
        "token-classification",
        "translation",
        "video-classification",
        "visual-question-answering",
        "zero-shot-classification",
        "zero-shot-image-classification",
        "zero-shot-object-detection",
    }
)
"""Tasks that answer the same to the same question, as no dice are thrown."""
_EFFECTS: Final = ("store", "background", "previous_response_id", "conversation")
"""Parameters by which an answer is more than itself: the server keeps it, or goes on from another."""
FAILURES: Final = (sqlite3.Error, OSError, CacheError)
"""What a file raises."""
_SLOW: Final = "its disk did not answer in time"
_LIMITER: Final[RunVar[CapacityLimiter]] = RunVar("cache threads")
_TABLES: Final = """
    CREATE TABLE answers (key BLOB PRIMARY KEY, made REAL, used REAL, size INTEGER, tape BLOB);
    CREATE INDEX by_use ON answers (used);
    CREATE INDEX by_age ON answers (made);
    CREATE TABLE total (size INTEGER);
    INSERT INTO total VALUES (0);
    CREATE TRIGGER added AFTER INSERT ON answers BEGIN UPDATE total SET size = size + NEW.size; END;
    CREATE TRIGGER taken AFTER DELETE ON answers BEGIN UPDATE total SET size = size - OLD.size; END;
"""


class CacheInfo(msgspec.Struct, frozen=True):
    """What is in a cache: how many answers, and the bytes of them."""

    answers: int
    size: int


class Cache:
    """Keeps whole answers to requests that repeat, in the file at `path`, for `ttl` seconds (None: for good).

    `size`: the most bytes of answers; the ones that were not used for longest make room. `repeatable`: which answers
    are kept. None: those of tasks that compute (embeddings, classifications, transcriptions, ...), and of others
    where a `seed` is given or `temperature` is 0; "all"; or a function of the task's name and its arguments.
    `shared`: whether callers with other keys have the same answers.

    It may be given to several clients, and used from any thread, event loop and process. Raises
    `InvalidParameterError`; making it opens nothing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ttl: float | None = None,
        size: int = 1 << 30,
        repeatable: Repeatable | Literal["all"] | None = None,
        shared: bool = False,
    ) -> None:
        for name, value in (("ttl", ttl), ("size", size)):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and (not is_number or not 0 < value < inf):
                raise InvalidParameterError(f"Cache: {name} must be a number above 0")
        if repeatable not in (None, "all"):
            check_callback('Cache: repeatable, unless it is "all",', repeatable, "a task", "its arguments")
        self.path = str(Path(path).absolute())
        self.ttl, self.size, self.shared = ttl, int(size), shared
        self._repeatable = repeatable
        self._opened: dict[int, Opened] = {}
        self._warned = False
        self._rests_until = 0.0

    def __repr__(self) -> str:
        return f"Cache({self.path!r})"

    def __reduce__(self) -> Any:
        more: dict[str, Any] = {
            "ttl": self.ttl,
            "size": self.size,
            "repeatable": self._repeatable,
            "shared": self.shared,
        }
        return partial(Cache, self.path, **more), ()

    def __copy__(self) -> Cache:
        return self

    def __deepcopy__(self, memo: Any) -> Cache:
        return self

    # -- for its owner

    def clear(self) -> None:
        """Forget all answers. Blocks while it does so; raises `CacheError`, and `OSError` where the disk fails."""
        with self._connection() as db:
            db.execute("DELETE FROM answers")
            db.execute("PRAGMA incremental_vacuum")

    def info(self) -> CacheInfo:
        """What is in it. Blocks while it looks; raises `CacheError`, and `OSError` where the disk fails."""
        with self._connection() as db:
            (answers,) = db.execute("SELECT count(*) FROM answers").fetchone()
            (size,) = db.execute("SELECT size FROM total").fetchone()
        return CacheInfo(answers, size)

    async def aclear(self) -> None:
        """`clear`, from a coroutine."""
        await _in_thread(self.clear)

    async def ainfo(self) -> CacheInfo:
        """`info`, from a coroutine."""
        return await _in_thread(self.info)

    def close(self) -> None:
        """Close the file; what is asked for next opens it again."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            opened.close()

    # -- for calls

    def repeats(self, task: str, given: Mapping[str, Any]) -> bool:
        """Whether the answer to this task with these arguments is to be kept."""
        if self._repeatable == "all":
            return True
        if callable(self._repeatable):
            return bool(self._repeatable(task, given))
        if any(given.get(name) for name in _EFFECTS):
            return False
        return task in COMPUTED or given.get("seed") is not None or given.get("temperature") == 0

    def identity(self, credentials: Credentials) -> bytes:
        """Who asks, as far as answers are not shared: a digest."""
        return _digest(credentials.identity(without_secrets=self.shared))

    async def recall(self, request: Request, identity: bytes) -> Recalled:
        """What is kept for this request: nothing, where the file fails."""
        if self._rests():
            return Recalled(None)
        with move_on_after(PATIENCE_SECONDS):
            return await _in_thread(self._recall, request, identity)
        self._fail("read", TimeoutError(_SLOW))
        return Recalled(None)

    async def remember(self, key: bytes, tape: Tape, headers: Mapping[str, str], redact: Callable[[str], str]) -> None:
        """Keep this, unless `redact` finds a secret in it; a failure to do so is a warning."""
        with move_on_after(PATIENCE_SECONDS):
            await _in_thread(self._remember, key, msgspec.structs.replace(tape, headers=headers_kept(headers)), redact)
            return
        self._fail("written", TimeoutError(_SLOW))

    def _recall(self, request: Request, identity: bytes) -> Recalled:
        try:
            key = _digest((LAYOUT, identity, request_terms(request)))
        except (OSError, TypeError):  # of an input that can be read once
            return Recalled(None)
        try:
            with self._connection_for_call() as db:
                return Recalled(key) if db is None else Recalled(key, self._found(db, key))
        except FAILURES as error:
            self._fail("read", error)
            return Recalled(key)

    def _found(self, db: sqlite3.Connection, key: bytes) -> Tape | None:
        row = db.execute("SELECT made, used, tape FROM answers WHERE key = ?", (key,)).fetchone()
        now = time.time()
        if row is None or (self.ttl is not None and not -TOUCH_SECONDS <= now - row[0] < self.ttl):
            return None
        try:
            tape = msgspec.msgpack.decode(row[2], type=Tape)
        except UNREADABLE:
            return None
        if abs(now - row[1]) > TOUCH_SECONDS:
            with suppress(sqlite3.OperationalError):  # another writes, or it may only be read
                db.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
        return tape

    def _remember(self, key: bytes, tape: Tape, redact: Callable[[str], str]) -> None:
        if _has_secret(tape, redact):
            return
        data, now = msgspec.msgpack.encode(tape), time.time()
        if len(data) > self.size:
            return
        try:
            with self._connection_for_call() as db:
                if db is not None and self._opened_here().is_read_only:
                    self._warn("written", PermissionError("it may only be read"))
                elif db is not None:
                    self._write(db, key, data, now)
        except FAILURES as error:
            self._fail("written", error)

    def _write(self, db: sqlite3.Connection, key: bytes, data: bytes, now: float) -> None:
        with _transaction(db):
            if self.ttl is not None:
                old, ahead = now - self.ttl, now + TOUCH_SECONDS
                db.execute("DELETE FROM answers WHERE made <= ? OR made > ?", (old, ahead))
            db.execute("DELETE FROM answers WHERE key = ?", (key,))
            db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", (key, now, now, len(data), data))
            self._make_room(db)

    def _make_room(self, db: sqlite3.Connection) -> None:
        (total,) = db.execute("SELECT size FROM total").fetchone()
        if total <= self.size:
            return
        for key, size in db.execute("SELECT key, size FROM answers ORDER BY used, made").fetchall():
            db.execute("DELETE FROM answers WHERE key = ?", (key,))
            total -= size
            if total <= self.size * ROOM_LEFT:
                break

    def _fail(self, what: str, error: Exception) -> None:
        """Leave the file alone for a while, and say so the first time."""
        self._rests_until = time.monotonic() + REST_SECONDS
        self._warn(what, error)

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            text = f"{self.path} cannot be {what}, and answers are not kept: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This process's connection, for one thread at a time."""
        opened = self._opened_here()
        with opened.lock:
            yield opened.connection()

    @contextmanager
    def _connection_for_call(self) -> Iterator[sqlite3.Connection | None]:
        """The same, and none while a file that failed rests, which may have been while this waited for its turn."""
        opened = self._opened_here()
        with opened.lock:
            yield None if self._rests() else opened.connection()

    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def _opened_here(self) -> Opened:
        opened = self._opened.get(os.getpid())
        return self._opened.setdefault(os.getpid(), Opened(self.path)) if opened is None else opened


class Opened:
    """The file as one process has it open; a child that was forked opens it anew, and so is one that was deleted, or
    replaced: what is written to the old one nobody will ever see."""

    def __init__(self, path: str) -> None:
        self.lock = threading.Lock()
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self.is_read_only = False

    def connection(self) -> sqlite3.Connection:
        """The connection. Raises `CacheError` for a file that is no cache, `OSError` and `sqlite3.Error`."""
        if self._db is not None and self._file != _identity_of(self._path):
            self._close()
        if self._db is None:
            self.is_read_only = Path(self._path).exists() and not os.access(self._path, os.W_OK)
            self._db = _connected(self._path, is_read_only=self.is_read_only)
            self._file = _identity_of(self._path)
        return self._db

    def close(self) -> None:
        """Close it."""
        with self.lock:
            self._close()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def __del__(self) -> None:
        self._close()  # else Python 3.13 warns of a cache that nobody closed


def _identity_of(path: str) -> tuple[int, int] | None:
    """Which file is at a path; None where there is none."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _connected(path: str, *, is_read_only: bool) -> sqlite3.Connection:
    """A connection; to a file that may only be read as it is, for SQLite would write beside it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # answers are nobody else's
    name = f"{Path(path).as_uri()}?mode=ro&immutable=1" if is_read_only else path
    db = sqlite3.connect(
        name,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
        uri=is_read_only,
    )
    try:
        if is_read_only:
            _is_ours(db, path)
        else:
            _prepare(db, path)
    except sqlite3.OperationalError:
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        db.close()
        raise CacheError(f"{path} is no cache of answers, or is damaged ({error}); it was left as it is") from error
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    if not _is_ours(db, path):
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        with _transaction(db):
            if not _is_ours(db, path):  # another process may have been first
                for statement in _TABLES.strip().splitlines():
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {LAYOUT}")
    _write_ahead(db)
    db.execute("PRAGMA synchronous = NORMAL")


def _write_ahead(db: sqlite3.Connection) -> None:
    """Use a write-ahead log. SQLite waits for who writes everywhere but here, where it reads before it writes."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(BUSY_SECONDS / 100)
        else:
            return


def _is_ours(db: sqlite3.Connection, path: str) -> bool:
    """Whether the file is a cache; False for one that is empty. Raises `CacheError` for any other."""
    begins = not db.in_transaction
    if begins:  # else another process might make it one between two of these
        db.execute("BEGIN")
    try:
        (whose,) = db.execute("PRAGMA application_id").fetchone()
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        if begins and db.in_transaction:
            db.execute("COMMIT")
    if not tables and not whose:
        return False
    if whose != APPLICATION_ID:
        raise CacheError(f"{path} is another program's database, and no cache of answers; it was left as it is")
    if layout > LAYOUT:
        raise CacheError(f"{path} is a cache of a newer release of headwater; it was left as it is")
    return True


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = CapacityLimiter(THREADS)
        _LIMITER.set(limiter)
    return await to_thread.run_sync(function, *args, limiter=limiter, abandon_on_cancel=True)


def request_terms(request: Request) -> Any:
    """A request as plain values, the same for all that ask the same; files by their content.

    Raises `OSError` and `TypeError` for a body that cannot be read twice.
    """
    headers = sorted((name.lower(), value) for name, value in request.headers.items())
    return request.method, request.url, headers, _body_terms(request.body)


def _body_terms(body: Any) -> Any:
    if isinstance(body, bytes | bytearray | memoryview):
        try:
            return "json", json.dumps(json.loads(bytes(body)), sort_keys=True)
        except (ValueError, RecursionError):
            return "bytes", hashlib.sha256(body).hexdigest()
    if isinstance(body, Loaded):
        return "input", body.mime_type, _content(body)
    if isinstance(body, tuple):
        return [_part(part) for part in body]
    raise TypeError(f"a body of {type(body).__name__} cannot be told from others")


def _part(part: Part) -> Any:
    data = part.data
    return part.name, part.filename, part.mime_type, _body_terms(data)


def _content(loaded: Loaded) -> str:
    if loaded.file is not None:
        raise TypeError("an open file may be read once")
    if loaded.url is not None:
        return loaded.url
    if loaded.path is None:
        return hashlib.sha256(loaded.data).hexdigest()
    with Path(loaded.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value: Any) -> bytes:
    return hashlib.sha256(repr(value).encode(errors="surrogatepass")).digest()


def _has_secret(tape: Tape, redact: Callable[[str], str]) -> bool:
    """Whether a secret of the call occurs in what it brought."""
    texts = ["\n".join(tape.headers.values())]
    for part in tape.parts:
        if isinstance(part, StoredReply):
            texts += [part.url, part.body.decode("latin-1"), *part.headers.values()]
        elif isinstance(part, StoredStream):
            texts += [part.url, *(data.decode("latin-1") for data, _ in part.frames)]
        else:
            texts += [part.url, part.data.decode("latin-1")]
    return any(redact(text) != text for text in texts)
