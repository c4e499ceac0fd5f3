"""Recorded exchanges with real servers: read from a folder, and recognised by their URLs and bodies.

The folder has exchanges.jsonl, and is no part of this project. Which task, provider and host an exchange belongs to is
told by rules, not by a list of the exchanges, so that others like them are recognised too. Nothing is played here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from headwater.flow import Reply
from headwater.providers import PROVIDERS
from headwater.providers.hf_tasks import ELSEWHERE, SERVED

CHAT, TEXT, VECTORS, CREATE = "chat-completion", "text-generation", "feature-extraction", "embeddings"
ROUTER: Final = "https://router.huggingface.co"
LEGACY_HOST: Final = "https://api-inference.huggingface.co"
LEGACY_PROXY: Final = "https://huggingface.co/api/inference-proxy"
HUB_MODELS: Final = "https://huggingface.co/api/models/"


class Exchange(msgspec.Struct, kw_only=True):
    """One request and its answer. `sent`: decoded JSON, bytes, or None where it was not stored; `stored`: whether the
    answer's body was."""

    id: str
    method: str
    url: str
    sent: Any
    reply: Reply
    stored: bool

    @property
    def said(self) -> Any:
        """The answer as JSON, None where it is none."""
        try:
            return json.loads(self.reply.body)
        except ValueError:
            return None


class Recognised(msgspec.Struct, kw_only=True):
    """What an exchange is. `place`: direct, routed, legacy host or legacy proxy. `base`: what today stands before the
    route; `route`: what was asked for behind it."""

    task: str
    provider: str
    place: str
    base: str
    route: str
    model: str | None
    streamed: bool


class Left(msgspec.Struct):
    """An exchange that no task of ours has, or that says too little, and why."""

    reason: str


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange of the folder's file."""
    for line in (folder / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        answered, given = kept["response_body"] or {}, kept["response_headers"] or {}
        headers = {name.lower(): str(value) for name, value in given.items() if value is not None}
        body = _bytes(folder, answered)
        yield Exchange(
            id=kept["id"],
            method=kept["method"],
            url=kept["url"],
            sent=_sent(_bytes(folder, kept["request_body"] or {})),
            reply=Reply(status=kept["status"], headers=headers, body=body or b"", url=kept["url"]),
            stored=body is not None,
        )


def _bytes(folder: Path, kept: Mapping[str, Any]) -> bytes | None:
    if "file" in kept:
        return (folder / kept["file"]).read_bytes()
    return kept["text"].encode() if "text" in kept else None


def _sent(body: bytes | None) -> Any:
    try:
        return None if body is None else json.loads(body)
    except ValueError:
        return body


# Where it went


def _places() -> dict[str, str]:
    """The bases of the providers, which are what a URL of theirs begins with."""
    found = {}
    for name, row in PROVIDERS.items():
        for base in (row.base, *row.origins):
            if base and not base.startswith(ROUTER):
                found[base] = name
    return found


PLACES: Final = _places()
_SERVERS: Final = re.compile(r"(https?://[^/?]+(?:/[^?]*)?/v\d+[a-z]*)(?=/|\Z)|(https?://[^/?]+)")
_DOWNLOADED: Final = re.compile(r"\.(jpe?g|png|webp|gif|wav|mp3|flac|ogg|mp4|webm)\Z|/(files|results)/", re.IGNORECASE)


def recognise(exchange: Exchange, tasks: Mapping[str, str]) -> Recognised | Left:
    """What the exchange is; `tasks` are those of models that other exchanges told."""
    url = exchange.url
    if url.startswith("data:"):
        return Left("a data: URL, which is no exchange with a server")
    if url.startswith(HUB_MODELS):
        return _hub(exchange)
    provider, place, base, route = _place(url)
    if exchange.method == "GET" and provider in {"url", "hf-inference"}:
        return _download(exchange)
    told = _task(exchange, provider, route, tasks)
    if isinstance(told, Left):
        return told
    return Recognised(
        task=told,
        provider=provider,
        place=place,
        base=base,
        route=route,
        model=_model(exchange, provider, route),
        streamed="event-stream" in exchange.reply.content_type
        or (isinstance(exchange.sent, dict) and exchange.sent.get("stream") is True),
    )


def _place(url: str) -> tuple[str, str, str, str]:
    """Provider, place, base and route."""
    if url.startswith((LEGACY_HOST, LEGACY_PROXY)):
        place = "legacy host" if url.startswith(LEGACY_HOST) else "legacy proxy"
        path = url.removeprefix(LEGACY_HOST).removeprefix(LEGACY_PROXY).removeprefix("/hf-inference")
        return "hf-inference", place, f"{ROUTER}/hf-inference", path
    if url.startswith(f"{ROUTER}/v1/"):
        return "auto", "routed", ROUTER, url.removeprefix(ROUTER)
    if url.startswith(f"{ROUTER}/"):
        name = url.removeprefix(f"{ROUTER}/").partition("/")[0]
        if name in PROVIDERS:
            base = f"{ROUTER}/{name}"
            return name, "routed", base, url.removeprefix(base)
    for base, name in PLACES.items():
        if url.startswith((f"{base}/", f"{base}?")) or url == base:
            return name, "direct", base, url.removeprefix(base)
    found = _SERVERS.match(url)
    base = found[0] if found else url
    return "url", "direct", base, url.removeprefix(base)


def _hub(exchange: Exchange) -> Recognised | Left:
    """A look-up at the Hub: a model's mapping to providers, or its card."""
    task = "mapping" if "expand=inferenceProviderMapping" in exchange.url else "card"
    model = urlsplit(exchange.url).path.partition("/api/models/")[2]
    return Recognised(
        task=task,
        provider="hf-inference",
        place="hub",
        base=f"{ROUTER}/hf-inference",
        route="",
        model=model,
        streamed=False,
    )


def _download(exchange: Exchange) -> Recognised | Left:
    family = exchange.reply.content_type.partition("/")[0]
    is_file = family in {"image", "audio", "video"} or _DOWNLOADED.search(urlsplit(exchange.url).path)
    if not is_file:
        return Left("a GET that is no step of a task")
    if not exchange.stored:
        return Left("a download, and the body was not stored")
    return Recognised(
        task=f"download of {family}",
        provider="url",
        place="direct",
        base=exchange.url,
        route="",
        model=None,
        streamed=False,
    )


# What for

_BY_ROUTE: Final = {
    "/chat/completions": CHAT,
    "/completions": TEXT,
    "/embeddings": CREATE,
    "/images/generations": "text-to-image",
    "/audio/speech": "text-to-speech",
    "/audio/transcriptions": "automatic-speech-recognition",
    "/get_result": "text-to-image",
    "/layout_parsing": "image-to-text",
}
_NAMES: Final = {"conversational": CHAT, "text2text-generation": TEXT, **{name: name for name in SERVED | ELSEWHERE}}
_PIPELINE: Final = re.compile(r"/pipeline/([a-z0-9-]+)")
_MODEL: Final = re.compile(r"/(?:models|pipeline/[a-z0-9-]+)/([^?]+?)(?:/v1/chat/completions|/pipeline/[a-z-]+)?(?:\?|\Z)")
_FILE: Final = re.compile(r"\A(?:data:|[A-Za-z0-9+/]{120,}={0,2}\Z)")


def _task(exchange: Exchange, provider: str, route: str, tasks: Mapping[str, str]) -> str | Left:
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    path = route.partition("?")[0]
    if path == "/v2/chat" and provider == "cohere":
        return Left("Cohere's own chat dialect; headwater speaks its OpenAI-compatible one")
    named = _PIPELINE.search(path)
    if named:
        return _NAMES.get(named[1], named[1])
    for end, task in _BY_ROUTE.items():
        if path.endswith(end):
            return VECTORS if task == CREATE else task
    if "messages" in sent:
        return CHAT
    if provider == "hf-inference":
        return _at_pipelines(exchange, sent, path, tasks)
    return _at_media(exchange, provider, sent)


def _at_media(exchange: Exchange, provider: str, sent: dict[str, Any]) -> str | Left:
    """A provider of jobs and files: by what went in, and by what came out."""
    given = sent.get("input") if isinstance(sent.get("input"), dict) else sent
    said = exchange.said if isinstance(exchange.said, dict) else {}
    out = [said.get(name) for name in ("output", "audio", "audio_file", "video", "images", "image", "text")]
    files = " ".join(_strings(out)) + " " + " ".join(_strings(list(said)))
    heard = any(re.search(r"audio(_url)?\Z|\Aaudio", name) for name in given) or "whisper" in exchange.url
    heard = heard or "wizper" in exchange.url
    pictured = any(re.fullmatch(r"(input_)?images?(_urls?)?", name) for name in given)
    if "video" in files or ".mp4" in files or "num_frames" in given or re.search(r"video|mochi|wan-|ltx", exchange.url):
        return "image-to-video" if pictured else "text-to-video"
    if heard:
        return "automatic-speech-recognition"
    if "text" in given or "gen_text" in given or re.search(r"\.(wav|mp3|flac|ogg)\b", files):
        return "text-to-speech"
    if "prompt" in given or exchange.reply.status >= 400:
        return "image-to-image" if pictured else "text-to-image"
    return Left(f"{provider} was asked for something that neither the request nor the answer tells")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:2000]
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _at_pipelines(exchange: Exchange, sent: dict[str, Any], path: str, tasks: Mapping[str, str]) -> str | Left:
    """A model's own URL, which does not say the task: the answer does, else the request, else the model's others."""
    said, inputs = exchange.said, sent.get("inputs")
    first = said[0] if isinstance(said, list) and said else said
    is_conversation = isinstance(inputs, dict) and ("past_user_inputs" in inputs or "generated_responses" in inputs)
    if is_conversation or (isinstance(first, dict) and "conversation" in first):
        return Left("the conversational pipeline, which no server has any more")
    found = _by_answer(exchange, sent, first) if exchange.reply.status < 400 else None
    known = tasks.get(_model_in(path) or "")
    if isinstance(inputs, dict) and {"image", "question"} <= inputs.keys():
        found = found or known  # about a document or any picture: both are asked alike
    return found or _by_request(sent) or known or _by_name(path, first) or _by_inputs(exchange, inputs)


_BY_FIELD: Final = {
    "summary_text": "summarization",
    "translation_text": "translation",
    "token_str": "fill-mask",
    "entity_group": "token-classification",
    "entity": "token-classification",
    "box": "object-detection",
    "mask": "image-segmentation",
    "blob": "audio-to-audio",
    "labels": "zero-shot-classification",
    "coordinates": "table-question-answering",
    "predicted_depth": "depth-estimation",
    "text": "automatic-speech-recognition",
    "token": TEXT,
}


def _by_answer(exchange: Exchange, sent: dict[str, Any], first: Any) -> str | None:
    kind, inputs = exchange.reply.content_type, sent.get("inputs")
    is_text = isinstance(inputs, str) and not _FILE.match(inputs)
    if kind == "text/event-stream" and b'"token"' in exchange.reply.body:
        return TEXT
    if kind.startswith("image/"):
        return "text-to-image" if is_text else "image-to-image"
    if kind.startswith("audio/"):
        return "text-to-speech"
    if kind.startswith("video/"):
        return "text-to-video" if is_text else "image-to-video"
    if isinstance(first, list) and first and isinstance(first[0], dict):
        return _by_answer(exchange, sent, first[0]) or "text-classification"
    if isinstance(first, dict):
        return _by_fields(exchange, sent, first)
    if isinstance(first, float | int | list) and not isinstance(inputs, dict):
        is_features = isinstance(first, list) or len(exchange.said) > 64
        return VECTORS if is_features else "sentence-similarity"
    return None


def _by_fields(exchange: Exchange, sent: dict[str, Any], first: dict[str, Any]) -> str | None:
    for name, task in _BY_FIELD.items():
        if name in first:
            return task
    inputs, is_json = sent.get("inputs"), isinstance(exchange.sent, dict)
    if "generated_text" in first:
        is_file = isinstance(exchange.sent, bytes) or (isinstance(inputs, str) and _FILE.match(inputs))
        was_picture = is_file or (exchange.sent is None and re.search(r"caption|blip|vit-|trocr", exchange.url))
        return "image-to-text" if was_picture else TEXT
    if "answer" in first:
        if isinstance(inputs, dict) and "context" in inputs:
            return "question-answering"
        if isinstance(exchange.said, dict):
            return "question-answering"
        return "visual-question-answering" if "score" in first and "start" not in first else "document-question-answering"
    if "label" in first and "score" in first:
        if "candidate_labels" in sent.get("parameters", {}) or isinstance(inputs, dict):
            return "zero-shot-image-classification" if _is_pictured(inputs) else "zero-shot-classification"
        if is_json and isinstance(inputs, str) and not _FILE.match(inputs):
            return "text-classification"
        heard = isinstance(exchange.sent, bytes) and exchange.sent[:4] in {b"fLaC", b"RIFF", b"OggS"}
        heard = heard or (isinstance(inputs, str) and inputs.startswith(("ZkxhQ", "UklGR", "SUQz", "T2dn")))
        return "audio-classification" if heard else None
    return None


def _is_pictured(inputs: Any) -> bool:
    return (isinstance(inputs, str) and bool(_FILE.match(inputs))) or (isinstance(inputs, dict) and "image" in inputs)


_ASKED: Final = (
    ({"table"}, "table-question-answering"),
    ({"question", "context"}, "question-answering"),
    ({"source_sentence"}, "sentence-similarity"),
    ({"sourceSentence"}, "sentence-similarity"),
    ({"sentences"}, "sentence-similarity"),
    ({"image", "question"}, "visual-question-answering"),
    ({"data"}, "tabular-classification"),
    ({"question"}, "question-answering"),
)
_WRITES: Final = {"max_new_tokens", "return_full_text", "details", "stop", "do_sample", "watermark"}


# Of classifying models, whose answers are alike, where what they were sent was not stored.
_ARCHITECTURES: Final = (
    (r"clip|siglip", "zero-shot-image-classification"),
    (r"hubert|wav2vec|wavlm|\bast-|whisper|yamnet", "audio-classification"),
    (r"\bvit\b|resnet|beit|swin|convnext|efficientnet|nsfw", "image-classification"),
    (r"mnli|xnli|zero-?shot", "zero-shot-classification"),
)


def _by_name(path: str, first: Any) -> str | None:
    is_scored = isinstance(first, dict) and {"label", "score"} <= first.keys()
    return next((task for words, task in _ARCHITECTURES if is_scored and re.search(words, path.lower())), None)


def _by_request(sent: dict[str, Any]) -> str | None:
    inputs, given = sent.get("inputs"), sent.get("parameters") or {}
    fields = inputs.keys() if isinstance(inputs, dict) else sent.keys() if "inputs" not in sent else set()
    for names, task in _ASKED:
        if names <= fields:
            return task
    if "candidate_labels" in given:
        return "zero-shot-image-classification" if _is_pictured(inputs) else "zero-shot-classification"
    if "tgt_lang" in given or "src_lang" in given:
        return "translation"
    if "num_inference_steps" in given or "negative_prompt" in given:
        return "text-to-image"
    return TEXT if _WRITES & given.keys() or "stream" in sent else None


def _by_inputs(exchange: Exchange, inputs: Any) -> str | Left:
    """The last resort for a refusal, which reads the same in every task: the kind of thing that was sent."""
    if exchange.reply.status < 400:
        body = "was not stored" if exchange.sent is None else "does not tell it"
        return Left(f"the task is not said by the URL or the answer, and the request's body {body}")
    words = (exchange.reply.body[:2000]).decode(errors="replace").lower()
    for word, task in (("sound", "audio-classification"), ("image", "image-classification"), ("generat", TEXT)):
        if word in words:
            return task
    return "text-classification" if isinstance(inputs, str | list) else TEXT


def _model_in(path: str) -> str | None:
    found = _MODEL.search(path)
    return found[1] if found else None


def _model(exchange: Exchange, provider: str, route: str) -> str | None:
    """The model as the provider knows it."""
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    path = route.partition("?")[0].strip("/")
    if provider in {"hf-inference", "replicate"} and "models/" in path or "pipeline/" in path:
        found = _model_in(f"/{path}")
        return found.removesuffix("/predictions") if found else None
    if provider == "replicate":
        return f"owner/name:{sent.get('version', 'v')}".replace(":owner/", ":")
    if provider == "fal-ai":
        return path
    if provider == "black-forest-labs":
        return path.removeprefix("v1/")
    if provider == "novita" and path.startswith("v3/"):
        return sent.get("model") or path.rpartition("/")[2]
    named = sent.get("model") or sent.get("model_name")
    return named if isinstance(named, str) else None


def tasks_of_models(all_of_them: list[Exchange]) -> dict[str, str]:
    """The task of each model of hf-inference, as its card or the most telling of its exchanges has it."""
    found: dict[str, str] = {}
    for exchange in all_of_them:
        recognised = recognise(exchange, {}) if exchange.reply.status < 400 else None
        if isinstance(recognised, Recognised) and recognised.provider == "hf-inference" and recognised.model:
            if recognised.place != "hub" and recognised.task != CHAT:
                found.setdefault(recognised.model, recognised.task)
    for exchange in all_of_them:
        card = exchange.said
        if exchange.url.startswith(HUB_MODELS) and isinstance(card, dict) and card.get("pipeline_tag") in _NAMES:
            found.setdefault(card["id"], _NAMES[card["pipeline_tag"]])
    return found
