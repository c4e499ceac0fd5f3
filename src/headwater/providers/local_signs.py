"""How a server on this machine is recognised: by what it answers, and never by its port alone.

The flow asks one server, at a URL, what it has; every request is to that URL, without a key. What answers and is not
understood is said as such.

https://github.com/ollama/ollama/blob/main/docs/api.md (`/api/version`),
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (`/props`),
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (`/version`),
https://docs.sglang.ai/basic_usage/native_api.html (`/get_server_info`),
https://huggingface.github.io/text-generation-inference/ and
https://huggingface.github.io/text-embeddings-inference/ (`/info`)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from ..errors import (
    AuthenticationError,
    ConnectError,
    DecodeError,
    HeadwaterError,
    InferenceTimeoutError,
    PermissionDeniedError,
    ProviderError,
    TransportError,
)
from ..protocol.flow import MIB, Call, Flow, Send, TaskFlow
from ..responses.decode import decode
from ..tasks.lenient_types import Nullable, Unneeded
from .bodies import get

T = TypeVar("T")

LOCAL_PORTS: Final = (11434, 1234, 8080, 8000, 30000, 3000)
"""Usual ports: Ollama, LM Studio, llama.cpp and text-generation-inference, vLLM, SGLang; the last is
text-generation-inference's without a container."""
TEI_SERVER: Final = "text-embeddings-inference"
"""It has no row of its own: it is asked at its URL."""


class LocalServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server that was found on this machine.

    `name`: what it is, None where its answers do not tell. `url`: where. `version`: its own word, None where it says
    none. `models`: what it has. `use`: the line that makes a client for it. `note`: what is odd about it; None where it
    was understood.
    """

    name: str | None
    url: str
    version: str | None = None
    models: list[str] = []
    use: str | None = None
    note: str | None = None


class _Model(msgspec.Struct):
    id: Unneeded[str] = ""
    owned_by: Unneeded[str] = ""


class _Models(msgspec.Struct):
    data: Nullable[list[_Model]]


class _Told(msgspec.Struct):
    """What servers say of themselves: `build_info` is llama.cpp's, the last three are those of `/info`."""

    version: Unneeded[str] = ""
    build_info: Unneeded[str] = ""
    model_id: Unneeded[str] = ""
    router: Unneeded[str] = ""
    model_type: Any = None


_OWNERS: Final = {
    "library": "ollama",
    "organization_owner": "lmstudio",
    "llamacpp": "llamacpp",
    "vllm": "vllm",
    "sglang": "sglang",
}
"""What each writes into `owned_by` of its models, and its name here."""
_VERSIONS: Final = {
    "ollama": "/api/version",
    "llamacpp": "/props",
    "vllm": "/version",
    "sglang": "/get_server_info",
}
"""Where each tells its version."""


def recognised(seconds: float) -> TaskFlow:
    """The flow that says which server is at its call's URL, None where nobody is; each request has so many seconds."""
    return partial(_recognised, seconds=seconds)


def _recognised(call: Call, seconds: float) -> Flow[LocalServer | None]:
    url = call.url or ""
    try:
        found = yield from _asked(url, "/v1/models", _Models, seconds)
    except ConnectError:
        return None
    except (AuthenticationError, PermissionDeniedError) as refused:
        name = "llamacpp" if refused.headers.get("server", "").lower() == "llama.cpp" else None
        return LocalServer(name=name, url=url, note="it wants a key: give api_key=")
    except InferenceTimeoutError:
        return LocalServer(name=None, url=url, note=f"something listens, and did not answer in {seconds:g} s")
    except (ProviderError, DecodeError) as odd:
        return (yield from _without_models(url, seconds, odd))
    except TransportError:
        return LocalServer(name=None, url=url, note="something listens that is no HTTP server")
    models = found.data or []
    owners = {model.owned_by for model in models}
    name = next((name for owner, name in _OWNERS.items() if owner in owners), None)
    names = [model.id for model in models if model.id]
    if name is None:
        return (yield from _by_its_word(url, seconds, names))
    version = yield from _version(url, name, seconds)
    return LocalServer(name=name, url=url, version=version, models=names)


def _asked(url: str, path: str, kind: type[T], seconds: float) -> Flow[T]:
    request = msgspec.structs.replace(get(f"{url}{path}", auth="none"), limit=MIB)
    return decode((yield Send(request, within=seconds)), kind)


def _told(url: str, path: str, seconds: float) -> Flow[_Told]:
    """What is said there; nothing, where nobody says anything that can be read."""
    try:
        return (yield from _asked(url, path, _Told, seconds))
    except HeadwaterError:
        return _Told()


def _version(url: str, name: str, seconds: float) -> Flow[str | None]:
    if name not in _VERSIONS:
        return None
    told = yield from _told(url, _VERSIONS[name], seconds)
    return told.version or told.build_info or None


def _by_its_word(url: str, seconds: float, models: list[str]) -> Flow[LocalServer]:
    """A server whose models do not say whose they are: text-generation-inference, Ollama without a model, others."""
    info = yield from _told(url, "/info", seconds)
    if info.model_id and info.model_type is None:
        return LocalServer(name="tgi", url=url, version=info.version or None, models=models or [info.model_id])
    told = yield from _told(url, _VERSIONS["ollama"], seconds)
    if told.version:
        return LocalServer(name="ollama", url=url, version=told.version, models=models)
    return LocalServer(
        name=None, url=url, models=models, note="it speaks OpenAI's dialect, and does not say what it is"
    )


def _without_models(url: str, seconds: float, odd: HeadwaterError) -> Flow[LocalServer]:
    """A server without OpenAI's list of models: text-embeddings-inference, an older text-generation-inference, or
    none of ours."""
    info = yield from _told(url, "/info", seconds)
    if info.model_id:
        name = "tgi" if info.model_type is None else TEI_SERVER
        return LocalServer(name=name, url=url, version=info.version or None, models=[info.model_id])
    status = getattr(odd, "status", None)
    what = f"with {status}" if status else "with something else than a list of models"
    return LocalServer(name=None, url=url, note=f"it answers {what}, and was not understood")
