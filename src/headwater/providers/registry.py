"""Every provider, one row each: its base, its keys' environment variables, and the flows of its tasks.

A provider in OpenAI's dialect is a row and nothing more: where its routes begin (`prefix`, once), which of them it has,
and where it departs. What a vendor does in a dialect of its own is in a file of its own, and stands in the row as
`tasks`. Facts are from the vendors' documentation (the link at each row) and from what Hugging Face's clients exchange
with them. A stream's end is told by `[DONE]` or by a finish reason on every choice: some leave `[DONE]` out, and what
has no finish reason is cut, but for the servers that are recorded to send none. No row has logic, and no row knows a
secret. A row is made when its provider is asked for: a client loads what its own providers speak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..auth.credentials import BEARER, KeyHeader
from ..auth.hosts import ROUTER_URL
from ..protocol.flow import Call, Flow, ResumeFlow, TaskFlow, TaskFlowAtURL
from ..protocol.lazy import lazy_modules
from ..schema.rules import (
    ANTHROPIC,
    CEREBRAS,
    COHERE,
    DATABRICKS,
    DESCRIBED,
    FIREWORKS,
    GEMINI,
    LOCAL,
    PERPLEXITY,
    PLAIN_STRICT,
    XAI,
    SchemaRules,
)
from . import custom_server, openai_chat
from .bodies import ANTHROPIC_KEY, API_VERSION, STEPS
from .openai_chat import ChatDialect
from .urls import (
    CHAT,
    COMPLETIONS,
    EDITS,
    EMBEDDINGS,
    IMAGES,
    MODERATIONS,
    RERANK,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
)

if TYPE_CHECKING:
    from . import (  # noqa: TC004 - loaded when it is used, below
        account_place,
        anthropic_chat,
        anthropic_messages,
        azure,
        black_forest_labs,
        fal,
        hf_inference,
        model_ids,
        novita,
        openai_completions,
        openai_embeddings,
        openai_images,
        openai_moderations,
        openai_responses,
        openai_speech,
        openai_transcription,
        replicate,
        rerank,
        response_format,
        tgi,
        together,
        wavespeed,
        zai,
    )
    from .account_place import AccountPlace
    from .openai_images import ImageDialect
    from .openai_moderations import ModerationDialect
    from .openai_speech import SpeechDialect
    from .openai_transcription import TranscriptionDialect
    from .rerank import RerankDialect
else:
    globals().update(
        lazy_modules(
            __package__,
            "account_place anthropic_chat anthropic_messages azure black_forest_labs fal hf_inference model_ids novita "
            "openai_completions openai_embeddings openai_images openai_moderations openai_responses openai_speech "
            "openai_transcription replicate rerank response_format tgi together wavespeed zai",
        )
    )

HF_INFERENCE: Final = "hf-inference"

_OTHER_SPELLING: Final = frozenset({"reasoning_content"})
_THOUGHTS: Final = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
_FEWER_NAMES: Final = {"max_completion_tokens": "max_tokens"}
"""Of those whose documentation has one name for the limit of tokens, and no other."""
_UNTHOUGHT: Final = {"thinking": {"type": "disabled"}}
_UNMAPPED: Final = frozenset({"rerank"})
"""Tasks that Hugging Face maps no models of."""
_TEI_ONLY: Final = frozenset({"normalize", "prompt_name", "truncate", "truncation_direction"})


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers.

    `base`: the URL before a task's route, where its own key is used. `prefix`: the path between `base` and the routes
    of OpenAI's dialect. `tasks`: the flow of each task by the task's name. `keys`: the environment variables that hold
    its key, the usual one first. `key_header`: how its own key is sent. `headers`: further ones, on every request to
    it. `routed`: whether Hugging Face's router takes calls for it, at `{router}/{name}` in place of `base`. `keyless`:
    whether it answers without a key, as a server on this machine does. `resume`:
    by the task's name, how a job that was submitted before is watched to its end. `origins`: further places of its
    own, beside `base`, that take its key where that is used. `place`: where it is for one account, of which `base` is
    an example. `tokens`: what begins those of its own keys that are sent as Bearer, whatever `key_header` says. `at`:
    how a flow is performed at a route of OpenAI's dialect there. `responses`: the route of what it keeps of OpenAI's
    Responses.
    """

    name: str
    base: str
    tasks: Mapping[str, TaskFlow]
    prefix: str = "/v1"
    keys: tuple[str, ...] = ()
    key_header: KeyHeader = BEARER
    headers: dict[str, str] = {}
    routed: bool = True
    keyless: bool = False
    resume: Mapping[str, ResumeFlow] = {}
    origins: tuple[str, ...] = ()
    place: AccountPlace | None = None
    tokens: str | None = None
    at: Callable[[str, TaskFlowAtURL], TaskFlow] | None = None
    responses: str | None = None

    def header_of(self, key: str) -> KeyHeader:
        """How this key of its own is sent."""
        return BEARER if self.tokens is not None and key.startswith(self.tokens) else self.key_header


def row(
    name: str,
    base: str,
    *keys: str,
    prefix: str = "/v1",
    chat: ChatDialect | None = openai_chat.PLAIN,
    completions: bool = False,
    prompt_as_chat: bool = False,
    embeddings: bool = False,
    embeddings_dropped: frozenset[str] = frozenset(),
    images: ImageDialect | None = None,
    edits: bool = False,
    speech: SpeechDialect | None = None,
    transcription: TranscriptionDialect | None = None,
    translation: TranscriptionDialect | None = None,
    moderation: ModerationDialect | None = None,
    ranks: RerankDialect | None = None,
    responses: bool | str = False,
    messages: str | None = None,
    counts: bool = False,
    tasks: Mapping[str, TaskFlow] = {},
    resume: Mapping[str, ResumeFlow] = {},
    key_header: KeyHeader = BEARER,
    headers: Mapping[str, str] = {},
    origins: tuple[str, ...] = (),
    place: AccountPlace | None = None,
    tokens: str | None = None,
    at: Callable[[str, TaskFlowAtURL], TaskFlow] | None = None,
    hub: bool = True,
) -> Provider:
    """A provider: what it does in OpenAI's dialect, and further `tasks` in its own. `hub`: mapped and routed by
    Hugging Face. `prompt_as_chat`: text generation by its chats. `responses`: whether it has OpenAI's Responses, or
    their path behind the base where that is not behind the prefix. `messages`: the path of Anthropic's Messages behind
    the base, and `counts` whether it counts their tokens. `at`: how a route becomes a URL of its."""
    openai: dict[str, tuple[str, TaskFlowAtURL]] = {}
    if chat is not None:
        openai["chat-completion"] = CHAT, partial(openai_chat.chat, dialect=chat)
    if completions:
        openai["text-generation"] = COMPLETIONS, partial(openai_completions.complete, dialect=chat or openai_chat.PLAIN)
    elif prompt_as_chat:
        openai["text-generation"] = (
            CHAT,
            partial(openai_completions.complete_as_chat, dialect=chat or openai_chat.PLAIN),
        )
    if embeddings:
        openai |= _embeddings(embeddings_dropped)
    openai |= _media(images, speech, transcription, translation, edits=edits)
    if moderation is not None:
        openai["moderation"] = MODERATIONS, partial(openai_moderations.moderate, dialect=moderation)
    if ranks is not None:
        openai["rerank"] = RERANK, partial(rerank.rerank, dialect=ranks)
    at = at or _at_route
    flows = {task: at(f"{prefix}/{route}", flow) for task, (route, flow) in openai.items()} | dict(tasks)
    route = responses if isinstance(responses, str) else f"{prefix}/{RESPONSES}" if responses else None
    if route is not None:
        flows["responses"] = at(route, _respond((chat or openai_chat.PLAIN).schema))
        resume = {**resume, "responses": _resumed_by(partial(at, route))}
    flows |= _messages(messages, counts=counts)
    return Provider(
        name=name,
        base=base,
        prefix=prefix,
        tasks={task: _mapped(task, flow) for task, flow in flows.items()} if hub else flows,
        keys=keys,
        key_header=key_header,
        headers=dict(headers),
        routed=hub,
        resume=resume,
        origins=origins,
        place=place,
        tokens=tokens,
        at=at,
        responses=route,
    )


def _mapped(task: str, flow: TaskFlow) -> TaskFlow:
    """The flow with the Hub's id of the model made the provider's first."""
    return model_ids.mapped_if_routed(flow) if task in _UNMAPPED else model_ids.mapped(flow)


def _embeddings(dropped: frozenset[str]) -> dict[str, tuple[str, TaskFlowAtURL]]:
    """Both tasks of embeddings, each with its route, and its flow there."""
    return {
        "feature-extraction": (EMBEDDINGS, partial(openai_embeddings.embed, dropped=dropped)),
        "embeddings": (EMBEDDINGS, partial(openai_embeddings.create, dropped=dropped)),
    }


def _media(
    images: ImageDialect | None,
    speech: SpeechDialect | None,
    transcription: TranscriptionDialect | None,
    translation: TranscriptionDialect | None,
    *,
    edits: bool,
) -> dict[str, tuple[str, TaskFlowAtURL]]:
    """What is done with images and sounds in OpenAI's dialect: each task's route, and its flow there."""
    found: dict[str, tuple[str, TaskFlowAtURL]] = {}
    if images is not None:
        found["text-to-image"] = IMAGES, partial(openai_images.text_to_image, dialect=images)
    if images is not None and edits:
        changed = partial(openai_images.edit, dialect=images)
        found |= {"edit-image": (EDITS, changed), "image-to-image": (EDITS, changed)}
    if speech is not None:
        found["text-to-speech"] = SPEECH, partial(openai_speech.text_to_speech, dialect=speech)
    if transcription is not None:
        hear = partial(openai_transcription.transcribe, dialect=transcription)
        found["automatic-speech-recognition"] = TRANSCRIPTIONS, hear
    if translation is not None:
        found["audio-translation"] = TRANSLATIONS, partial(openai_transcription.transcribe, dialect=translation)
    return found


def _messages(path: str | None, *, counts: bool, rules: SchemaRules = ANTHROPIC) -> dict[str, TaskFlow]:
    """What is done in Anthropic's Messages at this path. `rules`: what typed answers may have of JSON Schema."""
    if path is None:
        return {}
    found = {"messages": _at_route(path, lambda call, url: anthropic_messages.create_message(call, url, rules))}
    if counts:
        found["count-tokens"] = _at_route(path, lambda call, url: anthropic_messages.count_message_tokens(call, url))
    return found


def _respond(rules: SchemaRules) -> TaskFlowAtURL:
    """OpenAI's Responses. `rules`: what typed answers may have of JSON Schema."""
    return lambda call, url: openai_responses.response_flow(call, url, rules)


def _resumed_by(placed: Callable[[TaskFlowAtURL], TaskFlow]) -> ResumeFlow:
    """How a response in the background is watched by a provider; `placed`: a flow at the URL of its responses."""
    return lambda call, job: placed(lambda call, url: openai_responses.resumed_response(call, url, job))(call)


def on_this_machine(name: str, port: int, ranks: RerankDialect | None = None, *, counts: bool = False) -> Provider:
    """A server on this machine, at its usual port, which wants no key: what it does in OpenAI's dialect, and in
    Anthropic's Messages; `counts`: whether it counts their tokens."""
    chat = ChatDialect(schema=LOCAL, unfinished=custom_server.UNFINISHED)
    texts = {"text-generation": _at_route(f"/v1/{COMPLETIONS}", custom_server.complete_text)}
    base = f"http://127.0.0.1:{port}"
    texts |= _messages("/v1/messages", counts=counts, rules=LOCAL)
    made = row(name, base, chat=chat, embeddings=True, ranks=ranks, responses=True, tasks=texts, hub=False)
    return msgspec.structs.replace(made, keyless=True)


def _at_route(route: str, flow: TaskFlowAtURL) -> TaskFlow:
    """The flow at this route of whichever base the call has: the provider's own, or the router's."""

    def at_base(call: Call) -> Flow[Any]:
        return (yield from flow(call, call.base + route))

    return at_base


def _openai_images() -> ImageDialect:
    return openai_images.ImageDialect(
        sized=True,
        dropped=frozenset({"negative_prompt", "num_inference_steps", "guidance_scale", "scheduler", "seed"}),
    )


SERVER: Final = Provider(name="url", base="", tasks=custom_server.TASKS, resume=custom_server.RESUME, routed=False)
"""Whoever answers at a URL of the user's own."""

ROWS: Final[Mapping[str, Callable[[str], Provider]]] = {
    HF_INFERENCE: lambda name: Provider(
        name=name,
        base=f"{ROUTER_URL}/hf-inference",
        tasks={task: hf_inference.served(flow) for task, flow in hf_inference.TASKS.items()},
        keys=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    ),
    # https://platform.claude.com/docs/en/api/overview: its keys go as `x-api-key`, and every request names a version
    # https://platform.claude.com/docs/en/api/messages
    "anthropic": lambda name: row(
        name,
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        chat=None,
        tasks={"chat-completion": _at_route("/v1/messages", lambda call, url: anthropic_chat.message_chat(call, url))},
        key_header=ANTHROPIC_KEY,
        headers={"anthropic-version": API_VERSION},
        messages="/v1/messages",
        counts=True,
        hub=False,
    ),
    # https://docs.baseten.co/development/model-apis/overview
    "baseten": lambda name: row(name, "https://inference.baseten.co", "BASETEN_API_KEY"),
    # https://docs.bfl.ai/quick_start/generating_images: its own keys go as `X-Key`
    "black-forest-labs": lambda name: row(
        name,
        "https://api.us1.bfl.ai",
        "BFL_API_KEY",
        chat=None,
        tasks=black_forest_labs.TASKS,
        resume=black_forest_labs.RESUME,
        key_header=KeyHeader("x-key", scheme=""),
    ),
    # https://inference-docs.cerebras.ai/api-reference/chat-completions: unknown fields are refused
    # https://inference-docs.cerebras.ai/capabilities/reasoning: it has `reasoning`, and refuses the other spelling
    "cerebras": lambda name: row(
        name,
        "https://api.cerebras.ai",
        "CEREBRAS_API_KEY",
        chat=ChatDialect(schema=CEREBRAS, dropped=frozenset({"store"}), unsent=_OTHER_SPELLING),
    ),
    # https://docs.clarifai.com/compute/inference/open-ai: its own keys go as `Key`
    "clarifai": lambda name: row(
        name,
        "https://api.clarifai.com",
        "CLARIFAI_PAT",
        prefix="/v2/ext/openai/v1",
        key_header=KeyHeader(scheme="Key"),
    ),
    # https://docs.cohere.com/docs/compatibility-api, https://docs.cohere.com/reference/rerank
    "cohere": lambda name: row(
        name,
        "https://api.cohere.com",
        "COHERE_API_KEY",
        "CO_API_KEY",
        prefix="/compatibility/v1",
        chat=ChatDialect(response_format=response_format.json_object_schema, schema=COHERE),
        tasks={"rerank": _at_route(f"/v2/{RERANK}", partial(rerank.rerank, dialect=rerank.COHERE_RANKS))},
    ),
    # https://deepinfra.com/docs/openai_api
    "deepinfra": lambda name: row(
        name,
        "https://api.deepinfra.com",
        "DEEPINFRA_API_KEY",
        "DEEPINFRA_TOKEN",
        prefix="/v1/openai",
        completions=True,
        embeddings=True,
        speech=openai_speech.SpeechDialect(),
        transcription=openai_transcription.TranscriptionDialect(),
        translation=openai_transcription.TranscriptionDialect(grained=False),
    ),
    # https://docs.fal.ai/model-apis/model-endpoints/queue: its own keys go as `Key`, to two hosts
    "fal-ai": lambda name: row(
        name,
        fal.BASE,
        "FAL_KEY",
        chat=None,
        tasks=fal.TASKS,
        resume=fal.RESUME,
        key_header=KeyHeader(scheme="Key"),
        origins=(fal.QUEUE,),
    ),
    # https://featherless.ai/docs/api-overview-and-common-options
    "featherless-ai": lambda name: row(name, "https://api.featherless.ai", "FEATHERLESS_API_KEY", completions=True),
    # https://docs.fireworks.ai/api-reference/post-chatcompletions
    # https://docs.fireworks.ai/api-reference/rerank-documents
    "fireworks-ai": lambda name: row(
        name,
        "https://api.fireworks.ai",
        "FIREWORKS_API_KEY",
        prefix="/inference/v1",
        chat=ChatDialect(response_format=response_format.json_object_schema, schema=FIREWORKS),
        ranks=rerank.HOSTED_RANKS,
    ),
    # https://console.groq.com/docs/openai; https://console.groq.com/docs/reasoning: as Cerebras
    # https://console.groq.com/docs/text-to-speech: the voices are the models' own
    # https://console.groq.com/docs/speech-to-text
    "groq": lambda name: row(
        name,
        "https://api.groq.com",
        "GROQ_API_KEY",
        prefix="/openai/v1",
        chat=ChatDialect(types=response_format.groq, schema=PLAIN_STRICT, unsent=_OTHER_SPELLING),
        prompt_as_chat=True,
        speech=openai_speech.SpeechDialect(dropped=openai_speech.GENERATION),
        transcription=openai_transcription.TranscriptionDialect(),
        translation=openai_transcription.TranscriptionDialect(grained=False),
    ),
    # https://docs.hyperbolic.xyz/docs/rest-api
    # https://docs.hyperbolic.xyz/docs/image-generation: sizes are required, of at least 128
    "hyperbolic": lambda name: row(
        name,
        "https://api.hyperbolic.xyz",
        "HYPERBOLIC_API_KEY",
        prompt_as_chat=True,
        images=openai_images.ImageDialect(
            renamed={**STEPS, "guidance_scale": "cfg_scale"},
            model="model_name",
            defaults={"width": 512, "height": 512},
            several=False,
        ),
    ),
    # https://docs.nebius.com/studio/inference/api
    "nebius": lambda name: row(
        name,
        "https://api.studio.nebius.ai",
        "NEBIUS_API_KEY",
        chat=ChatDialect(response_format=response_format.guided_json),
        completions=True,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        images=openai_images.ImageDialect(
            response_format="b64_json", several=False, dropped=frozenset({"guidance_scale"})
        ),
    ),
    # https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion
    "novita": lambda name: row(
        name,
        "https://api.novita.ai",
        "NOVITA_API_KEY",
        prefix="/v3/openai",
        completions=True,
        tasks=novita.TASKS,
        resume=novita.RESUME,
    ),
    # https://docs.nscale.com/docs/inference/chat, https://docs.nscale.com/api-reference/inference/generate-image
    "nscale": lambda name: row(
        name,
        "https://inference.api.nscale.com",
        "NSCALE_SERVICE_TOKEN",
        images=openai_images.ImageDialect(
            sized=True, response_format="b64_json", dropped=frozenset({"num_inference_steps", "cfg_scale"})
        ),
    ),
    # https://docs.api.nvidia.com/nim/reference/llm-apis
    "nvidia": lambda name: row(name, "https://integrate.api.nvidia.com", "NVIDIA_API_KEY"),
    # https://platform.openai.com/docs/api-reference
    # gpt-image-1 refuses `response_format`; dall-e answers with URLs without it
    "openai": lambda name: row(
        name,
        "https://api.openai.com",
        "OPENAI_API_KEY",
        completions=True,
        embeddings=True,
        images=_openai_images(),
        speech=openai_speech.SpeechDialect(dropped=openai_speech.GENERATION, voices={"": "alloy"}),
        edits=True,
        transcription=openai_transcription.TranscriptionDialect(streams=True),
        translation=openai_transcription.TranscriptionDialect(grained=False),
        moderation=openai_moderations.ModerationDialect(),
        responses=True,
        hub=False,
    ),
    # https://help.ovhcloud.com/csm/en-public-cloud-ai-endpoints-getting-started
    "ovhcloud": lambda name: row(
        name,
        "https://oai.endpoints.kepler.ai.cloud.ovh.net",
        "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
        completions=True,
    ),
    # https://platform.publicai.co/docs
    "publicai": lambda name: row(name, "https://api.publicai.co", "PUBLICAI_API_KEY"),
    # https://replicate.com/docs/reference/http
    "replicate": lambda name: row(
        name,
        replicate.BASE,
        "REPLICATE_API_TOKEN",
        chat=None,
        tasks=replicate.TASKS,
        resume=replicate.RESUME,
    ),
    # https://docs.sambanova.ai/cloud/api-reference/overview
    "sambanova": lambda name: row(
        name,
        "https://api.sambanova.ai",
        "SAMBANOVA_API_KEY",
        chat=ChatDialect(response_format=response_format.not_strict),
        embeddings=True,
    ),
    # https://www.scaleway.com/en/developers/api/generative-apis
    "scaleway": lambda name: row(name, "https://api.scaleway.ai", "SCW_SECRET_KEY", completions=True, embeddings=True),
    # https://docs.together.ai/reference/chat-completions-1
    # https://docs.together.ai/reference/post-images-generations
    # https://docs.together.ai/docs/text-to-speech: a voice is required
    # https://docs.together.ai/reference/audio-transcriptions, https://docs.together.ai/reference/audio-translations
    # https://docs.together.ai/reference/rerank
    "together": lambda name: row(
        name,
        "https://api.together.xyz",
        "TOGETHER_API_KEY",
        prefix=together.PREFIX,
        chat=ChatDialect(response_format=response_format.json_schema_schema),
        completions=True,
        embeddings=True,
        images=openai_images.ImageDialect(response_format="base64", renamed=STEPS),
        speech=openai_speech.SpeechDialect(voices={"kokoro": "af_alloy"}),
        transcription=openai_transcription.TranscriptionDialect(takes_urls=True, lists=None),
        translation=openai_transcription.TranscriptionDialect(takes_urls=True, lists=None, grained=False),
        ranks=rerank.HOSTED_RANKS,
        tasks=together.TASKS,
        resume=together.RESUME,
    ),
    # https://wavespeed.ai/docs/docs-api/prediction
    "wavespeed": lambda name: row(
        name,
        "https://api.wavespeed.ai",
        "WAVESPEED_API_KEY",
        chat=None,
        tasks=wavespeed.TASKS,
        resume=wavespeed.RESUME,
    ),
    # https://docs.z.ai/api-reference/llm/chat-completion
    "zai-org": lambda name: row(
        name,
        "https://api.z.ai",
        "ZAI_API_KEY",
        prefix=zai.PREFIX,
        chat=ChatDialect(response_format=response_format.described, schema=DESCRIBED),
        tasks=zai.TASKS,
        resume=zai.RESUME,
        headers={"accept-language": "en-US,en", "x-source-channel": "hugging_face"},
    ),
    # https://ai.google.dev/gemini-api/docs/openai
    "google": lambda name: row(
        name,
        "https://generativelanguage.googleapis.com",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        prefix="/v1beta/openai",
        chat=ChatDialect(schema=GEMINI),
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        hub=False,
    ),
    # https://docs.mistral.ai/api/endpoint/classifiers: a model is required, and what is moderated is text
    # https://docs.mistral.ai/api/endpoint/chat: a seed is `random_seed`, and unknown fields are refused
    # Its usage comes with every stream, and `stream_options` is refused: https://github.com/dnakov/anon-kode/issues/53
    # The limit is `max_tokens` alone: https://github.com/mistralai/platform-docs-public/issues/7
    # Another's thoughts are refused in a history: https://github.com/charmbracelet/crush/issues/1590
    "mistral": lambda name: row(
        name,
        "https://api.mistral.ai",
        "MISTRAL_API_KEY",
        chat=ChatDialect(
            renamed={"seed": "random_seed", **_FEWER_NAMES},
            dropped=frozenset({"store", "stream_options"}),
            unsent=_THOUGHTS | {"refusal", "annotations"},
        ),
        moderation=openai_moderations.ModerationDialect(model="mistral-moderation-latest", texts_only=True),
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        hub=False,
    ),
    # https://api-docs.deepseek.com/api/create-chat-completion, https://api-docs.deepseek.com/guides/anthropic_api
    # https://api-docs.deepseek.com/guides/thinking_mode: thinking has a switch of its own
    # https://api-docs.deepseek.com/guides/responses_api: which keeps no response
    "deepseek": lambda name: row(
        name,
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        prefix="",
        chat=ChatDialect(
            response_format=response_format.described, schema=DESCRIBED, renamed=_FEWER_NAMES, unthinking=_UNTHOUGHT
        ),
        responses=True,
        messages="/anthropic/v1/messages",
        hub=False,
    ),
    # https://docs.x.ai/docs/api-reference#chat-completions, https://docs.x.ai/docs/api-reference#create-new-response
    "xai": lambda name: row(
        name, "https://api.x.ai", "XAI_API_KEY", chat=ChatDialect(schema=XAI), responses=True, hub=False
    ),
    # https://openrouter.ai/docs/api-reference/chat-completion
    # https://openrouter.ai/docs/api-reference/responses/overview
    # https://openrouter.ai/docs/api/api-reference/anthropic-messages/create-messages
    "openrouter": lambda name: row(
        name,
        "https://openrouter.ai",
        "OPENROUTER_API_KEY",
        prefix="/api/v1",
        responses=True,
        messages="/api/v1/messages",
        hub=False,
    ),
    # https://platform.kimi.ai/docs/api/chat, https://platform.kimi.ai/docs/guide/agent-support
    # https://platform.kimi.ai/docs/api/models-overview: thinking has a switch of its own
    # https://platform.kimi.ai/docs/api/quickstart: keys of platform.kimi.com are for `https://api.moonshot.cn/v1`
    "moonshot": lambda name: row(
        name,
        "https://api.moonshot.ai",
        "MOONSHOT_API_KEY",
        chat=ChatDialect(types=response_format.described, schema=DESCRIBED, unthinking=_UNTHOUGHT),
        messages="/anthropic/v1/messages",
        hub=False,
    ),
    # https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility: the Responses, at a version of their own
    # https://docs.perplexity.ai/api-reference/chat-completions-post: its older models, which are said to have gone on
    # 27 September 2026: https://docs.stigg.io/documentation/ai-agents/llm-wrappers/providers/perplexity
    "perplexity": lambda name: row(
        name,
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        "PPLX_API_KEY",
        prefix="",
        chat=ChatDialect(schema=PERPLEXITY, renamed=_FEWER_NAMES),
        responses="/v1/responses",
        hub=False,
    ),
    # https://platform.minimax.io/docs/api-reference/text-openai-api
    # https://platform.minimax.io/docs/api-reference/text-anthropic-api; the Responses and `/v1/models`, by
    # https://www.developersdigest.tech/reference/api-compatibility/minimax
    # https://java.agentscope.io/v2/en/integration/model/minimax: thinking has a switch of its own
    "minimax": lambda name: row(
        name,
        "https://api.minimax.io",
        "MINIMAX_API_KEY",
        chat=ChatDialect(types=response_format.minimax, schema=DESCRIBED, unthinking=_UNTHOUGHT),
        responses=True,
        messages="/anthropic/v1/messages",
        hub=False,
    ),
    # https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope: keys are a region's,
    # and this is the one that the documentation names first; other regions and workspaces are a `base_url`
    # https://help.aliyun.com/en/model-studio/compatibility-with-openai-responses-api
    # https://help.aliyun.com/en/model-studio/deep-thinking: thinking has a switch of its own
    "dashscope": lambda name: row(
        name,
        "https://dashscope-intl.aliyuncs.com",
        "DASHSCOPE_API_KEY",
        prefix="/compatible-mode/v1",
        chat=ChatDialect(types=response_format.described, schema=DESCRIBED, unthinking={"enable_thinking": False}),
        responses=True,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        hub=False,
    ),
    # https://jina.ai/reranker, https://jina.ai/embeddings
    "jina": lambda name: row(
        name,
        "https://api.jina.ai",
        "JINA_API_KEY",
        chat=None,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY | {"encoding_format", "user"},
        ranks=rerank.HOSTED_RANKS,
        hub=False,
    ),
    # https://docs.github.com/en/rest/models/inference; it is said to have been retired on 30 July 2026:
    # https://github.com/orgs/community/discussions/203602
    "github": lambda name: row(
        name,
        "https://models.github.ai",
        "GITHUB_TOKEN",
        prefix="/inference",
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        hub=False,
    ),
    # https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions
    # https://vercel.com/docs/ai-gateway/sdks-and-apis/responses
    # https://vercel.com/docs/ai-gateway/sdks-and-apis/anthropic-messages-api
    "vercel": lambda name: row(
        name,
        "https://ai-gateway.vercel.sh",
        "AI_GATEWAY_API_KEY",
        "VERCEL_OIDC_TOKEN",
        responses=True,
        messages="/v1/messages",
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        hub=False,
    ),
    # https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    # https://learn.microsoft.com/azure/ai-foundry/openai/reference: keys go as `api-key`, tokens of Entra as Bearer
    # https://learn.microsoft.com/azure/foundry/openai/how-to/responses
    "azure": lambda name: row(
        name,
        "https://RESOURCE.openai.azure.com/openai/v1",
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        prefix="",
        completions=True,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        images=_openai_images(),
        edits=True,
        speech=openai_speech.SpeechDialect(dropped=openai_speech.GENERATION, voices={"": "alloy"}),
        transcription=openai_transcription.TranscriptionDialect(),
        translation=openai_transcription.TranscriptionDialect(grained=False),
        responses=True,
        key_header=KeyHeader("api-key", scheme=""),
        tokens="eyJ",  # as every JSON web token begins
        place=account_place.AccountPlace(
            variables=("AZURE_OPENAI_ENDPOINT",),
            versions=("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
            base_of=account_place.azure_base,
        ),
        at=azure.at_deployment,
        hub=False,
    ),
    # https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility
    "cloudflare": lambda name: row(
        name,
        "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai",
        "CLOUDFLARE_API_TOKEN",
        chat=ChatDialect(response_format=response_format.cloudflare, schema=DESCRIBED),
        responses=True,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        place=account_place.AccountPlace(
            variables=("CLOUDFLARE_ACCOUNT_ID",),
            base_of=account_place.in_template("https://api.cloudflare.com/client/v4/accounts/{}/ai", "/v1"),
        ),
        hub=False,
    ),
    # https://docs.databricks.com/aws/en/machine-learning/model-serving/query-chat-models
    # https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference
    # https://docs.databricks.com/aws/en/generative-ai/foundation-models/query-by-type: chats and Responses
    "databricks": lambda name: row(
        name,
        "https://WORKSPACE.cloud.databricks.com",
        "DATABRICKS_TOKEN",
        prefix="/serving-endpoints",
        chat=ChatDialect(schema=DATABRICKS),
        responses=True,
        completions=True,
        embeddings=True,
        embeddings_dropped=_TEI_ONLY,
        place=account_place.AccountPlace(
            variables=("DATABRICKS_HOST",), base_of=account_place.at_host("/serving-endpoints")
        ),
        hub=False,
    ),
    # https://docs.ollama.com/api/openai-compatibility, https://docs.ollama.com/api/anthropic-compatibility
    "ollama": lambda name: on_this_machine(name, 11434),
    # https://lmstudio.ai/docs/developer/openai-compat, https://lmstudio.ai/docs/developer/anthropic-compat
    "lmstudio": lambda name: on_this_machine(name, 1234),
    # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llamacpp": lambda name: on_this_machine(name, 8080, rerank.EVERY_FIELD, counts=True),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": lambda name: on_this_machine(name, 8000, rerank.EVERY_FIELD, counts=True),
    # https://docs.sglang.ai/basic_usage/openai_api_completions.html
    # https://docs.sglang.io/docs/basic_usage/anthropic_api
    "sglang": lambda name: on_this_machine(name, 30000, rerank.EVERY_FIELD, counts=True),
    # https://huggingface.co/docs/text-generation-inference/quicktour, whose port on the machine is 8080
    # https://huggingface.co/docs/text-generation-inference/messages_api
    "tgi": lambda name: msgspec.structs.replace(
        row(
            name,
            "http://127.0.0.1:8080",
            chat=hf_inference.CHAT_DIALECT,
            tasks={"text-generation": _at_route("", tgi.generate)},
            hub=False,
        ),
        keyless=True,
    ),
}
"""What makes the provider of each name; the files that a row names are loaded by that."""
