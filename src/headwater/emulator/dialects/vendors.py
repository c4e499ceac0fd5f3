"""Which vendor a path belongs to, and how that vendor says no.

A routed path names the vendor in its first segment; another often gives it away by its prefix; the rest are
taken for OpenAI. The shapes are those of the vendors' recorded answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..wire import RefusedError, WholeAnswer

NAMES = frozenset(
    (
        "baseten",
        "black-forest-labs",
        "cerebras",
        "clarifai",
        "cohere",
        "deepinfra",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        "hf-inference",
        "hyperbolic",
        "jina",
        "mistral",
        "nebius",
        "novita",
        "nscale",
        "nvidia",
        "openai",
        "ovhcloud",
        "publicai",
        "replicate",
        "sambanova",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    )
)

PREFIXES = (
    ("/compatibility/v1/", "cohere"),
    ("/v3/openai/", "novita"),
    ("/inference/v1/", "fireworks-ai"),
    ("/openai/v1/", "groq"),
    ("/api/paas/v4/", "zai-org"),
    ("/v1/openai/", "deepinfra"),
    ("/v2/ext/openai/v1/", "clarifai"),
    ("/models/", "hf-inference"),
)

CODES = {400: "invalid_value", 401: "invalid_api_key", 404: "model_not_found", 413: "request_too_large"}


COUNTS_EVERY_STREAM: Final = frozenset({"mistral"})
"""Who tells the usage of a stream without being asked: https://docs.mistral.ai/api/#tag/chat."""


def vendor(path: str) -> str:
    """The vendor whose path this is; "openai" for the common ``/v1/...``."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    if first in NAMES:
        return first
    return next((name for prefix, name in PREFIXES if path.startswith(prefix)), "openai")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a request: ``param`` is the field to blame, ``code`` OpenAI's word for the fault."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None

    def fields(self) -> dict[str, object]:
        code = self.code or CODES.get(self.status)
        return {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": code}


def refusal(path: str, complaint: Complaint) -> RefusedError:
    """The refusal that the vendor of ``path`` would send for ``complaint``."""
    shape = SHAPES.get(vendor(path), nested)
    return RefusedError(shape(complaint))


def nested(complaint: Complaint) -> WholeAnswer:
    return WholeAnswer({"error": complaint.fields()}, complaint.status)


def together(complaint: Complaint) -> WholeAnswer:
    return WholeAnswer({"id": "emulator", "error": complaint.fields()}, complaint.status)


def cerebras(complaint: Complaint) -> WholeAnswer:
    return WholeAnswer(complaint.fields(), complaint.status)


def cohere(complaint: Complaint) -> WholeAnswer:
    return WholeAnswer({"message": complaint.message}, complaint.status)


def novita(complaint: Complaint) -> WholeAnswer:
    reason = (complaint.code or CODES.get(complaint.status) or "error").upper()
    body = {"code": complaint.status, "reason": reason, "message": complaint.message, "metadata": {}}
    return WholeAnswer(body, complaint.status)


def fireworks(complaint: Complaint) -> WholeAnswer:
    """Fireworks answers 403 and one word to a bad key."""
    return WholeAnswer({"error": "unauthorized"}, 403) if complaint.status == 401 else nested(complaint)


def detail(complaint: Complaint) -> WholeAnswer:
    return WholeAnswer({"detail": complaint.message}, complaint.status)


def mistral(complaint: Complaint) -> WholeAnswer:
    """https://docs.mistral.ai/resources/error-glossary: an object that says so; a bad key has a detail alone."""
    if complaint.status == 401:
        return WholeAnswer({"detail": "Unauthorized"}, 401)
    told = {"object": "error", "message": complaint.message, "type": "invalid_request_error", "param": complaint.param}
    return WholeAnswer({**told, "code": complaint.code}, complaint.status)


def sambanova(complaint: Complaint) -> WholeAnswer:
    """SambaNova answers plain text to a bad key."""
    if complaint.status == 401:
        return WholeAnswer(complaint.message, 401, media_type="text/plain")
    return nested(complaint)


def hugging_face(complaint: Complaint) -> WholeAnswer:
    """TGI and hf-inference: a type for what is invalid, nothing but a message for the rest."""
    if complaint.status in (400, 422):
        body = {"error": f"Input validation error: {complaint.message}", "error_type": "validation"}
        return WholeAnswer(body, 422)
    return WholeAnswer({"error": complaint.message}, complaint.status)


SHAPES: dict[str, Callable[[Complaint], WholeAnswer]] = {
    "cerebras": cerebras,
    "cohere": cohere,
    "fireworks-ai": fireworks,
    "hf-inference": hugging_face,
    "jina": detail,
    "mistral": mistral,
    "hyperbolic": detail,
    "nebius": detail,
    "novita": novita,
    "sambanova": sambanova,
    "together": together,
}
