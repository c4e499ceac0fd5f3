"""huggingface_hub's names of the calls of Inference Endpoints, for programs that were written with them.

Functions that take a `token`, and an `InferenceEndpoint` that its calls change in place; each is a call of
`InferenceClient(token=...).endpoints`. https://huggingface.co/docs/huggingface_hub/guides/inference_endpoints
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ..auth.secret import Secret, mask
from ..endpoints.types import CatalogModel, EndpointHardware, EndpointInfo, endpoint_in
from ..endpoints.wait import LOOK_INTERVAL_SECONDS
from ..errors import InvalidParameterError
from .endpoints import Endpoint, bound
from .sync_client import InferenceClient

if TYPE_CHECKING:
    from .async_client import AsyncInferenceClient

SHORTEST_SECONDS: Final = 0.05
"""What a timeout of 0 comes to: one look."""


class InferenceEndpointStatus(StrEnum):
    """The states that the API knew when this was written."""

    PENDING = "pending"
    INITIALIZING = "initializing"
    UPDATING = "updating"
    UPDATE_FAILED = "updateFailed"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    SCALED_TO_ZERO = "scaledToZero"


class InferenceEndpointType(StrEnum):
    """Who may call an endpoint."""

    PUBlIC = "public"  # spelled so there, too
    AUTHENTICATED = "authenticated"
    PRIVATE = "private"


class InferenceEndpointScalingMetric(StrEnum):
    """What more replicas are started by."""

    PENDING_REQUESTS = "pendingRequests"
    HARDWARE_USAGE = "hardwareUsage"


class InferenceEndpoint:
    """An Inference Endpoint, which `fetch`, `wait`, `update`, `pause`, `resume` and `scale_to_zero` change in place.

    `client.endpoints` gives endpoints that do not change under who holds them, and waits that are runs.
    """

    def __init__(self, info: EndpointInfo, client: InferenceClient) -> None:
        self._info, self._asking = info, client

    @classmethod
    def from_raw(
        cls, raw: Mapping[str, Any], namespace: str, token: str | bool | None = None, api: Any = None
    ) -> InferenceEndpoint:
        """The endpoint that the API's JSON is; `api` is taken and without effect."""
        return cls(endpoint_in(raw, namespace), _client(token))

    def __repr__(self) -> str:
        shown = ("name", "namespace", "repository", "status", "health_route", "url")
        return f"InferenceEndpoint({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InferenceEndpoint) and self._info == other._info

    __hash__ = None  # type: ignore[assignment]

    @property
    def name(self) -> str:
        """Its name."""
        return self._info.name

    @property
    def namespace(self) -> str:
        """Whose it is."""
        return self._info.namespace

    @property
    def repository(self) -> str | None:
        """The model that it runs."""
        return self._info.repository

    @property
    def status(self) -> str:
        """Its state."""
        return self._info.status

    @property
    def health_route(self) -> str:
        """What answers 200 once it can work."""
        return self._info.health_route

    @property
    def url(self) -> str | None:
        """Where it answers."""
        return self._info.url

    @property
    def framework(self) -> str | None:
        """The model's library."""
        return self._info.framework

    @property
    def revision(self) -> str | None:
        """The model's revision."""
        return self._info.revision

    @property
    def task(self) -> str | None:
        """The model's task."""
        return self._info.task

    @property
    def type(self) -> str | None:
        """Who may call it."""
        return self._info.type

    @property
    def created_at(self) -> datetime | None:
        """When it was made."""
        return self._info.created_at

    @property
    def updated_at(self) -> datetime | None:
        """When it was last changed."""
        return self._info.updated_at

    @property
    def raw(self) -> dict[str, Any]:
        """All that the API said."""
        said: dict[str, Any] = self._info.raw
        return said

    @property
    def client(self) -> InferenceClient:
        """A client at the endpoint. Raises `InferenceEndpointError` while it has no URL."""
        client: InferenceClient = self._endpoint().client()
        return client

    @property
    def async_client(self) -> AsyncInferenceClient:
        """The same for async code."""
        client: AsyncInferenceClient = self._endpoint().async_client()
        return client

    def wait(self, timeout: float | None = None, refresh_every: float = LOOK_INTERVAL_SECONDS) -> InferenceEndpoint:
        """Wait until it runs and has answered its health route.

        Raises `InferenceEndpointError` where it failed, is paused or scaled to zero, `InferenceEndpointTimeoutError`
        after `timeout` seconds.
        """
        if timeout is not None and timeout < 0:
            raise InvalidParameterError("timeout cannot be negative")
        limit = None if timeout is None else max(timeout, SHORTEST_SECONDS)
        with self._asking.endpoints.wait(self._info.full_name, timeout=limit, poll=refresh_every) as run:
            return self._now(run.result())

    def fetch(self) -> InferenceEndpoint:
        """See how it is."""
        return self._now(self._asking.endpoints.get(self._info.full_name))

    def update(self, **changes: Any) -> InferenceEndpoint:
        """Change it; what is not given stays."""
        return self._now(self._asking.endpoints.update(self._info.full_name, **changes))

    def pause(self) -> InferenceEndpoint:
        """Stop it until somebody resumes it."""
        return self._now(self._asking.endpoints.pause(self._info.full_name))

    def resume(self, running_ok: bool = True) -> InferenceEndpoint:
        """Start it."""
        return self._now(self._asking.endpoints.resume(self._info.full_name, running_ok=running_ok))

    def scale_to_zero(self) -> InferenceEndpoint:
        """Stop it until somebody calls it."""
        return self._now(self._asking.endpoints.scale_to_zero(self._info.full_name))

    def delete(self) -> None:
        """Delete it, for good."""
        self._asking.endpoints.delete(self._info.full_name)

    def _now(self, info: EndpointInfo) -> InferenceEndpoint:
        self._info = info
        return self

    def _endpoint(self) -> Any:
        return self._info if isinstance(self._info, Endpoint) else bound(self._asking, self._info, self._asking.token)


def _client(token: str | Secret | bool | None) -> InferenceClient:
    if token is False:
        raise InvalidParameterError("Inference Endpoints want a token, so that token=False leads nowhere")
    return InferenceClient(token=None if token is True else mask(token))


def get_inference_endpoint(
    name: str, *, namespace: str | None = None, token: str | bool | None = None
) -> InferenceEndpoint:
    """`client.endpoints.get`."""
    client = _client(token)
    return InferenceEndpoint(client.endpoints.get(name, namespace=namespace), client)


def list_inference_endpoints(
    namespace: str | None = None, *, token: str | bool | None = None
) -> list[InferenceEndpoint]:
    """`client.endpoints.list`."""
    client = _client(token)
    return [InferenceEndpoint(each, client) for each in client.endpoints.list(namespace)]


def create_inference_endpoint(
    name: str,
    *,
    repository: str,
    framework: str,
    accelerator: str,
    instance_size: str,
    instance_type: str,
    region: str,
    vendor: str,
    namespace: str | None = None,
    token: str | bool | None = None,
    **more: Any,
) -> InferenceEndpoint:
    """`client.endpoints.create`."""
    client = _client(token)
    made = client.endpoints.create(
        name,
        repository=repository,
        framework=framework,
        accelerator=accelerator,
        instance_size=instance_size,
        instance_type=instance_type,
        region=region,
        vendor=vendor,
        namespace=namespace,
        **more,
    )
    return InferenceEndpoint(made, client)


def create_inference_endpoint_from_catalog(
    repo_id: str | None = None,
    *,
    recipe_id: str | None = None,
    name: str | None = None,
    accelerator: str | None = None,
    gguf_file: str | None = None,
    token: str | bool | None = None,
    namespace: str | None = None,
) -> InferenceEndpoint:
    """`client.endpoints.deploy`."""
    client = _client(token)
    made = client.endpoints.deploy(
        repo_id, recipe=recipe_id, name=name, namespace=namespace, accelerator=accelerator, gguf_file=gguf_file
    )
    return InferenceEndpoint(made, client)


def update_inference_endpoint(
    name: str, *, namespace: str | None = None, token: str | bool | None = None, **changes: Any
) -> InferenceEndpoint:
    """`client.endpoints.update`."""
    client = _client(token)
    return InferenceEndpoint(client.endpoints.update(name, namespace=namespace, **changes), client)


def delete_inference_endpoint(name: str, *, namespace: str | None = None, token: str | bool | None = None) -> None:
    """`client.endpoints.delete`."""
    _client(token).endpoints.delete(name, namespace=namespace)


def pause_inference_endpoint(
    name: str, *, namespace: str | None = None, token: str | bool | None = None
) -> InferenceEndpoint:
    """`client.endpoints.pause`."""
    client = _client(token)
    return InferenceEndpoint(client.endpoints.pause(name, namespace=namespace), client)


def resume_inference_endpoint(
    name: str, *, namespace: str | None = None, running_ok: bool = True, token: str | bool | None = None
) -> InferenceEndpoint:
    """`client.endpoints.resume`."""
    client = _client(token)
    return InferenceEndpoint(client.endpoints.resume(name, namespace=namespace, running_ok=running_ok), client)


def scale_to_zero_inference_endpoint(
    name: str, *, namespace: str | None = None, token: str | bool | None = None
) -> InferenceEndpoint:
    """`client.endpoints.scale_to_zero`."""
    client = _client(token)
    return InferenceEndpoint(client.endpoints.scale_to_zero(name, namespace=namespace), client)


def list_inference_endpoints_hardware(
    *, namespace: str | None = None, token: str | bool | None = None
) -> list[EndpointHardware]:
    """`client.endpoints.hardware`."""
    return _client(token).endpoints.hardware(namespace=namespace)


def list_inference_catalog(*, token: str | bool | None = None, **filters: Any) -> list[CatalogModel]:
    """`client.endpoints.catalog`."""
    return _client(token).endpoints.catalog(**filters)
