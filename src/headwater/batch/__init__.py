"""Many calls at once: `client.map`, and the runner of files of records. Nothing is imported until it is used.

run_batch(client, "in.jsonl", "out.jsonl")     a file of requests into a file of results; it can be gone on with
run_batch_sync(...)                            the same for blocking code
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..mapper.results import MapResult as MapResult
    from .file_lock import JournalError as JournalError
    from .progress import BatchProgress as BatchProgress
    from .progress import BatchStarted as BatchStarted
    from .progress import BatchSummary as BatchSummary
    from .progress import Draining as Draining
    from .progress import GaveUp as GaveUp
    from .progress import RecordFailed as RecordFailed
    from .runner import run_batch as run_batch
    from .runner import run_batch_sync as run_batch_sync

_MODULES: Final = {
    ".file_lock": "JournalError",
    ".progress": "BatchProgress BatchStarted BatchSummary Draining GaveUp RecordFailed",
    "..mapper.results": "MapResult",
    ".runner": "run_batch run_batch_sync",
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = [
    "BatchProgress",
    "BatchStarted",
    "BatchSummary",
    "Draining",
    "GaveUp",
    "JournalError",
    "MapResult",
    "RecordFailed",
    "run_batch",
    "run_batch_sync",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headwater.batch' has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
