"""What the Inference Endpoints API takes in its bodies, member by member, and the hardware and catalog it has.

A member that is not in these tables is refused, and so is null where a member does not take it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "strings": list,
    "object": dict,
}
IMAGES = {
    "huggingface",
    "huggingfaceNeuron",
    "custom",
    "hfServe",
    "llamacpp",
    "sGLang",
    "tei",
    "tgi",
    "tgiNeuron",
    "vLLM",
    "vLLMNeuron",
}


@dataclass(frozen=True)
class Member:
    """A member of a body: its kind in JSON's words or, in ``inside``, its own members; and what it may be."""

    kind: str = "string"
    required: bool = False
    nullable: bool = False
    choices: frozenset[str] = frozenset()
    inside: Mapping[str, Member] | None = None
    least: float | None = None


def inside(required: bool = False, /, **members: Member) -> Member:
    return Member("object", required, inside=members)


NEEDED = Member(required=True)
TEXTS = Member("object")
TYPES = frozenset({"public", "authenticated", "private"})
REPLICAS = Member("integer", required=True, least=0)
SCALING = {
    "minReplica": REPLICAS,
    "maxReplica": Member("integer", required=True, least=1),
    "scaleToZeroTimeout": Member("integer", nullable=True, least=15),
    "measure": inside(pendingRequests=Member("number", nullable=True), hardwareUsage=Member("number", nullable=True)),
}
MODEL = {
    "repository": NEEDED,
    "framework": NEEDED,
    "revision": Member(nullable=True),
    "task": Member(),
    "image": Member("object", required=True),
    "command": Member("strings"),
    "args": Member("strings"),
    "env": TEXTS,
    "secrets": TEXTS,
}
CREATED: dict[str, Member] = {
    "name": NEEDED,
    "type": Member(required=True, choices=TYPES),
    "provider": inside(True, vendor=NEEDED, region=NEEDED),
    "compute": Member(
        "object",
        True,
        inside={
            "accelerator": NEEDED,
            "instanceSize": NEEDED,
            "instanceType": NEEDED,
            "scaling": Member("object", True, inside=SCALING),
        },
    ),
    "model": Member("object", True, inside=MODEL),
    "route": inside(domain=Member(), path=Member()),
    "cacheHttpResponses": Member("boolean"),
    "tags": Member("strings"),
    "privateService": inside(accountId=NEEDED, region=Member(required=True)),
}


def optional(members: Mapping[str, Member]) -> dict[str, Member]:
    """The same members, of which none has to be there."""
    return {
        name: Member(each.kind, False, each.nullable, each.choices, optional(each.inside), each.least)
        if each.inside is not None
        else Member(each.kind, False, each.nullable, each.choices, None, each.least)
        for name, each in members.items()
    }


UPDATED = {
    name: member for name, member in optional(CREATED).items() if name not in ("name", "provider", "privateService")
}
DEPLOYED: dict[str, Member] = {
    "namespace": NEEDED,
    "config": inside(name=Member()),
    "accelerator": Member(),
    "ggufFile": Member(),
}


def complaint(body: Any, members: Mapping[str, Member], place: str = "") -> str:
    """What is wrong with a body, "" where nothing is."""
    if not body and not place:
        return "nothing is asked for"
    for name in body:
        if name not in members:
            return f"unknown field {place}{name}"
    for name, member in members.items():
        if name not in body:
            if member.required:
                return f"missing field {place}{name}"
            continue
        if wrong := _complaint(body[name], member, f"{place}{name}"):
            return wrong
    named = body.get("name")
    return f"{place}name: {named!r} is no name" if isinstance(named, str) and not NAME.match(named) else ""


def _complaint(value: Any, member: Member, place: str) -> str:
    if value is None:
        return "" if member.nullable else f"{place}: null is not allowed"
    if not _is_of_kind(value, member.kind):
        return f"{place}: a {member.kind} is wanted"
    if member.choices and value not in member.choices:
        return f"{place}: {value!r} is none of {', '.join(sorted(member.choices))}"
    if member.least is not None and value < member.least:
        return f"{place}: {value} is below {member.least}"
    if member.kind == "strings" and not all(isinstance(each, str) for each in value):
        return f"{place}: strings are wanted"
    if member.inside is not None:
        return complaint(value, member.inside, f"{place}.")
    if place.endswith(("env", "secrets")) and not all(isinstance(each, str) for each in value.values()):
        return f"{place}: strings are wanted"
    return _image(value, place) if place.endswith("image") else ""


def _is_of_kind(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _image(image: dict[str, Any], place: str) -> str:
    if len(image) != 1 or not image.keys() <= IMAGES:
        return f"{place}: one of {', '.join(sorted(IMAGES))} is wanted"
    (kind, facts), *_ = image.items()
    if not isinstance(facts, dict):
        return f"{place}.{kind}: an object is wanted"
    if not kind.startswith("huggingface") and not isinstance(facts.get("url"), str):
        return f"missing field {place}.{kind}.url"
    credentials = facts.get("credentials")
    if credentials is not None and not (kind == "custom" and isinstance(credentials.get("username"), str)):
        return f"{place}.{kind}.credentials: a username of a custom image is wanted"
    return ""


@dataclass(frozen=True)
class Hardware:
    """One kind of machine: vendor, region, accelerator, type and size; and what the API says of it."""

    place: tuple[str, str, str, str, str]
    facts: dict[str, Any]


def _hardware(vendor: str, region: str, accelerator: str, kind: str, size: str, price: float, **more: Any) -> Hardware:
    gpu = accelerator == "gpu"
    count = int(size.removeprefix("x"))
    facts = {
        "id": f"{vendor}-{region}-{kind}-{size}",
        "accelerator": accelerator,
        "numAccelerators": count,
        "numCpus": 7 * count if gpu else count,
        "memoryGb": 30.0 * count if gpu else 2.0 * count,
        "gpuMemoryGb": 24 * count if gpu else None,
        "instanceType": kind,
        "instanceSize": size,
        "architecture": kind.replace("-", " ").title(),
        "status": "available",
        "pricePerHour": price,
        "quota": {"maxAccelerators": 16, "usedAccelerators": 1},
        **more,
    }
    return Hardware((vendor, region, accelerator, kind, size), facts)


HARDWARE = (
    _hardware("aws", "us-east-1", "cpu", "intel-spr", "x1", 0.033),
    _hardware("aws", "us-east-1", "cpu", "intel-icl", "x2", 0.067),
    _hardware("aws", "us-east-1", "gpu", "nvidia-l4", "x1", 0.8),
    _hardware("aws", "us-east-1", "gpu", "nvidia-l4", "x4", 3.8),
    _hardware("aws", "eu-west-1", "gpu", "nvidia-a10g", "x1", 1.0, status="not_available"),
    _hardware("gcp", "us-east4", "gpu", "nvidia-l4", "x1", 0.7, quota={"maxAccelerators": 0, "usedAccelerators": 0}),
)


def _model(repository: str, task: str, *recipes: tuple[str, str, str, str | None]) -> dict[str, Any]:
    author, _, name = repository.partition("/")
    return {
        "repoId": repository,
        "modelName": name,
        "authorName": author,
        "license": "Apache 2.0",
        "task": task,
        "createdAt": "2026-01-01T00:00:00Z",
        "recipes": [
            {"publicId": recipe, "accelerator": accelerator, "engineType": engine, "ggufFile": file, "revision": None}
            for recipe, accelerator, engine, file in recipes
        ],
    }


MODELS = (
    _model(
        "emulator/chat-8b",
        "text-generation",
        ("recipe-chat-gpu", "gpu", "vllm", None),
        ("recipe-chat-cpu", "cpu", "llamacpp", "chat-8b-q4.gguf"),
    ),
    _model("emulator/embed-small", "sentence-similarity", ("recipe-embed-cpu", "cpu", "tei", None)),
)
