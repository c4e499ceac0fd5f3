"""What the Hub says about models and servers about themselves: status, recommendations, lists, health.

Each is a flow, so that it is under the client's deadline and retries. Nothing is inferred that was not said.

https://huggingface.co/docs/hub/api and https://huggingface.co/docs/inference-providers/hub-api
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urljoin

import msgspec

from ..errors import InvalidParameterError, MissingModelError, ProviderError, TransportError, UnsupportedModelError
from ..protocol.flow import Call, Flow, Send
from ..protocol.transport import quoted_url
from ..providers import provider
from ..providers.bodies import get
from ..providers.model_ids import Entry, card_of
from ..providers.model_offers import ModelOffer, offers_in
from ..providers.urls import CHAT, at_model, beneath, openai_url
from ..responses.decode import decode
from ..responses.json_decoder import convert
from ..tasks.lenient_types import Needed, Unneeded
from ..tasks.output import OpenOutput, Output

MODELS_PER_PAGE: Final = 1000
MOST_PAGES: Final = 20

_NEXT: Final = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')


class ModelStatus(Output):
    """Whether a model can be asked at once.

    `state`: "Loaded" where some provider serves it now, else "Loadable". `framework`: its library.
    `providers`: who serves it, by name. `compute_type`: no longer said by the Hub.
    """

    loaded: bool
    state: str
    framework: str | None = None
    compute_type: dict[str, Any] | None = None
    providers: list[str] = msgspec.field(default_factory=list)


class ModelInfo(OpenOutput):
    """A model that a server has (OpenAI's `/v1/models`), with all that the server says of it.

    `providers`: who offers it through Hugging Face's router, at which price and with what; None at other servers.
    """

    id: Unneeded[str] = ""
    object: Unneeded[str] = "model"
    created: Unneeded[int | None] = None
    owned_by: Unneeded[str | None] = None
    if TYPE_CHECKING:
        providers: list[ModelOffer] | None = None
    else:
        providers: Any = None

    def __post_init__(self) -> None:
        self.providers = offers_in(self.providers)

    def offer(self, provider: str) -> ModelOffer | None:
        """The offer of this provider; None where there is none."""
        return next((offer for offer in self.providers or () if offer.provider == provider), None)


class ModelList(Output):
    """The models of a server; also to be gone through: `for model in await client.models.list()`. What has no id is no
    model, and stays in `raw`."""

    if TYPE_CHECKING:
        data: list[ModelInfo] = []
    else:
        data: list[Any]
    object: Unneeded[str] = "list"

    def __iter__(self) -> Any:
        return iter(self.data)


class _Card(msgspec.Struct, rename={"mapping": "inferenceProviderMapping", "library": "library_name"}):
    inference: str | None = None
    library: str | None = None
    mapping: Needed[dict[str, Entry] | list[Entry] | None] = None


class _Listed(msgspec.Struct):
    id: str
    pipeline_tag: str | None = None


def model_status(call: Call) -> Flow[ModelStatus]:
    """What the Hub says of the model's being served."""
    named = call.hub_id or ""
    if not named or "://" in named:
        raise InvalidParameterError("the status of a model wants its id on the Hub; for a server there is health_check")
    hub_id = named.partition(":")[0]
    wanted = urlencode([("expand", name) for name in ("inference", "inferenceProviderMapping", "library_name")])
    card = decode((yield from card_of(call.hub, at_model(call.hub, "/api/models/", hub_id, f"?{wanted}"))), _Card)
    mapping = card.mapping or {}
    entries = mapping.items() if isinstance(mapping, dict) else [(entry.provider, entry) for entry in mapping]
    serving = sorted(name for name, entry in entries if entry.status == "live")
    loaded = card.inference == "warm" or bool(serving)
    return ModelStatus(
        loaded=loaded, state="Loaded" if loaded else "Loadable", framework=card.library, providers=serving
    )


def deployed(call: Call, *, frameworks: Sequence[str], task: str | None) -> Flow[dict[str, list[str]]]:
    """The models that are served now, by task; the Hub hands them out in pages."""
    query = [("inference", "warm"), ("expand", "pipeline_tag"), ("limit", str(MODELS_PER_PAGE))]
    query += [("pipeline_tag", task)] if task else []
    by_task: dict[str, set[str]] = {}
    for framework in frameworks or [""]:
        more = [("filter", framework)] if framework else []
        url: str | None = f"{call.hub}/api/models?{urlencode(query + more)}"
        for _ in range(MOST_PAGES):
            reply = yield Send(get(url or "", auth="hub"))
            for model in decode(reply, list[_Listed]):
                by_task.setdefault(model.pipeline_tag or "", set()).add(model.id)
            url = _following(call.hub, url or "", reply.headers.get("link", ""))
            if url is None:
                break
    by_task.pop("", None)
    return {name: sorted(by_task[name]) for name in sorted(by_task)}


def _following(hub: str, url: str, link: str) -> str | None:
    """The next page, on the same Hub. https://www.rfc-editor.org/rfc/rfc8288"""
    found = _NEXT.search(link)
    there = urljoin(url, quoted_url(found.group(1), "latin-1")) if found else ""
    return there if there.startswith(f"{hub}/api/models?") else None


def endpoint_info(call: Call) -> Flow[dict[str, Any]]:
    """What a text-generation server says of itself."""
    return decode((yield Send(get(_route(call, "/info"), auth="provider"))), dict[str, Any])


def health(call: Call) -> Flow[bool]:
    """Whether a server says that it is well."""
    if call.url is None:
        raise InvalidParameterError(
            "health_check wants a server's URL, as model or as the client's; see get_model_status"
        )
    try:
        yield Send(get(_route(call, "/health"), auth="provider"))
    except (ProviderError, TransportError):
        return False
    return True


def _route(call: Call, route: str) -> str:
    """The URL of one of a server's own routes, which stands before its versions; a query stays at its end."""
    if call.url is not None:
        whole, _, query = openai_url(call.url, CHAT).partition("?")
        server = re.sub(r"/v[0-9]+[a-z0-9]*\Z", "", whole.removesuffix(f"/{CHAT}"))
        return f"{server}{route}?{query}" if query else server + route
    if call.provider != "hf-inference":
        raise InvalidParameterError("the client's provider says nothing of its servers; give a server's URL as model")
    if call.hub_id is None:
        raise MissingModelError("pass model=..., a model's id or a server's URL")
    return at_model(call.base, "/models/", call.hub_id, route)


def model(call: Call, *, model_id: str) -> Flow[ModelInfo]:
    """What the client's server, provider or router says of one model; of a router's, in its list."""
    if call.routed:
        listed = yield from models(call)
        named: list[ModelInfo] = [each for each in listed.data if each.id == model_id]
        if not named:
            raise UnsupportedModelError(f"{call.provider} lists no model {model_id!r}")
        return named[0]
    path, mark, query = _models_url(call).partition("?")
    reply = yield Send(get(f"{path}/{quote(model_id, safe='')}{mark}{query}", auth="provider"))
    found: ModelInfo = decode(reply, ModelInfo)
    found.id = found.id or model_id
    return found


def models(call: Call) -> Flow[ModelList]:
    """The models that the client's server, provider or router has."""
    reply = yield Send(get(_models_url(call), auth="provider"))
    found = decode(reply, ModelList)
    listed = [_model(each, reply.body, place) for place, each in enumerate(found.data)]
    found.data = [model for model in listed if model is not None and _is_served(model, call)]
    return found


def _models_url(call: Call) -> str:
    """Where the models are listed."""
    if call.url is not None:
        return openai_url(call.url, CHAT).replace(f"/{CHAT}", "/models", 1)
    if call.routed:
        return f"{call.base.removesuffix('/' + call.provider)}/v1/models"
    return beneath(call.base, f"{provider(call.provider).prefix}/models")


def _model(sent: Any, body: bytes, place: int) -> ModelInfo | None:
    """The model that a member of a list is; None for one that is none."""
    model = convert(sent, ModelInfo) if isinstance(sent, dict) else None
    if model is None or not model.id:
        return None
    model.part_of(body, "data", place)
    return model


def _is_served(model: ModelInfo, call: Call) -> bool:
    return not call.routed or call.provider == "auto" or not model.providers or model.offer(call.provider) is not None
