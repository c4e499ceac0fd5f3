"""A server's own URL, for the tasks that two dialects know: OpenAI's where the URL says so, the pipelines' otherwise.

A bare host may be either: where the pipelines' route is not there, OpenAI's is tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from ..errors import ProviderError
from ..protocol.flow import Call, Flow
from .openai_chat import Flows
from .openai_images import draw_at_url
from .openai_speech import speak_at_url
from .openai_transcription import TEXTS, transcribe_at_url
from .urls import has_path, speaks_openai

OPENAI: Final[Mapping[str, Flows]] = {
    "automatic-speech-recognition": transcribe_at_url,
    "text-to-image": draw_at_url,
    "text-to-speech": speak_at_url,
}
_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})


def in_both(pipelines: Mapping[str, Flows]) -> dict[str, Flows]:
    """The pipelines' flows at a URL, those of the tasks above with OpenAI's dialect beside them."""
    return {
        task: partial(at_url, openai=OPENAI[task], otherwise=flow) if task in OPENAI else flow
        for task, flow in pipelines.items()
    }


def at_url(call: Call, openai: Flows, otherwise: Flows) -> Flow[Any]:
    """The task at a server's own URL, in the dialect that it speaks."""
    url = call.url or call.base
    wants_text = call.extra.get("response_format") in TEXTS  # which pipelines do not give
    if speaks_openai(url) or (wants_text and not has_path(url)):
        return (yield from openai(call))
    if has_path(url):
        return (yield from otherwise(call))
    try:
        return (yield from otherwise(call))
    except ProviderError as refused:
        if refused.status not in _NO_SUCH_ROUTE:
            raise
    return (yield from openai(call))
