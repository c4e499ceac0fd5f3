"""Who answers, and in which dialect: rows of facts, and flows that are pure.

    registry             one row for each provider: base, prefix, keys, and the flow of each task
    openai_*             OpenAI's dialect, a file for each of its routes; response_format: one parameter's spellings
    anthropic_messages   Anthropic's Messages; anthropic_chat: chats in them, by a translation out and in
    tgi                  text-generation-inference's dialect
    unrequested_stream   a whole answer that came as a stream, in either
    pipeline             the dialect of hf-inference and Inference Endpoints; pipeline_results: how its answers are read
    hf_inference         Hugging Face's own service; auto: its router; model_ids: its Hub's ids of models
    custom_server        a server's own URL, in whichever dialect it speaks
    fal, replicate, ...  vendors with a dialect of their own; jobs: what their queued jobs share
    urls, bodies         what they all build with; media_results: images and sounds as answers

A flow is a generator that yields what it wants done (send this, load that, wait so long) and is resumed with what came
of it, so that it reads like blocking code and is tested by hand. It never sends, waits, reads a clock or opens a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Final

from ..errors import UnknownProviderError, UnsupportedTaskError
from ..protocol.flow import TaskFlow
from .registry import ROWS, SERVER
from .registry import Provider as Provider


class _ByName(MutableMapping[str, Provider]):
    """Providers by their names, each made of its row when it is asked for."""

    def __init__(self, rows: Mapping[str, Callable[[str], Provider]]) -> None:
        self._rows = dict(sorted(rows.items()))
        self._made: dict[str, Provider] = {}

    def __getitem__(self, name: str) -> Provider:
        return self._made.get(name) or self._made.setdefault(name, self._rows[name](name))

    def __setitem__(self, name: str, row: Provider) -> None:
        self._rows[name] = lambda _: row
        self._made[name] = row

    def __delitem__(self, name: str) -> None:
        del self._rows[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


_ROUTED: Final = _ByName(ROWS)


def _auto(_: str) -> Provider:
    from .auto import auto

    return auto(_ROUTED)


PROVIDERS: Final[MutableMapping[str, Provider]] = _ByName({**dict.fromkeys(ROWS, _ROUTED.__getitem__), "auto": _auto})
"""All providers, in the order of their names."""


def provider(name: str) -> Provider:
    """The provider's row. Raises `UnknownProviderError`, which names the nearest and all."""
    found = PROVIDERS.get(name)
    if found is None:
        import difflib

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
