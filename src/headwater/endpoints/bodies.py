"""What a creation, a change and a deployment from the catalog ask of the API: their arguments as JSON.

What the API would ignore in silence, or refuse with words that lead nowhere, is refused here. Nothing is sent.

https://huggingface.co/docs/inference-endpoints, as huggingface_hub calls it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from ..errors import InvalidParameterError

PARALLEL: Final = {"tensorParallelSize": ("sGLang", "vLLM"), "dataParallelSize": ("vLLM",)}
"""The images that declare these members; any other drops them."""


class ModelOptions(TypedDict, total=False):
    """What an endpoint runs, and how: for a creation and for a change.

    `custom_image`: of a container of your own `{"url": ..., "port": ...}`, or of an engine `{"vLLM": {"url": ...}}`.
    `scaling_metric`: "pendingRequests" or "hardwareUsage", with its `scaling_threshold`. `scale_to_zero_timeout`:
    minutes without a request after which it scales to zero. `env` and `secrets` are variables of the container's
    environment. `domain` and `path`: a route of its own.
    """

    revision: str | None
    task: str | None
    custom_image: Mapping[str, Any] | None
    container_command: Sequence[str] | None
    container_args: Sequence[str] | None
    scaling_metric: str | None
    scaling_threshold: float | None
    scale_to_zero_timeout: int | None
    env: Mapping[str, str] | None
    secrets: Mapping[str, str] | None
    domain: str | None
    path: str | None
    cache_http_responses: bool | None
    tags: Sequence[str] | None


class CreateOptions(ModelOptions, total=False):
    """The same, and what only a creation has: `type` "authenticated" (the default), "public" or "private"; credentials
    for the registry of a custom image; AWS PrivateLink."""

    type: str
    min_replica: int
    max_replica: int
    container_registry_username: str | None
    container_registry_password: str | None
    private_link_account_id: str | None
    private_link_region: str | None


class UpdateOptions(ModelOptions, total=False):
    """The same, of which a change says only what changes."""

    accelerator: str | None
    instance_size: str | None
    instance_type: str | None
    min_replica: int | None
    max_replica: int | None
    repository: str | None
    framework: str | None
    tensor_parallel_size: int | None
    data_parallel_size: int | None


def creation(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a creation. Raises `InvalidParameterError` for arguments that do not go together."""
    kind = given.get("type") or "authenticated"
    if kind == "protected":
        raise InvalidParameterError("type='protected' is no longer there: type='authenticated' is the same")
    body: dict[str, Any] = {
        "compute": {
            "accelerator": given["accelerator"],
            "instanceSize": given["instance_size"],
            "instanceType": given["instance_type"],
            "scaling": {
                "maxReplica": given.get("max_replica", 1),
                "minReplica": given.get("min_replica", 1),
                "scaleToZeroTimeout": given.get("scale_to_zero_timeout"),
            },
        },
        "model": {
            "framework": given["framework"],
            "repository": given["repository"],
            "revision": given.get("revision"),
            "image": _new_image(given),
        },
        "name": name,
        "provider": {"region": given["region"], "vendor": given["vendor"]},
        "type": kind,
    }
    _put_measure(body, given)
    _put_model(body["model"], given)
    for member in ("env", "secrets"):
        if given.get(member):
            body["model"][member] = dict(given[member])
    _put_rest(body, given)
    account, region = given.get("private_link_account_id"), given.get("private_link_region")
    if account is not None:
        if region is None:
            raise InvalidParameterError(
                "private_link_account_id wants private_link_region, too: 'us-east-1' or 'eu-west-1'"
            )
        body["privateService"] = {"accountId": account, "region": region}
    return body


def change(given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a change: what was given, and nothing else. Raises `InvalidParameterError` where that is nothing.

    The sizes of `PARALLEL` are not in it: they stand in an image, which `with_parallel` makes.
    """
    body: dict[str, Any] = {}
    compute = _chosen(given, accelerator="accelerator", instance_size="instanceSize", instance_type="instanceType")
    scaling = _chosen(
        given, max_replica="maxReplica", min_replica="minReplica", scale_to_zero_timeout="scaleToZeroTimeout"
    )
    if scaling:
        compute["scaling"] = scaling
    if compute:
        body["compute"] = compute
    _put_measure(body, given)
    model = _chosen(given, repository="repository", framework="framework", revision="revision", env="env")
    model |= _chosen(given, secrets="secrets")
    if given.get("custom_image") is not None:
        model["image"] = image_of(given["custom_image"])
    _put_model(model, given)
    if model:
        body["model"] = model
    _put_rest(body, given)
    if not body and not parallel_of(given):
        raise InvalidParameterError("update: say what is to change")
    return body


def deployment(
    namespace: str, name: str | None, *, accelerator: str | None = None, gguf_file: str | None = None
) -> dict[str, Any]:
    """The body of a deployment from the catalog."""
    body: dict[str, Any] = {"namespace": namespace}
    if name is not None:
        body["config"] = {"name": name}
    return body | _chosen(
        {"accelerator": accelerator, "gguf_file": gguf_file}, accelerator="accelerator", gguf_file="ggufFile"
    )


def image_of(custom: Mapping[str, Any]) -> dict[str, Any]:
    """An image as the API takes it: one with a `url` of its own is a custom container."""
    if not isinstance(custom, Mapping) or not custom:
        raise InvalidParameterError("custom_image is a dict: {'url': ...} or {'vLLM': {'url': ...}}")
    return {"custom": dict(custom)} if "url" in custom else dict(custom)


def parallel_of(given: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that stand in an image."""
    return _chosen(given, tensor_parallel_size="tensorParallelSize", data_parallel_size="dataParallelSize")


def with_parallel(image: Any, sizes: Mapping[str, int], *, was_fetched: bool) -> dict[str, Any]:
    """An image with these sizes; `was_fetched`: it is what the endpoint runs now.

    Raises `InvalidParameterError` where there is no image, or one whose credentials the API does not say in full.
    """
    (kind, facts), *_ = image.items() if isinstance(image, Mapping) and image else [("", None)]
    if not isinstance(facts, Mapping):
        raise InvalidParameterError(
            "the parallel sizes stand in the endpoint's image, and it has none: give custom_image"
        )
    if was_fetched and "credentials" in facts:
        raise InvalidParameterError(
            "the endpoint's image has credentials for its registry, which the API does not say in full, so that to send"
            " it back would overwrite them: give custom_image as a whole"
        )
    for name in sizes:
        if kind not in PARALLEL[name]:
            warnings.warn(f"an image of {kind} takes no {name}: the API leaves it out", UserWarning, stacklevel=2)
    return {kind: {**facts, **sizes}}


def is_of(body: Mapping[str, Any], said: Any) -> bool:
    """Whether an endpoint, as the API says it, is what this body asked for."""
    places = (("model", "repository"), ("compute", "instanceType"), ("compute", "instanceSize"), ("provider", "region"))
    return all(_at(body, *way) in (None, _at(said, *way)) for way in places)


def _at(value: Any, *way: str) -> Any:
    for name in way:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def secrets_of(given: Mapping[str, Any]) -> list[str]:
    """The texts in the arguments that nobody may see; what is too short to be told from other words is none."""
    found = [given.get("container_registry_password")]
    custom = given.get("custom_image")
    for facts in [custom, *(custom.values() if isinstance(custom, Mapping) else ())]:
        credentials = facts.get("credentials") if isinstance(facts, Mapping) else None
        found += list(credentials.values()) if isinstance(credentials, Mapping) else []
    found += list((given.get("secrets") or {}).values()) if isinstance(given.get("secrets"), Mapping) else []
    environment = given.get("env")
    values = environment.values() if isinstance(environment, Mapping) else ()
    long = [value for value in values if isinstance(value, str) and len(value) >= LONG]
    return [text for text in (*found, *long) if isinstance(text, str) and len(text) >= SHORT]


SHORT: Final = 4
LONG: Final = 8
"""Letters from which on a value of the environment may be a secret: "true" and "8080" are words of any message."""


def _new_image(given: Mapping[str, Any]) -> dict[str, Any]:
    user, password = given.get("container_registry_username"), given.get("container_registry_password")
    if password is not None and user is None:
        raise InvalidParameterError("container_registry_password wants container_registry_username, too")
    if given.get("custom_image") is None:
        if user is not None:
            raise InvalidParameterError("credentials for a registry want the custom_image that is there")
        return {"huggingface": {}}
    image = image_of(given["custom_image"])
    if user is None:
        return image
    if not isinstance(image.get("custom"), Mapping):
        raise InvalidParameterError(
            "credentials for a registry go with a container of your own: custom_image={'url': ...}"
        )
    credentials = {"username": user, **({} if password is None else {"password": password})}
    return {**image, "custom": {**image["custom"], "credentials": credentials}}


def _put_measure(body: dict[str, Any], given: Mapping[str, Any]) -> None:
    metric, threshold = given.get("scaling_metric"), given.get("scaling_threshold")
    if metric is not None:
        metric = getattr(metric, "value", metric)  # of an enum's member, as a name in JSON
        body.setdefault("compute", {}).setdefault("scaling", {})["measure"] = {metric: threshold}
    elif threshold is not None:
        raise InvalidParameterError("scaling_threshold wants scaling_metric, too: 'pendingRequests' or 'hardwareUsage'")


def _put_model(model: dict[str, Any], given: Mapping[str, Any]) -> None:
    """The members that a model may have; a `task` that is null is refused by the API."""
    model |= _chosen(given, task="task")
    for name, theirs in (("container_command", "command"), ("container_args", "args")):
        value = given.get(name)
        if isinstance(value, str):
            raise InvalidParameterError(f"{name} is a list of texts, one for each argument")
        if value is not None:
            model[theirs] = list(value)


def _put_rest(body: dict[str, Any], given: Mapping[str, Any]) -> None:
    if route := _chosen(given, domain="domain", path="path"):
        body["route"] = route
    body |= _chosen(given, cache_http_responses="cacheHttpResponses", tags="tags")


def _chosen(given: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Those of the arguments that were given, by the API's names."""
    return {theirs: given[ours] for ours, theirs in names.items() if given.get(ours) is not None}
