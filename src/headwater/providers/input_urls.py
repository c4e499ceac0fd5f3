"""Inputs as URLs that a provider reads: the caller's own, or data URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..media.images import data_url
from ..protocol.flow import Call, Flow, Load, Loaded


def image_url(call: Call, mime_type: str = "image/png") -> Flow[str]:
    """The call's image as a URL that the provider reads: the caller's own, or a data URL."""
    return (yield from url_of(call.parameters["image"], mime_type))


def url_of(image: Any, mime_type: str = "image/png") -> Flow[str]:
    """An image as a URL that a provider reads: the caller's own, or a data URL."""
    loaded: Loaded = yield Load(source=image, mime_type=mime_type, keep_url=True)
    return loaded.url or data_url(loaded.data, loaded.mime_type)


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
