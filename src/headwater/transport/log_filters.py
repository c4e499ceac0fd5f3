"""What the loggers of httpx's own parts may say: never a secret, at no level.

httpcore logs the headers of answers, and a server may repeat a key in them; hpack logs those of requests, and the SOCKS
part of httpcore a proxy's password. Our own transport logs nothing.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

from ..auth.secret import redact_all

_CORES: Final = ("httpcore", "httpcore2")
_PARTS: Final = ("connection", "http11", "http2", "proxy")
_ANSWERS: Final = ("httpx", "httpx2", *(f"{core}.{part}" for core in _CORES for part in _PARTS))
_REQUESTS: Final = ("hpack.hpack", "hpack.table", *(f"{core}.socks" for core in _CORES))


@lru_cache(maxsize=1)
def install() -> None:
    """Put the filters on the loggers, once in a process."""
    for name in _ANSWERS:
        logging.getLogger(name).addFilter(_mask)
    for name in _REQUESTS:
        logging.getLogger(name).addFilter(_drop)


def _mask(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact_all(record.getMessage()), ()
    return True


def _drop(record: logging.LogRecord) -> bool:
    """Headers are compressed there, and passwords escaped, so that masking their text would not hide them."""
    return record.levelno > logging.DEBUG
