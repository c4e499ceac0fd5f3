"""Inference Endpoints: the API under ``/v2``, the catalog, ``/api/whoami-v2``, and the endpoints themselves.

https://api.endpoints.huggingface.cloud and https://endpoints.huggingface.co/api/v1/catalog, as huggingface_hub calls
them. The user of every token is "emulator", a member of "emulator-org"; a token with "org" in its name is that
organisation's own. A namespace with "forbidden" in its name gets a 401. Whatever a body says that the API does not
know, or says in a form that it does not take, is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..endpoint_lives import HAS_URL, STOPPED, EmulatedEndpoint
from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, Route, WholeAnswer, get, post, raw
from . import tgi
from .endpoint_bodies import CREATED, DEPLOYED, HARDWARE, MODELS, UPDATED, complaint

USER = "emulator"
ORGANISATION = "emulator-org"
TIME = "2026-01-01T00:00:00.000000001Z"
"""When everything was made and changed; in nanoseconds, as the API says it."""
PLACE = re.compile(r"^/v2/(?:endpoint|provider)/([^/]+)(?:/([^/]+))?")
AT = re.compile(r"^/at-endpoint/([^/]+)(/.*)?$")
ENGINES = {"llamacpp": "llamacpp", "tei": "tei", "vllm": "vLLM"}
"""What an image is called that runs the engine of a recipe."""
USUAL: dict[str, Any] = {
    "provider": {"vendor": "aws", "region": "us-east-1"},
    "compute": {
        "accelerator": "gpu",
        "instanceType": "nvidia-l4",
        "instanceSize": "x1",
        "scaling": {"minReplica": 1, "maxReplica": 1, "scaleToZeroTimeout": 60},
    },
    "model": {
        "repository": "emulator/chat-8b",
        "framework": "custom",
        "revision": "0123456789abcdef",
        "task": "text-generation",
        "image": {"vLLM": {"url": "registry.example/vllm:1"}},
    },
}
"""What an endpoint has of which only the name was said."""
FILTERS = {"accelerator", "engine", "license", "task", "search", "limit"}


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    return RefusedError(WholeAnswer({"error": message}, status))


def user(call: DialectRequest) -> str:
    """The name of whoever asks; 401 without a Hugging Face token."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith("hf_"):
        raise refuse(call, 401, "Invalid username or password.")
    return ORGANISATION if "org" in token else USER


def namespace(call: DialectRequest) -> str:
    """The namespace that the path names, if whoever asks may see it."""
    user(call)
    found = PLACE.match(call.path)
    assert found is not None
    if "forbidden" in found[1]:
        raise refuse(call, 401, "You do not have access to this namespace")
    return found[1]


def named(call: DialectRequest) -> EmulatedEndpoint:
    """The endpoint that the path names."""
    place, found = namespace(call), PLACE.match(call.path)
    assert found is not None
    endpoint = call.endpoints.find(place, found[2])
    if endpoint is None:
        raise refuse(call, 404, f"Endpoint {place}/{found[2]} was not found")
    return endpoint


def told(call: DialectRequest, endpoint: EmulatedEndpoint, status: dict[str, Any] | None = None) -> dict[str, Any]:
    """All that the API says of an endpoint. Registry credentials and secrets are not said in full."""
    status = {"createdAt": TIME, "updatedAt": TIME, "private": None, **(status or endpoint.status)}
    if status["state"] in HAS_URL and "url" not in status:
        status["url"] = url(call, endpoint)
    model = {"task": None, **endpoint.body["model"]}
    if "secrets" in model:
        model["secrets"] = dict.fromkeys(model["secrets"], "***")
    if "custom" in model["image"] and "credentials" in model["image"]["custom"]:
        custom = model["image"]["custom"]
        model["image"] = {"custom": {**custom, "credentials": {**custom["credentials"], "password": "***"}}}
    return {
        **endpoint.body,
        "model": model,
        "name": endpoint.name,
        "accountId": None,
        "healthRoute": "/health",
        "status": status,
    }


def url(call: DialectRequest, endpoint: EmulatedEndpoint) -> str:
    """Where it answers: under this emulator, or at the host that it would have."""
    if call.headers.get("x-emulator-host"):
        return f"https://{endpoint.id}.endpoints.huggingface.cloud"
    return f"http://{call.headers.get('host', '')}/at-endpoint/{endpoint.id}"


# the API


def listed(call: DialectRequest) -> DialectAnswer:
    return WholeAnswer({"items": [told(call, each) for each in call.endpoints.of(namespace(call))]})


def created(call: DialectRequest) -> DialectAnswer:
    place = namespace(call)
    if wrong := complaint(call.json, CREATED) or unplaceable(call.json):
        raise refuse(call, 400, f"Bad Request: {wrong}")
    if call.endpoints.find(place, call.json["name"]) is not None:
        raise refuse(call, 409, f"Endpoint {place}/{call.json['name']} already exists")
    endpoint = call.endpoints.add(EmulatedEndpoint(place, call.json["name"], call.json))
    call.endpoints.act(endpoint, "create")
    return WholeAnswer(told(call, endpoint))


def unplaceable(body: dict[str, Any]) -> str:
    """What is wrong with where it is to run, and with how many replicas."""
    compute, place = body["compute"], body["provider"]
    wanted = (place["vendor"], place["region"], *(compute[n] for n in ("accelerator", "instanceType", "instanceSize")))
    found = next((each for each in HARDWARE if each.place == wanted), None)
    if found is None or found.facts["status"] == "not_available":
        return f"compute: there is no {wanted[3]} {wanted[4]} ({wanted[2]}) at {wanted[0]} in {wanted[1]}"
    least, most = compute["scaling"]["minReplica"], compute["scaling"]["maxReplica"]
    return "compute.scaling: minReplica is above maxReplica" if least > most else ""


def looked_at(call: DialectRequest) -> DialectAnswer:
    endpoint = named(call)
    return WholeAnswer(told(call, endpoint, call.endpoints.poll(endpoint)))


def updated(call: DialectRequest) -> DialectAnswer:
    endpoint = named(call)
    if wrong := complaint(call.json, UPDATED):
        raise refuse(call, 400, f"Bad Request: {wrong}")
    body = merged(endpoint.body, call.json)
    if wrong := unplaceable(body):
        raise refuse(call, 400, f"Bad Request: {wrong}")
    endpoint.body = body
    call.endpoints.act(endpoint, "update", None if endpoint.state in STOPPED else ["updating", "running"])
    return WholeAnswer(told(call, endpoint))


def merged(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A body with some members changed; an image, the environment and the secrets are replaced as a whole."""
    both = dict(before)
    for name, value in change.items():
        inner = isinstance(value, dict) and isinstance(before.get(name), dict)
        both[name] = merged(before[name], value) if inner and name not in ("image", "env", "secrets") else value
    return both


def deleted(call: DialectRequest) -> DialectAnswer:
    call.endpoints.act(named(call), "delete")
    return WholeAnswer(b"", 204)


def paused(call: DialectRequest) -> DialectAnswer:
    endpoint = named(call)
    if endpoint.state == "paused":
        raise refuse(call, 400, "Bad Request: the endpoint is already paused")
    call.endpoints.act(endpoint, "pause", ["paused"])
    return WholeAnswer(told(call, endpoint))


def resumed(call: DialectRequest) -> DialectAnswer:
    endpoint = named(call)
    if endpoint.state not in STOPPED:
        raise refuse(call, 400, "Bad Request: the endpoint is already running")
    call.endpoints.act(endpoint, "resume", endpoint.resumed)
    return WholeAnswer(told(call, endpoint))


def scaled_to_zero(call: DialectRequest) -> DialectAnswer:
    endpoint = named(call)
    if endpoint.state in STOPPED:
        raise refuse(call, 400, f"Bad Request: the endpoint is {endpoint.state}")
    call.endpoints.act(endpoint, "scale-to-zero", ["scaledToZero"])
    return WholeAnswer(told(call, endpoint))


def hardware(call: DialectRequest) -> DialectAnswer:
    namespace(call)
    vendors: dict[str, dict[str, list[Any]]] = {}
    for each in HARDWARE:
        vendor, region = each.place[:2]
        vendors.setdefault(vendor, {}).setdefault(region, []).append(each.facts)
    return WholeAnswer(
        {
            "vendors": [
                {
                    "name": name,
                    "status": "available",
                    "regions": [
                        {"name": region, "label": region, "status": "available", "computes": computes}
                        for region, computes in regions.items()
                    ],
                }
                for name, regions in vendors.items()
            ]
        }
    )


# the catalog


def catalog(call: DialectRequest) -> DialectAnswer:
    if unknown := sorted(call.query.keys() - FILTERS):
        raise refuse(call, 400, f"Bad Request: unknown query parameter {unknown[0]!r}")
    found = [model for model in MODELS if is_wanted(model, call.query)]
    limit = call.query.get("limit", "100")
    if not limit.isdigit():
        raise refuse(call, 400, "Bad Request: limit is a number")
    return WholeAnswer({"items": found[: int(limit)]})


def is_wanted(model: dict[str, Any], query: Any) -> bool:
    recipes = [
        recipe
        for recipe in model["recipes"]
        if query.get("accelerator", recipe["accelerator"]) == recipe["accelerator"]
        and query.get("engine", recipe["engineType"]) == recipe["engineType"]
    ]
    return (
        bool(recipes)
        and query.get("task", model["task"]) == model["task"]
        and query.get("license", model["license"]) == model["license"]
        and query.get("search", "").lower() in model["repoId"].lower()
    )


def deployed_model(call: DialectRequest) -> DialectAnswer:
    found = next((model for model in MODELS if model["repoId"] == call.model), None)
    if wrong := complaint(call.json, DEPLOYED):
        raise refuse(call, 400, f"Bad Request: {wrong}")
    recipes = [
        recipe
        for recipe in (found["recipes"] if found else [])
        if call.json.get("accelerator", recipe["accelerator"]) == recipe["accelerator"]
        and call.json.get("ggufFile", recipe["ggufFile"]) == recipe["ggufFile"]
    ]
    if found is None or not recipes:
        raise refuse(call, 404, f"There is no recipe for {call.model}")
    return deploy(call, found, recipes[0])


def deployed_recipe(call: DialectRequest) -> DialectAnswer:
    if wrong := complaint(call.json, {n: rule for n, rule in DEPLOYED.items() if n in ("namespace", "config")}):
        raise refuse(call, 400, f"Bad Request: {wrong}")
    for model in MODELS:
        for recipe in model["recipes"]:
            if recipe["publicId"] == call.model:
                return deploy(call, model, recipe)
    raise refuse(call, 404, f"There is no recipe {call.model}")


def deploy(call: DialectRequest, model: dict[str, Any], recipe: dict[str, Any]) -> DialectAnswer:
    user(call)
    place = call.json["namespace"]
    name = call.json.get("config", {}).get("name") or f"{model['modelName'].lower()[:26]}-{call.digest()[:4]}"
    if call.endpoints.find(place, name) is not None:
        raise refuse(call, 409, f"Endpoint {place}/{name} already exists")
    where = next(each for each in HARDWARE if each.facts["accelerator"] == recipe["accelerator"])
    vendor, region, accelerator, kind, size = where.place
    body = {
        "name": name,
        "type": "authenticated",
        "provider": {"vendor": vendor, "region": region},
        "compute": {
            "accelerator": accelerator,
            "instanceType": kind,
            "instanceSize": size,
            "scaling": {"minReplica": 0, "maxReplica": 1, "scaleToZeroTimeout": 60},
        },
        "model": {
            "repository": model["repoId"],
            "framework": "custom",
            "revision": recipe["revision"],
            "task": model["task"],
            "image": {ENGINES[recipe["engineType"]]: {"url": f"registry.example/{recipe['engineType']}:1"}},
        },
    }
    endpoint = call.endpoints.add(EmulatedEndpoint(place, name, body))
    call.endpoints.act(endpoint, "create")
    return WholeAnswer({"endpoint": told(call, endpoint)})


# who asks


def whoami(call: DialectRequest) -> DialectAnswer:
    name = user(call)
    kind = "org" if name == ORGANISATION else "user"
    orgs = [{"name": ORGANISATION, "type": "org"}, {"name": "forbidden-org", "type": "org"}] if kind == "user" else []
    return WholeAnswer({"type": kind, "id": call.digest(), "name": name, "orgs": orgs})


# an endpoint


def entered(call: DialectRequest) -> DialectRequest:
    """A request to an endpoint as its server sees it; any other as it is. One that does not run refuses it."""
    found = AT.match(call.path)
    if found is None:
        return call
    endpoint = call.endpoints.labelled(found[1])
    if endpoint is None:
        raise refuse(call, 404, "404 page not found")
    if endpoint.body["type"] != "public":
        user(call)
    if endpoint.state == "paused":
        raise refuse(call, 400, "Bad Request: the endpoint is paused, ask a maintainer to restart it")
    if endpoint.state == "scaledToZero" or endpoint.cold is not None:
        timeout = call.headers.get("x-scale-up-timeout", "")
        if timeout and not (timeout.isdigit() and 0 < int(timeout) <= 600):
            raise refuse(call, 400, "Bad Request: X-Scale-Up-Timeout is a number of seconds up to 600")
        if not call.endpoints.wake(endpoint, waits=bool(timeout)):
            raise refuse(call, 503, "503 Service Unavailable")
    elif endpoint.state not in ("running", "updating", "updateFailed"):
        raise refuse(call, 503, "503 Service Unavailable")
    return replace(call, path=found[2] or "/", endpoint=endpoint)


def health(call: DialectRequest) -> DialectAnswer:
    """The health route of an endpoint, and that of a server that is none."""
    if call.endpoint is None:
        return tgi.health(call)
    is_well = call.endpoints.health(call.endpoint)
    gate = f"health of {call.endpoint.name}" if call.endpoint.hangs else ""
    return WholeAnswer(b"", 200 if is_well else 503, media_type="text/plain", gate=gate)


DIALECT = Dialect(
    "inference-endpoints",
    (
        get(r"^/v2/endpoint/[^/]+$", listed),
        post(r"^/v2/endpoint/[^/]+$", created),
        get(r"^/v2/endpoint/[^/]+/[^/]+$", looked_at),
        Route("PUT", re.compile(r"^/v2/endpoint/[^/]+/[^/]+$"), updated),
        raw("DELETE", r"^/v2/endpoint/[^/]+/[^/]+$", deleted),
        raw("POST", r"^/v2/endpoint/[^/]+/[^/]+/pause$", paused),
        raw("POST", r"^/v2/endpoint/[^/]+/[^/]+/resume$", resumed),
        raw("POST", r"^/v2/endpoint/[^/]+/[^/]+/scale-to-zero$", scaled_to_zero),
        get(r"^/v2/provider/[^/]+$", hardware),
        get(r"^/api/v1/catalog/list$", catalog),
        post(r"^/api/v1/catalog/model/(?P<model>.+)/deploy$", deployed_model),
        post(r"^/api/v1/catalog/recipe/(?P<model>[^/]+)/deploy$", deployed_recipe),
        get(r"^/api/whoami-v2$", whoami),
    ),
    refuse,
    public=True,
)
HEALTH = Dialect("health", (get(r"^/health$", health),), refuse, public=True)
