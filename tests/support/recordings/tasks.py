"""Which task a recorded exchange belongs to, and which model: by its URL's path and its bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from support.recordings.exchange import CHAT, PIPELINES, TEXT, VECTORS, Exchange, Left

_BY_ROUTE: Final = {
    "/chat/completions": CHAT,
    "/completions": TEXT,
    "/embeddings": VECTORS,
    "/images/generations": "text-to-image",
    "/audio/speech": "text-to-speech",
    "/audio/transcriptions": "automatic-speech-recognition",
    "/get_result": "text-to-image",
    "/layout_parsing": "image-to-text",
}
NAMES: Final = {
    "conversational": CHAT,
    VECTORS: VECTORS,
    "text2text-generation": TEXT,
    **{name: name for name in PIPELINES},
}
_PIPELINE: Final = re.compile(r"/pipeline/([a-z0-9-]+)")
_MODEL: Final = re.compile(
    r"/(?:models|pipeline/[a-z0-9-]+)/([^?]+?)(?:/v1/chat/completions|/pipeline/[a-z-]+)?(?:\?|\Z)"
)
_FILE: Final = re.compile(r"\A(?:data:|[A-Za-z0-9+/]{120,}={0,2}\Z)")


def task_of(exchange: Exchange, provider: str, route: str, tasks: Mapping[str, str]) -> str | Left:
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    path = route.partition("?")[0]
    if path == "/v2/chat" and provider == "cohere":
        return Left("Cohere's own chat dialect; headwater speaks its OpenAI-compatible one")
    named = _PIPELINE.search(path)
    if named:
        return NAMES.get(named[1]) or Left(f"the pipeline {named[1]}, which is no task of ours")
    for end, task in _BY_ROUTE.items():
        if path.endswith(end):
            return task
    if "messages" in sent:
        return CHAT
    if provider in {"hf-inference", "url"}:
        return _at_pipelines(exchange, sent, path, tasks)
    return _at_media(exchange, provider, sent)


def _at_media(exchange: Exchange, provider: str, sent: dict[str, Any]) -> str | Left:
    """A provider of jobs and files: by what went in, and by what came out."""
    inner = sent.get("input")
    given: dict[str, Any] = inner if isinstance(inner, dict) else sent
    said = exchange.said if isinstance(exchange.said, dict) else {}
    files = " ".join([*said, *(text for text in _strings(said) if text.startswith("http"))])
    heard = any(re.search(r"audio(_url)?\Z|\Aaudio", name) for name in given) or "whisper" in exchange.url
    heard = heard or "wizper" in exchange.url
    pictured = any(re.fullmatch(r"(input_)?images?(_urls?)?", name) for name in given)
    if "video" in files or ".mp4" in files or "num_frames" in given or re.search(r"video|mochi|wan-|ltx", exchange.url):
        return "image-to-video" if pictured else "text-to-video"
    if heard:
        return "automatic-speech-recognition"
    if "text" in given or "gen_text" in given or re.search(r"\.(wav|mp3|flac|ogg)\b", files):
        return "text-to-speech"
    is_drawn = "images" in said or re.search(r"\.(png|jpe?g|webp)\b", files)
    if "prompt" in given or is_drawn or exchange.reply.status >= 400:
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
        return (
            "visual-question-answering" if "score" in first and "start" not in first else "document-question-answering"
        )
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


def model_of(exchange: Exchange, provider: str, route: str) -> str | None:
    """The model as the provider knows it."""
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    path = route.partition("?")[0].strip("/")
    if (provider in {"hf-inference", "replicate"} and "models/" in path) or "pipeline/" in path:
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
