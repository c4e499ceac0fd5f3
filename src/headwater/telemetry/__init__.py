"""What is told of a client's calls, and to whom: the events that an `observer=` takes. Nothing is imported until it is
used.

AsyncInferenceClient(observer=...)      any callable that takes an event
OpenTelemetryObserver()                 one that makes spans and metrics of them (the extra `otel`)
HEADWATER_LOG=debug                     the same events in the log, with the logger `headwater`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..engine.observer import AttemptBegun as AttemptBegun
    from ..engine.observer import AttemptEnded as AttemptEnded
    from ..engine.observer import BreakerMoved as BreakerMoved
    from ..engine.observer import CallBegun as CallBegun
    from ..engine.observer import CallEnded as CallEnded
    from ..engine.observer import CallEvent as CallEvent
    from ..engine.observer import ConversationBegun as ConversationBegun
    from ..engine.observer import ConversationEnded as ConversationEnded
    from ..engine.observer import FailedOver as FailedOver
    from ..engine.observer import FirstEvent as FirstEvent
    from ..engine.observer import Hedged as Hedged
    from ..engine.observer import ObservedCall as ObservedCall
    from ..engine.observer import ObservedConversation as ObservedConversation
    from ..engine.observer import ObservedTool as ObservedTool
    from ..engine.observer import Observer as Observer
    from ..engine.observer import ObserverEvent as ObserverEvent
    from ..engine.observer import ToolBegun as ToolBegun
    from ..engine.observer import ToolEnded as ToolEnded
    from ..engine.observer import WaitBegun as WaitBegun
    from .otel import OpenTelemetryObserver as OpenTelemetryObserver

_MODULES: Final = {
    "..engine.observer": (
        "AttemptBegun AttemptEnded BreakerMoved CallBegun CallEnded CallEvent ConversationBegun ConversationEnded"
        " FailedOver FirstEvent Hedged ObservedCall ObservedConversation ObservedTool Observer ObserverEvent ToolBegun"
        " ToolEnded WaitBegun"
    ),
    ".otel": "OpenTelemetryObserver",
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = [
    "AttemptBegun",
    "AttemptEnded",
    "BreakerMoved",
    "CallBegun",
    "CallEnded",
    "CallEvent",
    "ConversationBegun",
    "ConversationEnded",
    "FailedOver",
    "FirstEvent",
    "Hedged",
    "ObservedCall",
    "ObservedConversation",
    "ObservedTool",
    "Observer",
    "ObserverEvent",
    "OpenTelemetryObserver",
    "ToolBegun",
    "ToolEnded",
    "WaitBegun",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headwater.telemetry' has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
