"""For tests of programs that use headwater: a transport without a network, and recordings of real exchanges.

    >>> from headwater import InferenceClient
    >>> from headwater.testing import MemoryTransport, ScriptedResponse
    >>> answer = {"choices": [{"message": {"role": "assistant", "content": "hello"}}]}
    >>> transport = MemoryTransport.in_turn(ScriptedResponse.json(answer))
    >>> with InferenceClient(base_url="https://model.test/v1", transport=transport) as client:
    ...     client.chat_completion([{"role": "user", "content": "hi"}]).choices[0].message.content
    'hello'
    >>> [request] = transport.requests
    >>> request.method, request.url, request.json()["messages"]
    ('POST', 'https://model.test/v1/chat/completions', [{'role': 'user', 'content': 'hi'}])

`cassette(path)` records what clients exchange with real servers, and replays it without them; with pytest there is the
fixture `headwater_cassette`. `headwater.emulator` is another way: a server with real sockets, which answers as the
providers do, or from a cassette.

Names are loaded when they are first used, for pytest loads the fixtures in every environment that has headwater.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..protocol.framing import EVENT_STREAM as EVENT_STREAM
    from ..protocol.transport import FOREVER as FOREVER
    from .cassette_format import CassetteError as CassetteError
    from .cassettes import Cassette as Cassette
    from .cassettes import CassetteMode as CassetteMode
    from .cassettes import cassette as cassette
    from .memory_transport import MemoryTransport as MemoryTransport
    from .memory_transport import ScriptedResponse as ScriptedResponse
    from .memory_transport import ScriptStep as ScriptStep
    from .memory_transport import SentRequest as SentRequest

_HOMES = {
    "EVENT_STREAM": "..protocol.framing",
    "FOREVER": "..protocol.transport",
    "CassetteError": ".cassette_format",
    "Cassette": ".cassettes",
    "CassetteMode": ".cassettes",
    "cassette": ".cassettes",
    "MemoryTransport": ".memory_transport",
    "ScriptStep": ".memory_transport",
    "ScriptedResponse": ".memory_transport",
    "SentRequest": ".memory_transport",
}
__all__ = [
    "EVENT_STREAM",
    "FOREVER",
    "Cassette",
    "CassetteError",
    "CassetteMode",
    "MemoryTransport",
    "ScriptStep",
    "ScriptedResponse",
    "SentRequest",
    "cassette",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headwater.testing' has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
