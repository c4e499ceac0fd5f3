"""For tests of programs that use headwater: a transport without a network.

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

`headwater.emulator` is the other way: a server with real sockets, which answers as the providers do.
"""

from ..protocol.framing import EVENT_STREAM as EVENT_STREAM
from ..protocol.transport import FOREVER as FOREVER
from .memory_transport import MemoryTransport as MemoryTransport
from .memory_transport import ScriptedResponse as ScriptedResponse
from .memory_transport import ScriptStep as ScriptStep
from .memory_transport import SentRequest as SentRequest

__all__ = ["EVENT_STREAM", "FOREVER", "MemoryTransport", "ScriptStep", "ScriptedResponse", "SentRequest"]
