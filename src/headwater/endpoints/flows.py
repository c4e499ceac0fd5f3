"""The calls of the API of Inference Endpoints, as flows of the engine.

`call.base` is the API's URL, `call.hub` the Hub's. A creation is never sent twice where the first may have been taken:
whose answer was lost is looked for by its name.

https://api.endpoints.huggingface.cloud, as huggingface_hub calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from ..errors import (
    AuthenticationError,
    DecodeError,
    HeadwaterError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    TransportError,
)
from ..protocol.flow import Cached, Call, Flow, Reply, Request, Send, Sleep, TrustOrigin
from ..providers.bodies import get, post
from ..providers.urls import model_path
from ..responses.decode import decode
from .addresses import catalog_url, check_namespace, split
from .bodies import change, creation, deployment, is_of, parallel_of, with_parallel
from .types import (
    CatalogModel,
    EndpointHardware,
    EndpointInfo,
    User,
    catalog_of,
    endpoint_in,
    endpoint_of,
    hardware_of,
)

LOOKS: Final = 3
"""How often an endpoint is looked for whose creation was not answered."""
PAUSE_SECONDS: Final = 1.0
EVERYWHERE: Final = "*"


class _Items(msgspec.Struct):
    items: list[Any]


class _Deployed(msgspec.Struct):
    endpoint: Any


# who asks


def whoami(call: Call) -> Flow[User]:
    """Who the token belongs to: asked once for each. https://huggingface.co/docs/hub/api"""
    user: User = yield Cached(("whoami", call.provider), lambda: _whoami(call.hub), inf)
    return user


def _whoami(hub: str) -> Flow[User]:
    return decode((yield Send(get(f"{hub}/api/whoami-v2", auth="hub"))), User)


def namespace_of(call: Call, namespace: str | None) -> Flow[str]:
    """The namespace that was given, or the token's own. Raises `InvalidParameterError` where that is no user's."""
    if namespace is not None:
        return check_namespace(namespace)
    user = yield from whoami(call)
    if user.type != "user":
        raise InvalidParameterError(f"this token is an organisation's: say whose endpoints, as namespace={user.name!r}")
    return user.name


def located(call: Call, name: str, namespace: str | None) -> Flow[tuple[str, str]]:
    """The namespace and the name of an endpoint."""
    said, own = split(name, namespace)
    return (yield from namespace_of(call, said)), own


def _url(call: Call, namespace: str, name: str = "", action: str = "") -> str:
    return "/".join(part for part in (f"{call.base}/endpoint", namespace, name, action) if part)


# looking


def get_endpoint(call: Call, *, name: str, namespace: str | None) -> Flow[EndpointInfo]:
    """One endpoint."""
    place, own = yield from located(call, name, namespace)
    return (yield from look(call, place, own))


def look(call: Call, namespace: str, name: str) -> Flow[EndpointInfo]:
    """The endpoint as it is now."""
    return endpoint_of((yield Send(get(_url(call, namespace, name), auth="provider"))), namespace)


def list_endpoints(call: Call, *, namespace: str | None) -> Flow[list[EndpointInfo]]:
    """The endpoints of a namespace; of "*" those of the token's user and of all its organisations that let it see."""
    if namespace != EVERYWHERE:
        return (yield from _listed(call, (yield from namespace_of(call, namespace))))
    user = yield from whoami(call)
    found = yield from _listed(call, user.name)
    for each in user.orgs or ():
        try:
            found += yield from _listed(call, check_namespace(each.name))
        except (AuthenticationError, PermissionDeniedError):
            continue  # an organisation without billing, or one that does not let this user see
    return found


def _listed(call: Call, namespace: str) -> Flow[list[EndpointInfo]]:
    reply = yield Send(get(_url(call, namespace), auth="provider"))
    return [endpoint_in(said, namespace) for said in decode(reply, _Items).items]


def list_hardware(call: Call, *, namespace: str | None) -> Flow[list[EndpointHardware]]:
    """The machines that there are, with their prices and the namespace's quota."""
    place = yield from namespace_of(call, namespace)
    return hardware_of((yield Send(get(f"{call.base}/provider/{place}", auth="provider"))))


def list_catalog(call: Call, *, filters: Mapping[str, Any]) -> Flow[list[CatalogModel]]:
    """The models that can be deployed as they are."""
    query = urlencode([(name, str(value)) for name, value in filters.items() if value is not None])
    url = f"{catalog_url()}/list"
    return catalog_of((yield Send(get(f"{url}?{query}" if query else url, auth="provider"))))


# making


def create_endpoint(call: Call, *, name: str, namespace: str | None, given: Mapping[str, Any]) -> Flow[EndpointInfo]:
    """Make an endpoint."""
    said, own = split(name, namespace)
    body = creation(own, given)
    place = yield from namespace_of(call, said)
    request = _unique(_url(call, place), body)
    try:
        return endpoint_of((yield Send(request)), place)
    except HeadwaterError as lost:
        return (yield from _found_after(call, lost, place, own, body))


def deploy_endpoint(
    call: Call,
    *,
    repository: str | None,
    recipe: str | None,
    name: str | None,
    namespace: str | None,
    accelerator: str | None,
    gguf_file: str | None,
) -> Flow[EndpointInfo]:
    """Make an endpoint by a recipe of the catalog."""
    if (repository is None) == (recipe is None):
        raise InvalidParameterError("deploy: give a repository or a recipe, one of them")
    if recipe is not None and (accelerator is not None or gguf_file is not None):
        raise InvalidParameterError("accelerator and gguf_file choose a recipe, and a recipe was given")
    said, own = (namespace, None) if name is None else split(name, namespace)
    place = yield from namespace_of(call, said)
    way = f"model/{model_path(repository)}" if repository is not None else f"recipe/{quote(recipe or '', safe='')}"
    body = deployment(place, own, accelerator=accelerator, gguf_file=gguf_file)
    try:
        reply: Reply = yield Send(_unique(f"{catalog_url()}/{way}/deploy", body))
        return endpoint_in(decode(reply, _Deployed).endpoint, place)
    except HeadwaterError as lost:
        asked = {"model": {"repository": repository}}
        return (yield from _found_after(call, lost, place, own, asked))


def _unique(url: str, body: Any) -> Request:
    return replace(post(url, body), resend=False, unique=True)


def _found_after(
    call: Call, lost: HeadwaterError, namespace: str, name: str | None, body: Mapping[str, Any]
) -> Flow[EndpointInfo]:
    """The endpoint whose creation ended so, if it is there all the same. Raises the error where it is not."""
    if not may_be_taken(lost):
        raise lost
    if name is None or isinstance(lost, InferenceTimeoutError):  # which leaves no time to look
        named = f"{namespace}/{name}" if name is not None else f"one of {namespace}"
        lost.args = (f"{lost.message}; whether the endpoint was made is not known: look for {named}, it costs money",)
        raise lost
    for number in range(LOOKS):
        if number:
            yield Sleep(PAUSE_SECONDS)
        try:
            found = yield from look(call, namespace, name)
        except NotFoundError:
            continue
        if is_of(body, found.raw):
            return found
        lost.args = (f"{lost.message}; there is an endpoint {namespace}/{name}, and it is another one",)
        break
    raise lost


def may_be_taken(error: HeadwaterError) -> bool:
    """Whether a request that ended so may have been acted upon."""
    if isinstance(error, InferenceTimeoutError):
        return error.phase != "connect"
    if isinstance(error, TransportError):
        return error.sent
    return isinstance(error, DecodeError) or (
        isinstance(error, ProviderError)
        and ((error.status or 500) >= 500 or error.status == 408)
        and error.status != 503
    )


# changing


def update_endpoint(call: Call, *, name: str, namespace: str | None, given: Mapping[str, Any]) -> Flow[EndpointInfo]:
    """Change an endpoint; what was not given stays."""
    body, sizes = change(given), parallel_of(given)
    place, own = yield from located(call, name, namespace)
    if sizes:
        image, was_fetched = body.get("model", {}).get("image"), False
        if image is None:
            said = (yield from look(call, place, own)).raw.get("model")
            image, was_fetched = said.get("image") if isinstance(said, Mapping) else None, True
        body.setdefault("model", {})["image"] = with_parallel(image, sizes, was_fetched=was_fetched)
    request = replace(post(_url(call, place, own), body), method="PUT")
    return endpoint_of((yield Send(request)), place)


def pause_endpoint(call: Call, *, name: str, namespace: str | None) -> Flow[EndpointInfo]:
    """Stop an endpoint until somebody resumes it."""
    return (yield from _act(call, name, namespace, "pause"))


def scale_endpoint_to_zero(call: Call, *, name: str, namespace: str | None) -> Flow[EndpointInfo]:
    """Stop an endpoint until somebody calls it."""
    return (yield from _act(call, name, namespace, "scale-to-zero"))


def resume_endpoint(call: Call, *, name: str, namespace: str | None, running_ok: bool) -> Flow[EndpointInfo]:
    """Start an endpoint that is paused; with `running_ok` one that runs is as good."""
    place, own = yield from located(call, name, namespace)
    try:
        return (yield from _act(call, own, place, "resume"))
    except InvalidRequestError as refused:
        if not running_ok or refused.status != 400 or "already running" not in refused.text.lower():
            raise
    return (yield from look(call, place, own))


def delete_endpoint(call: Call, *, name: str, namespace: str | None) -> Flow[None]:
    """Delete an endpoint, for good."""
    place, own = yield from located(call, name, namespace)
    yield Send(Request(method="DELETE", url=_url(call, place, own), opaque=True))


def _act(call: Call, name: str, namespace: str | None, action: str) -> Flow[EndpointInfo]:
    """To ask for the same thing twice comes to the same."""
    place, own = yield from located(call, name, namespace)
    request = Request(method="POST", url=_url(call, place, own, action), headers={"accept": "application/json"})
    return endpoint_of((yield Send(request)), place)


def knock(call: Call, *, endpoint: EndpointInfo, seconds: float) -> Flow[None]:
    """Wake an endpoint that scaled to zero, by a request to its health route; how that goes is no matter."""
    if endpoint.url is None:
        return
    yield TrustOrigin(endpoint.url, sleeps=True)
    try:
        yield Send(Request(method="GET", url=health_url(endpoint), opaque=True), seconds)
    except (ProviderError, TransportError, InferenceTimeoutError, DecodeError):
        return


def health_url(endpoint: EndpointInfo) -> str:
    """What answers 200 once an endpoint can work."""
    return f"{(endpoint.url or '').rstrip('/')}/{endpoint.health_route.lstrip('/')}"
