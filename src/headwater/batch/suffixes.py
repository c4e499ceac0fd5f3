"""The ending of a file's name for what is in it, by the table of media that inputs are told by, too.

Python's own table, which differs between its versions and takes in the system's, is asked for what is no medium alone.
"""

from __future__ import annotations

import mimetypes

from ..media import ending_of


def suffix_of(mime_type: str) -> str:
    """The suffix of files of this MIME type, with its dot; ".bin" for one that nobody knows."""
    known = ending_of(mime_type)
    if known is not None:
        return f".{known}"
    return mimetypes.guess_extension(mime_type.partition(";")[0].strip().lower()) or ".bin"
