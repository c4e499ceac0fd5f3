"""What the API of Inference Endpoints says, as Structs: endpoints, hardware with prices and quotas, the catalog.

Read liberally: of an endpoint its name and its state are needed, everything else may be odd or missing; `raw` has all
of it. The environment, the secrets and the credentials for a registry of images are in `raw` alone, where they print as
a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ..auth.secret import Masked
from ..protocol.events import EndpointState
from ..protocol.flow import Reply
from ..protocol.json_text import dumps
from ..responses.decode import decode
from ..responses.json_decoder import convert
from ..tasks.lenient_types import Kept, Unneeded
from ..tasks.output import Output


class EndpointInfo(Output):
    """What is known of an Inference Endpoint.

    `status`: its state in the API's word, which `state` has with the message and the replicas. `url`: where it answers;
    None while it has none. `health_route`: what answers 200 there once it can work. `engine`: the kind of its image
    ("vLLM", "tgi", "custom", ...). `scale_to_zero_timeout`: minutes without a request. `raw`: all that the API said.
    """

    name: str
    namespace: str
    status: str
    message: str | None = None
    ready_replicas: int | None = None
    target_replicas: int | None = None
    url: str | None = None
    health_route: str = ""
    type: str | None = None
    repository: str | None = None
    framework: str | None = None
    revision: str | None = None
    task: str | None = None
    engine: str | None = None
    accelerator: str | None = None
    instance_type: str | None = None
    instance_size: str | None = None
    min_replica: int | None = None
    max_replica: int | None = None
    scale_to_zero_timeout: int | None = None
    vendor: str | None = None
    region: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    tags: list[str] = msgspec.field(default_factory=list)

    @property
    def state(self) -> EndpointState:
        """Its state, as a wait hands it over."""
        return EndpointState(
            state=self.status, message=self.message, ready=self.ready_replicas, target=self.target_replicas
        )

    @property
    def full_name(self) -> str:
        """Its namespace and name, by which every call takes it."""
        return f"{self.namespace}/{self.name}"

    @property
    def raw(self) -> Any:
        """All that the API said, decoded now; what may be a secret in it prints as a mask, and is what it is."""
        said = super().raw
        return _masked(said) if isinstance(said, dict) else said

    def __reduce__(self) -> Any:
        """Without what the API said, which has the environment: no secret leaves the process."""
        return _restored, (EndpointInfo, {name: getattr(self, name) for name in self.__struct_fields__})


def _restored(kind: type[EndpointInfo], fields: dict[str, Any]) -> EndpointInfo:
    return kind(**fields)


class EndpointHardware(Output):
    """A kind of machine that an endpoint can run on: what `create` wants to know of it, its price, and the quota.

    `price_per_hour`: US dollars for each replica. `status`: "available", "low_availability", "not_available",
    "reserved" or "deprecated". `max_accelerators` and `used_accelerators` are the namespace's.
    """

    id: str
    vendor: str
    region: str
    accelerator: str
    instance_type: str
    instance_size: str
    architecture: str | None = None
    num_accelerators: int | None = None
    num_cpus: int | None = None
    memory_gb: float | None = None
    gpu_memory_gb: float | None = None
    price_per_hour: float | None = None
    status: str | None = None
    max_accelerators: int | None = None
    used_accelerators: int | None = None


class CatalogRecipe(Output):
    """A way of deploying a model that was tried: `id` is what `deploy(recipe=...)` takes."""

    id: str
    accelerator: str | None = None
    engine: str | None = None
    gguf_file: str | None = None
    revision: str | None = None


class CatalogModel(Output):
    """A model of the catalog, and its recipes."""

    repo_id: str
    name: str | None = None
    author: str | None = None
    license: str | None = None
    task: str | None = None
    created_at: datetime | None = None
    recipes: list[CatalogRecipe] = msgspec.field(default_factory=list)


# as the API says it


class _Status(msgspec.Struct, rename="camel"):
    state: str
    message: Unneeded[str | None] = None
    url: Unneeded[str | None] = None
    created_at: Unneeded[str | None] = None
    updated_at: Unneeded[str | None] = None
    ready_replica: Unneeded[int | None] = None
    target_replica: Unneeded[int | None] = None


class _Model(msgspec.Struct):
    repository: Unneeded[str | None] = None
    framework: Unneeded[str | None] = None
    revision: Unneeded[str | None] = None
    task: Unneeded[str | None] = None
    image: Kept[dict[str, Any] | None] = None


class _Scaling(msgspec.Struct, rename="camel"):
    min_replica: Unneeded[int | None] = None
    max_replica: Unneeded[int | None] = None
    scale_to_zero_timeout: Unneeded[int | None] = None


class _Compute(msgspec.Struct, rename="camel"):
    accelerator: Unneeded[str | None] = None
    instance_type: Unneeded[str | None] = None
    instance_size: Unneeded[str | None] = None
    scaling: Unneeded[_Scaling | None] = None


class _Place(msgspec.Struct):
    vendor: Unneeded[str | None] = None
    region: Unneeded[str | None] = None


class WireEndpoint(msgspec.Struct, rename="camel"):
    """An endpoint as the API says it."""

    name: str
    status: _Status
    health_route: Unneeded[str | None] = None
    type: Unneeded[str | None] = None
    model: Unneeded[_Model | None] = None
    compute: Unneeded[_Compute | None] = None
    provider: Unneeded[_Place | None] = None
    tags: Unneeded[list[str] | None] = None


def endpoint_of(reply: Reply, namespace: str) -> EndpointInfo:
    """The endpoint that an answer is. Raises `DecodeError` for what is none."""
    info = _info(decode(reply, WireEndpoint), namespace)
    vars(info)["_body"] = reply.body
    return info


def endpoint_in(said: Any, namespace: str) -> EndpointInfo:
    """The endpoint that a part of an answer is. Raises `msgspec.ValidationError` for what is none."""
    info = _info(convert(said, WireEndpoint), namespace)
    vars(info)["_body"] = dumps(said)
    return info


def _info(found: WireEndpoint, namespace: str) -> EndpointInfo:
    status, model = found.status, found.model or _Model()
    compute, place = found.compute or _Compute(), found.provider or _Place()
    scaling = compute.scaling or _Scaling()
    image = model.image if isinstance(model.image, dict) else {}
    return EndpointInfo(
        name=found.name,
        namespace=namespace,
        status=status.state,
        message=status.message,
        ready_replicas=status.ready_replica,
        target_replicas=status.target_replica,
        url=status.url or None,
        health_route=found.health_route or "",
        type=found.type,
        repository=model.repository,
        framework=model.framework,
        revision=model.revision,
        task=model.task,
        engine=next(iter(image), None),
        accelerator=compute.accelerator,
        instance_type=compute.instance_type,
        instance_size=compute.instance_size,
        min_replica=scaling.min_replica,
        max_replica=scaling.max_replica,
        scale_to_zero_timeout=scaling.scale_to_zero_timeout,
        vendor=place.vendor,
        region=place.region,
        created_at=_time(status.created_at),
        updated_at=_time(status.updated_at),
        tags=found.tags or [],
    )


def _time(said: str | None) -> datetime | None:
    """A moment, of which the API says nanoseconds, to the microsecond."""
    try:
        return None if said is None else msgspec.convert(said, datetime)
    except msgspec.ValidationError:
        return None


_SECRET_MEMBERS = frozenset({"env", "secrets", "secret", "credentials"})


def _masked(said: Any, *, inside: bool = False) -> Any:
    """The same, in which the texts under `env`, `secrets` and `credentials` are masked."""
    if isinstance(said, Mapping):
        return {name: _masked(each, inside=inside or name in _SECRET_MEMBERS) for name, each in said.items()}
    if isinstance(said, list):
        return [_masked(each, inside=inside) for each in said]
    return Masked(said) if inside and isinstance(said, str) else said


class _Quota(msgspec.Struct, rename="camel"):
    max_accelerators: Unneeded[int | None] = None
    used_accelerators: Unneeded[int | None] = None


class _Machine(msgspec.Struct, rename="camel"):
    id: str
    accelerator: str
    instance_type: str
    instance_size: str
    architecture: Unneeded[str | None] = None
    num_accelerators: Unneeded[int | None] = None
    num_cpus: Unneeded[int | None] = None
    memory_gb: Unneeded[float | None] = None
    gpu_memory_gb: Unneeded[float | None] = None
    price_per_hour: Unneeded[float | None] = None
    status: Unneeded[str | None] = None
    quota: Unneeded[_Quota | None] = None


class _Region(msgspec.Struct):
    name: str
    computes: list[_Machine] = []


class _Vendor(msgspec.Struct):
    name: str
    regions: list[_Region] = []


class _Vendors(msgspec.Struct):
    vendors: list[_Vendor]


def hardware_of(reply: Reply) -> list[EndpointHardware]:
    """The machines of all vendors and regions. Raises `DecodeError`."""
    return [
        _hardware(machine, vendor.name, region.name)
        for vendor in decode(reply, _Vendors).vendors
        for region in vendor.regions
        for machine in region.computes
    ]


def _hardware(machine: _Machine, vendor: str, region: str) -> EndpointHardware:
    quota = machine.quota or _Quota()
    facts = {name: getattr(machine, name) for name in machine.__struct_fields__ if name != "quota"}
    return EndpointHardware(
        vendor=vendor,
        region=region,
        max_accelerators=quota.max_accelerators,
        used_accelerators=quota.used_accelerators,
        **facts,
    )


class _Recipe(msgspec.Struct, rename="camel"):
    public_id: str
    accelerator: Unneeded[str | None] = None
    engine_type: Unneeded[str | None] = None
    gguf_file: Unneeded[str | None] = None
    revision: Unneeded[str | None] = None


class _Listed(msgspec.Struct, rename="camel"):
    repo_id: str
    model_name: Unneeded[str | None] = None
    author_name: Unneeded[str | None] = None
    license: Unneeded[str | None] = None
    task: Unneeded[str | None] = None
    created_at: Unneeded[str | None] = None
    recipes: list[_Recipe] = []


class _Catalog(msgspec.Struct):
    items: list[_Listed]


def catalog_of(reply: Reply) -> list[CatalogModel]:
    """The models of the catalog. Raises `DecodeError`."""
    return [
        CatalogModel(
            repo_id=model.repo_id,
            name=model.model_name,
            author=model.author_name,
            license=model.license,
            task=model.task,
            created_at=_time(model.created_at),
            recipes=[
                CatalogRecipe(
                    id=recipe.public_id,
                    accelerator=recipe.accelerator,
                    engine=recipe.engine_type,
                    gguf_file=recipe.gguf_file,
                    revision=recipe.revision,
                )
                for recipe in model.recipes
            ],
        )
        for model in decode(reply, _Catalog).items
    ]


class User(msgspec.Struct):
    """Who a token belongs to: `type` is "user" or "org"; `orgs` are the organisations of a user."""

    name: str
    type: Unneeded[str] = "user"
    orgs: Unneeded[list[Organisation] | None] = None


class Organisation(msgspec.Struct):
    """An organisation of a user."""

    name: str
