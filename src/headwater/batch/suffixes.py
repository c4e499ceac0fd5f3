"""The ending of a file's name for what is in it: the same on every Python and every machine.

Python's own table differs between its versions and takes in the system's; where a medium is known here, neither is
asked.
"""

from __future__ import annotations

import mimetypes
from typing import Final

_SUFFIXES: Final = {
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/wav": ".wav",
    "audio/wave": ".wav",
    "audio/webm": ".weba",
    "audio/x-flac": ".flac",
    "audio/x-wav": ".wav",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


def suffix_of(mime_type: str) -> str:
    """The suffix of files of this MIME type, with its dot; ".bin" for one that nobody knows."""
    essence = mime_type.partition(";")[0].strip().lower()
    return _SUFFIXES.get(essence) or mimetypes.guess_extension(essence) or ".bin"
