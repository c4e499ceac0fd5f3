"""Who answers, and in which dialect: rows of facts, and flows that are pure.

    rows             every provider: base, keys, and the flow of each task
    openai           chats in OpenAI's dialect; response_format: the spellings of one parameter
    text_generation  TGI's dialect; completions: OpenAI's, as text generation
    embeddings       TEI's dialect and OpenAI's
    hf_inference     Hugging Face's own service; auto: its router; mapping: its Hub's ids of models
    media_tasks      who does which task of images, sound and video: images, speech and transcriptions in OpenAI's
                     dialect, and the vendors' own files; jobs: queued ones; servers: a URL of either dialect
    urls, requests   what they all build with; arguments: a call's parameters as one vendor's fields

No flow sends, waits, reads a clock or opens a file. A provider of queued jobs is a further file of flows, and
entries in `Provider.tasks`.
"""

from __future__ import annotations

import difflib
from typing import Final

from ..errors import UnknownProviderError, UnsupportedTaskError
from ..protocol.flow import TaskFlow
from .auto import auto
from .registry import ROWS, SERVER
from .registry import Provider as Provider

_BY_NAME: Final = {row.name: row for row in ROWS}
PROVIDERS: Final[dict[str, Provider]] = dict(sorted({**_BY_NAME, "auto": auto(_BY_NAME)}.items()))


def provider(name: str) -> Provider:
    """The provider's row. Raises `UnknownProviderError`, which names the nearest and all."""
    found = PROVIDERS.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), PROVIDERS, 1, 0.7)
        hint = f"; did you mean {near[0]!r}? There are" if near else "; there are"
        raise UnknownProviderError(f"no provider is called {name!r}{hint} {', '.join(PROVIDERS)}")
    return found


def flow_for(name: str, task: str) -> TaskFlow:
    """The flow by which this provider does this task; the name "url" is a server's own URL.

    Raises `UnknownProviderError`, and `UnsupportedTaskError`, which names the providers that do it.
    """
    row = SERVER if name == SERVER.name else provider(name)
    flow = row.tasks.get(task)
    if flow is None:
        doing = [other for other, its in PROVIDERS.items() if task in its.tasks]
        who = "a server's own URL" if row is SERVER else name
        known = f"these do: {', '.join(doing)}" if doing else f"no provider does; it does {', '.join(row.tasks)}"
        raise UnsupportedTaskError(f"{who} does not do {task}; {known}")
    return flow
