"""The API of Inference Endpoints with one endpoint in it, for a `MemoryTransport`: its life is a list of states, its
answers can be lost, and a test is called at what it wants to do something at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from headwater import ConnectionLostError
from headwater.testing import FOREVER, MemoryTransport, ScriptedResponse, SentRequest

URL = "https://a1.endpoints.huggingface.cloud"
NAME = "ns/mine"
STARTED = ("pending", "initializing", "running")
CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
CREATE: dict[str, Any] = {
    "repository": "org/model",
    "framework": "custom",
    "accelerator": "gpu",
    "instance_size": "x1",
    "instance_type": "nvidia-l4",
    "region": "us-east-1",
    "vendor": "aws",
}


def said(state: str, **status: Any) -> dict[str, Any]:
    """An endpoint in this state, as the API says it."""
    url = {"url": URL} if state in ("running", "scaledToZero", "updating") else {}
    return {
        "name": "mine",
        "type": "authenticated",
        "healthRoute": "/health",
        "model": {"repository": "org/model", "framework": "custom", "image": {"huggingface": {}}},
        "compute": {"accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x1"},
        "provider": {"vendor": "aws", "region": "us-east-1"},
        "status": {"state": state, "message": f"it is {state}", "readyReplica": 0, "targetReplica": 1, **url, **status},
    }


class EndpointApi:
    """One endpoint that goes through `life`, a state for each look; without one it is not there.

    `resumed`: the life after a resumption or a creation. Of the actions ("create", "resume", "pause", "scale-to-zero",
    "delete", "look", "health") those in `lost` are done and their answer is lost, those in `hangs` are done and never
    answered, `refuses` are statuses in their place. `at`: called at an action, or at a look that shows this state,
    before it is answered. `actions`: what was done.
    """

    def __init__(
        self,
        *life: str,
        resumed: Iterable[str] = STARTED,
        lost: Iterable[str] = (),
        hangs: Iterable[str] = (),
        refuses: dict[str, int] | None = None,
        at: dict[str, Callable[[], object]] | None = None,
    ) -> None:
        self.life, self.resumed = list(life), list(resumed)
        self.lost, self.hangs, self.refuses, self.at = set(lost), set(hangs), refuses or {}, at or {}
        self.actions: list[str] = []
        self.asked: list[str] = []
        self.transport = MemoryTransport(self.respond)

    @property
    def state(self) -> str:
        """The state that it is in, "" where it is not there."""
        return self.life[0] if self.life else ""

    def respond(self, request: SentRequest) -> ScriptedResponse | BaseException:
        """The answer to a request."""
        assert request.headers.get("authorization") == "Bearer hf_token", "the token goes along everywhere"
        parts = urlsplit(request.url)
        if parts.hostname != "api.endpoints.huggingface.cloud":
            return self._inference(parts.path)
        name = parts.path.removeprefix("/v2/endpoint/ns").strip("/").partition("/")[2]
        action = {"GET": "look", "DELETE": "delete"}.get(request.method, name or "create")
        return self._answer(action, lambda: self._act(action, request))

    def _inference(self, path: str) -> ScriptedResponse | BaseException:
        if path == "/health":
            return self._answer("health", lambda: ScriptedResponse(b"ok", content_type="text/plain"))
        assert path == "/v1/chat/completions", path
        return ScriptedResponse.json(CHAT)

    def _answer(self, action: str, act: Callable[[], ScriptedResponse]) -> ScriptedResponse | BaseException:
        self.asked.append(action)
        if action in self.refuses:
            return ScriptedResponse.json({"error": "refused"}, status=self.refuses[action])
        answer = act()
        for name in (action, self.state if action == "look" else ""):
            if name in self.at:
                self.at.pop(name)()
        if action in self.hangs:
            return ScriptedResponse(head=[FOREVER])
        if action in self.lost:
            self.lost.discard(action)
            return ConnectionLostError("reset")
        return answer

    def _act(self, action: str, request: SentRequest) -> ScriptedResponse:
        if action == "create":
            if self.life:
                return ScriptedResponse.json({"error": "already exists"}, status=409)
            self.life = list(self.resumed)
            assert json.loads(request.body)["name"] == "mine"
        elif not self.life:
            return ScriptedResponse.json({"error": "not found"}, status=404)
        elif action == "look":
            if len(self.life) > 1:
                del self.life[0]
            return ScriptedResponse.json(said(self.state))
        elif action == "resume":
            self.life = list(self.resumed)
        else:
            self.life = {"pause": ["paused"], "scale-to-zero": ["scaledToZero"], "delete": []}[action]
        self.actions.append(action)
        return ScriptedResponse(status=204) if action == "delete" else ScriptedResponse.json(said(self.state))
