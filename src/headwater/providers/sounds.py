"""Sounds that travel by URL: an input as an http(s) or data URL, and a result that an answer named.

It decodes no sound, and keeps the URLs that a caller gave as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..flow import Call, Fetch, Flow, Load, Loaded, Request
from ..media import LARGEST, Media, data_url, from_data_url
from .jobs import check_media

_FAMILIES = ("audio/", "video/", "application/octet-stream")
"""Sound comes in containers that are named after pictures, and from stores that name nothing."""


def audio_url(call: Call, mime_type: str, relabelled: Mapping[str, str], other: str | None = None) -> Flow[str]:
    """The call's sound as a URL that the provider reads.

    `mime_type`: what it is taken for where nothing tells. `relabelled`: the provider's names of MIME types, of which
    `other` is for those that it does not know (None: they stay).
    """
    loaded: Loaded = yield Load(source=call.parameters["audio"], mime_type=mime_type, keep_url=True)
    if loaded.url is None:
        return data_url(loaded.data, relabelled.get(loaded.mime_type, other or loaded.mime_type))
    head, _, rest = loaded.url.partition(":")
    if head.lower() != "data":
        return loaded.url
    kind = rest[:256].partition(",")[0].partition(";")[0]
    return f"data:{relabelled.get(kind.lower(), other or kind)}{rest[len(kind) :]}"


def sound(url: str) -> Flow[Media]:
    """The sound behind a URL, or in a data URL. Raises `UnexpectedContentError` for anything else."""
    if url[:5].lower() == "data:":
        media = Media(*from_data_url(url))
    else:
        media = yield Fetch(request=Request(method="GET", url=url, limit=LARGEST), mime_type="audio/mpeg")
    check_media(media, "audio", _FAMILIES)
    return media
