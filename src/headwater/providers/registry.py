"""Every provider, one row each: its base, its keys' environment variables, and the flows of its tasks.

A provider in OpenAI's dialect is a row and nothing more. Facts are from the vendors' documentation (the link
at each row) and from what Hugging Face's clients exchange with them. A stream's end is told by `[DONE]` or by
a finish reason on every choice: some leave `[DONE]` out, and what has no finish reason is cut, but for the servers
that are recorded to send none. No row has logic, and no row knows a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from ..protocol.events import Job
from ..protocol.flow import Call, Flow
from . import (
    black_forest_labs,
    custom_server,
    fal,
    hf_inference,
    novita,
    openai_embeddings,
    openai_images,
    openai_transcription,
    replicate,
    tgi,
    wavespeed,
    zai,
)
from . import openai_chat as openai
from . import openai_speech as speech
from . import pipeline as hf_tasks
from . import together as together_media
from .model_mapping import mapped
from .openai_chat import Dialect, Flows
from .response_format import Rewriting, guided_json, json_object_schema, json_schema_schema, not_strict

Resumes: TypeAlias = Callable[[Call, Job], Flow[Any]]

HEAR: Final = "automatic-speech-recognition"
SPEAK: Final = "text-to-speech"
DRAW: Final = "text-to-image"
REDRAW: Final = "image-to-image"
FILM: Final = "text-to-video"
ANIMATE: Final = "image-to-video"

_WAVESPEED: Final[Mapping[str, Flows]] = {
    DRAW: wavespeed.of_text,
    FILM: wavespeed.of_text,
    REDRAW: wavespeed.of_image,
    ANIMATE: wavespeed.of_image,
    "image-text-to-image": wavespeed.of_image_and_text,
    "image-text-to-video": wavespeed.of_image_and_text,
}

TASKS: Final[Mapping[str, Mapping[str, Flows]]] = {
    "black-forest-labs": {DRAW: black_forest_labs.text_to_image},
    "deepinfra": {
        HEAR: openai_transcription.hearing(openai_transcription.DEEPINFRA),
        SPEAK: speech.speaking(speech.DEEPINFRA),
    },
    "groq": {HEAR: openai_transcription.hearing(openai_transcription.GROQ), SPEAK: speech.speaking(speech.GROQ)},
    "hyperbolic": {DRAW: openai_images.drawing(openai_images.HYPERBOLIC)},
    "nebius": {DRAW: openai_images.drawing(openai_images.NEBIUS)},
    "novita": {FILM: novita.text_to_video},
    "nscale": {DRAW: openai_images.drawing(openai_images.NSCALE)},
    "openai": {
        HEAR: openai_transcription.hearing(openai_transcription.OPENAI),
        SPEAK: speech.speaking(speech.OPENAI),
        DRAW: openai_images.drawing(openai_images.OPENAI),
    },
    "together": {
        HEAR: openai_transcription.hearing(openai_transcription.TOGETHER),
        SPEAK: speech.speaking(speech.TOGETHER),
        DRAW: openai_images.drawing(openai_images.TOGETHER),
        REDRAW: together_media.image_to_image,
        FILM: together_media.text_to_video,
        ANIMATE: together_media.image_to_video,
    },
    "wavespeed": _WAVESPEED,
    "zai-org": {DRAW: zai.text_to_image, "image-to-text": zai.image_to_text},
}

RESUMED: Final[Mapping[str, Mapping[str, Resumes]]] = {
    "black-forest-labs": {DRAW: black_forest_labs.follow},
    "novita": {FILM: novita.follow},
    "together": {FILM: together_media.follow, ANIMATE: together_media.follow},
    "wavespeed": dict.fromkeys(_WAVESPEED, wavespeed.follow),
    "zai-org": {DRAW: zai.follow},
}

ROUTER: Final = "https://router.huggingface.co"
CHAT: Final = "chat-completion"
TEXT: Final = "text-generation"
FEATURES: Final = "feature-extraction"
EMBEDDINGS: Final = "embeddings"

_OTHER_SPELLING: Final = frozenset({"reasoning_content"})
_TEI_ONLY: Final = frozenset({"normalize", "prompt_name", "truncate", "truncation_direction"})


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers.

    `base`: the URL before a task's route, where its own key is used. `tasks`: the flow of each task by the
    task's name. `keys`: the environment variables that hold its key, the usual one first; `key_required` says
    whether it answers without one. `scheme` and `header`: how its own key is sent. `headers`: further ones,
    on every request to it. `routed`: whether Hugging Face's router takes calls for it, at `{router}/{name}`
    in place of `base`. `maps`: whether the Hub knows its ids of models. `idempotency`: the header by which it
    tells a request that was sent twice, None where it documents none. `resume`: by the task's name, how a job that
    was submitted before is watched to its end. `origins`: further places of its own, beside `base`, that take its
    key where that is used.
    """

    name: str
    base: str
    tasks: Mapping[str, Flows]
    keys: tuple[str, ...] = ()
    key_required: bool = True
    scheme: str = "Bearer"
    header: str = "authorization"
    headers: dict[str, str] = {}
    routed: bool = True
    maps: bool = True
    idempotency: str | None = None
    resume: Mapping[str, Callable[[Call, Job], Flow[Any]]] = {}
    origins: tuple[str, ...] = ()


def row(
    name: str,
    base: str,
    *keys: str,
    chat: str | None = "/v1/chat/completions",
    completions: str | None = None,
    prompt_as_chat: bool = False,
    vectors: str | None = None,
    vectors_dropped: frozenset[str] = frozenset(),
    response_format: Rewriting | None = None,
    dropped: frozenset[str] = frozenset(),
    unsent: frozenset[str] = frozenset(),
    scheme: str = "Bearer",
    header: str = "authorization",
    headers: Mapping[str, str] = {},
    hub: bool = True,
) -> Provider:
    """A provider in OpenAI's dialect: routes and departures. `hub`: mapped and routed by Hugging Face."""
    flows: dict[str, Flows] = {}
    if chat is not None:
        dialect = Dialect(route=chat, response_format=response_format, dropped=dropped, unsent=unsent)
        flows[CHAT] = openai.speaking(dialect)
    if completions is not None:
        flows[TEXT] = tgi.at_route(completions)
    elif prompt_as_chat and chat is not None:
        flows[TEXT] = tgi.as_chat(chat)
    if vectors is not None:
        flows[FEATURES] = openai_embeddings.at_route(vectors, dropped=vectors_dropped)
        flows[EMBEDDINGS] = openai_embeddings.create_at_route(vectors, dropped=vectors_dropped)
    flows |= TASKS.get(name, {})
    tasks = {task: mapped(flow) for task, flow in flows.items()} if hub else flows
    return Provider(
        name=name,
        base=base,
        tasks=tasks,
        keys=keys,
        scheme=scheme,
        header=header,
        headers=dict(headers),
        routed=hub,
        maps=hub,
        resume=RESUMED.get(name, {}),
    )


HF_INFERENCE: Final = Provider(
    name="hf-inference",
    base=f"{ROUTER}/hf-inference",
    tasks={
        CHAT: hf_inference.served(hf_inference.chat),
        TEXT: hf_inference.served(hf_inference.generate),
        FEATURES: hf_inference.served(hf_inference.extract),
        **{task: hf_inference.served(flow) for task, flow in hf_tasks.AT_MODEL.items()},
    },
    keys=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    key_required=False,
    maps=False,
)

UNFINISHED: Final = frozenset({"fp_ollama"})
"""Ollama names itself so in every chunk, and sends `"finish_reason": null` for a reason that it does not know:
https://github.com/ollama/ollama/blob/main/openai/openai.go, https://github.com/pydantic/pydantic-ai/issues/2996"""

SERVER: Final = Provider(
    name="url",
    base="",
    tasks={
        CHAT: openai.speaking(Dialect(unfinished=UNFINISHED)),
        TEXT: partial(tgi.at_url, unfinished=UNFINISHED),
        FEATURES: openai_embeddings.at_url,
        EMBEDDINGS: openai_embeddings.create_at_url,
        **custom_server.in_both(hf_tasks.AT_URL),
    },
    key_required=False,
    routed=False,
    maps=False,
)
"""Whoever answers at a URL of the user's own."""

# https://docs.fal.ai/model-apis/model-endpoints/queue: its own keys go as `Key`, to two hosts
FAL: Final = Provider(
    name="fal-ai",
    base=fal.BASE,
    tasks={task: mapped(flow) for task, flow in fal.TASKS.items()},
    keys=("FAL_KEY",),
    scheme="Key",
    resume=fal.RESUME,
    origins=(fal.QUEUE,),
)

# https://replicate.com/docs/reference/http
REPLICATE: Final = Provider(
    name="replicate",
    base=replicate.BASE,
    tasks={task: mapped(flow) for task, flow in replicate.TASKS.items()},
    keys=("REPLICATE_API_TOKEN",),
    resume=replicate.RESUME,
)

ROWS: Final = (
    HF_INFERENCE,
    # https://docs.baseten.co/development/model-apis/overview
    row("baseten", "https://inference.baseten.co", "BASETEN_API_KEY"),
    # https://docs.bfl.ai/quick_start/generating_images: its own keys go as `X-Key`
    row("black-forest-labs", "https://api.us1.bfl.ai", "BFL_API_KEY", chat=None, scheme="", header="x-key"),
    # https://inference-docs.cerebras.ai/api-reference/chat-completions: unknown fields are refused
    # https://inference-docs.cerebras.ai/capabilities/reasoning: it has `reasoning`, and refuses the other spelling
    row(
        "cerebras",
        "https://api.cerebras.ai",
        "CEREBRAS_API_KEY",
        dropped=frozenset({"store"}),
        unsent=_OTHER_SPELLING,
    ),
    # https://docs.clarifai.com/compute/inference/open-ai: its own keys go as `Key`
    row(
        "clarifai",
        "https://api.clarifai.com",
        "CLARIFAI_PAT",
        chat="/v2/ext/openai/v1/chat/completions",
        scheme="Key",
    ),
    # https://docs.cohere.com/docs/compatibility-api
    row(
        "cohere",
        "https://api.cohere.com",
        "COHERE_API_KEY",
        "CO_API_KEY",
        chat="/compatibility/v1/chat/completions",
        response_format=json_object_schema,
    ),
    # https://deepinfra.com/docs/openai_api
    row(
        "deepinfra",
        "https://api.deepinfra.com",
        "DEEPINFRA_API_KEY",
        "DEEPINFRA_TOKEN",
        chat="/v1/openai/chat/completions",
        completions="/v1/openai/completions",
        vectors="/v1/openai/embeddings",
    ),
    FAL,
    # https://featherless.ai/docs/api-overview-and-common-options
    row("featherless-ai", "https://api.featherless.ai", "FEATHERLESS_API_KEY", completions="/v1/completions"),
    # https://docs.fireworks.ai/api-reference/post-chatcompletions
    row(
        "fireworks-ai",
        "https://api.fireworks.ai",
        "FIREWORKS_API_KEY",
        chat="/inference/v1/chat/completions",
        response_format=json_object_schema,
    ),
    # https://console.groq.com/docs/openai: chats, and sound; https://console.groq.com/docs/reasoning: as Cerebras
    row(
        "groq",
        "https://api.groq.com",
        "GROQ_API_KEY",
        chat="/openai/v1/chat/completions",
        prompt_as_chat=True,
        unsent=_OTHER_SPELLING,
    ),
    # https://docs.hyperbolic.xyz/docs/rest-api: chats, and images
    row("hyperbolic", "https://api.hyperbolic.xyz", "HYPERBOLIC_API_KEY", prompt_as_chat=True),
    # https://docs.nebius.com/studio/inference/api
    row(
        "nebius",
        "https://api.studio.nebius.ai",
        "NEBIUS_API_KEY",
        completions="/v1/completions",
        vectors="/v1/embeddings",
        vectors_dropped=_TEI_ONLY,
        response_format=guided_json,
    ),
    # https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion
    row(
        "novita",
        "https://api.novita.ai",
        "NOVITA_API_KEY",
        chat="/v3/openai/chat/completions",
        completions="/v3/openai/completions",
    ),
    # https://docs.nscale.com/docs/inference/chat
    row("nscale", "https://inference.api.nscale.com", "NSCALE_SERVICE_TOKEN"),
    # https://docs.api.nvidia.com/nim/reference/llm-apis
    row("nvidia", "https://integrate.api.nvidia.com", "NVIDIA_API_KEY"),
    # https://platform.openai.com/docs/api-reference
    row(
        "openai",
        "https://api.openai.com",
        "OPENAI_API_KEY",
        completions="/v1/completions",
        vectors="/v1/embeddings",
        hub=False,
    ),
    # https://help.ovhcloud.com/csm/en-public-cloud-ai-endpoints-getting-started
    row(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net",
        "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
        completions="/v1/completions",
    ),
    # https://platform.publicai.co/docs
    row("publicai", "https://api.publicai.co", "PUBLICAI_API_KEY"),
    REPLICATE,
    # https://docs.sambanova.ai/cloud/api-reference/overview
    row(
        "sambanova",
        "https://api.sambanova.ai",
        "SAMBANOVA_API_KEY",
        vectors="/v1/embeddings",
        response_format=not_strict,
    ),
    # https://www.scaleway.com/en/developers/api/generative-apis
    row(
        "scaleway",
        "https://api.scaleway.ai",
        "SCW_SECRET_KEY",
        completions="/v1/completions",
        vectors="/v1/embeddings",
    ),
    # https://docs.together.ai/reference/chat-completions-1
    row(
        "together",
        "https://api.together.xyz",
        "TOGETHER_API_KEY",
        completions="/v1/completions",
        vectors="/v1/embeddings",
        response_format=json_schema_schema,
    ),
    # https://wavespeed.ai/docs/docs-api/prediction
    row("wavespeed", "https://api.wavespeed.ai", "WAVESPEED_API_KEY", chat=None),
    # https://docs.z.ai/api-reference/llm/chat-completion
    row(
        "zai-org",
        "https://api.z.ai",
        "ZAI_API_KEY",
        chat="/api/paas/v4/chat/completions",
        headers={"accept-language": "en-US,en", "x-source-channel": "hugging_face"},
    ),
)
