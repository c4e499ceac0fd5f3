"""Every provider x task pair that there is, and the least that each task is asked with: data for test_pairs.py."""

from __future__ import annotations

from typing import Any, Final

from headwater.emulator.dialects import media
from headwater.emulator.places import PROVIDERS as EMULATED
from headwater.providers import PROVIDERS
from headwater.providers.registry import SERVER

PNG, WAV, MP4 = media.png(4, 3), media.wav(), media.mp4("a")
TABLE: Final = {"Stars": ["1", "2"], "Name": ["a", "b"]}
LABELS: Final = ["cat", "dog"]

ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "audio-classification": {"audio": WAV},
    "audio-to-audio": {"audio": WAV},
    "audio-translation": {"audio": WAV},
    "automatic-speech-recognition": {"audio": WAV},
    "chat-completion": {"messages": [{"role": "user", "content": "how deep is the river"}], "max_tokens": 8},
    "count-tokens": {"messages": [{"role": "user", "content": "how deep is the river"}]},
    "depth-estimation": {"image": PNG},
    "document-question-answering": {"image": PNG, "question": "how much?"},
    "embeddings": {"input": ["a", "b"]},
    "feature-extraction": {"text": "a"},
    "fill-mask": {"text": "a [MASK]"},
    "image-classification": {"image": PNG},
    "edit-image": {"image": [PNG, PNG], "prompt": "a cat", "mask": PNG},
    "image-segmentation": {"image": PNG},
    "image-text-to-image": {"image": PNG, "prompt": "a cat"},
    "image-text-to-video": {"image": PNG, "prompt": "a cat"},
    "image-to-image": {"image": PNG, "prompt": "a cat"},
    "image-to-text": {"image": PNG},
    "image-to-video": {"image": PNG, "prompt": "a cat"},
    "messages": {"messages": [{"role": "user", "content": "how deep is the river"}], "max_tokens": 8},
    "moderation": {"input": ["how nice", "violence"]},
    "object-detection": {"image": PNG},
    "question-answering": {"question": "who?", "context": "it was the river"},
    "rerank": {"query": "a deep river", "documents": ["a hill", "the deep river"], "top_n": 2},
    "responses": {"input": "how deep is the river", "max_output_tokens": 16},
    "sentence-similarity": {"sentence": "a", "other_sentences": ["b", "c"]},
    "summarization": {"text": "a long text"},
    "table-question-answering": {"table": TABLE, "query": "how many stars?"},
    "tabular-classification": {"table": TABLE},
    "tabular-regression": {"table": TABLE},
    "text-classification": {"text": "how nice"},
    "text-generation": {"prompt": "once upon", "max_new_tokens": 8},
    "text-to-audio": {"text": "rain"},
    "text-to-image": {"prompt": "a cat"},
    "text-to-speech": {"text": "hello"},
    "text-to-video": {"prompt": "a cat"},
    "token-classification": {"text": "Ada is in Bern"},
    "translation": {"text": "hello"},
    "video-classification": {"video": MP4},
    "visual-question-answering": {"image": PNG, "question": "what is it?"},
    "zero-shot-classification": {"text": "meow", "candidate_labels": LABELS},
    "zero-shot-image-classification": {"image": PNG, "candidate_labels": LABELS},
    "zero-shot-object-detection": {"image": PNG, "candidate_labels": LABELS},
}

STREAMED: Final[dict[str, dict[str, Any]]] = {"chat-completion": {"stream_options": {"include_usage": True}}}
"""What the run is asked with beside, to give what the plain call gives."""

ROWS: Final = {**{name: row for name, row in PROVIDERS.items() if name in EMULATED | {"auto"}}, "url": SERVER}
"""The providers that the emulator knows, the router, and a server's own URL."""

NAMED: Final = {
    "chat-completion": "org/Chat",
    "text-generation": "org/base",
    "feature-extraction": "org/embed",
    "embeddings": "org/embed",
    "audio-translation": "org/whisper",
    "edit-image": "org/image-to-image",
}
"""Models that the emulator has for a task under another name than the task's."""

ROUTER_ONLY: Final = frozenset({"auto", "hf-inference"})
NOT_ROUTED: Final = frozenset({"anthropic", "jina", "mistral", "openai", "url"})
IN_MESSAGES: Final = frozenset({"count-tokens", "messages"})
"""What is asked in Anthropic's dialect, where a key goes in its own header, and as a Bearer beside."""
OWN_KEYS: Final = {
    "anthropic": ("x-api-key", "***"),
    "black-forest-labs": ("x-key", "***"),
    "clarifai": ("authorization", "Key ***"),
    "fal-ai": ("authorization", "Key ***"),
}
"""How a provider's own key is sent where that is not as a Bearer."""

MORE: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("together", "text-to-speech"): {"extra_body": {"voice": "tara"}},
    ("/v1", "text-to-speech"): {"extra_body": {"voice": "alloy"}},
}
"""What a provider, or a server at this path, wants beside."""

KEYLESS: Final = ("/cdn/", "/direct/black-forest-labs/v1/get_result")
"""What is asked for without a credential: results, and BFL's jobs at the address that BFL names."""

AT_V1: Final = IN_MESSAGES | frozenset(
    {"audio-translation", "chat-completion", "embeddings", "feature-extraction", "edit-image", "moderation"}
)
AT_BOTH: Final = frozenset(
    {"automatic-speech-recognition", "image-to-image", "text-generation", "text-to-image", "text-to-speech"}
)


def places_of(task: str) -> list[str]:
    """The paths of servers that a URL can name: in OpenAI's dialect, the root of an endpoint of the task, or both."""
    if task == "rerank":
        return ["/v1", "/tei/rerank"]
    if task in AT_BOTH:
        return ["/v1", f"/tasks/{task}"]
    return ["/v1"] if task in AT_V1 else [f"/tasks/{task}"]


def model_of(task: str) -> str:
    """A model that the emulator has for this task."""
    return NAMED.get(task, f"org/{task}")


def tasks_of(provider: str) -> list[str]:
    """The provider's tasks. "auto" has those of every provider, of which some are unknown to the emulator."""
    known = ARGUMENTS if provider == "auto" else ROWS[provider].tasks
    return [task for task in ROWS[provider].tasks if task in known]
