"""Every provider x task pair that there is, and the least that each task is asked with: data for test_pairs.py."""

from __future__ import annotations

from typing import Any, Final

from headwater.emulator.dialects import media

PNG, WAV, MP4 = media.png(4, 3), media.wav(), media.mp4("a")
TABLE: Final = {"Stars": ["1", "2"], "Name": ["a", "b"]}
LABELS: Final = ["cat", "dog"]

ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "audio-classification": {"audio": WAV},
    "audio-to-audio": {"audio": WAV},
    "automatic-speech-recognition": {"audio": WAV},
    "chat-completion": {"messages": [{"role": "user", "content": "how deep is the river"}], "max_tokens": 8},
    "depth-estimation": {"image": PNG},
    "document-question-answering": {"image": PNG, "question": "how much?"},
    "embeddings": {"input": ["a", "b"]},
    "feature-extraction": {"text": "a"},
    "fill-mask": {"text": "a [MASK]"},
    "image-classification": {"image": PNG},
    "image-segmentation": {"image": PNG},
    "image-text-to-image": {"image": PNG, "prompt": "a cat"},
    "image-text-to-video": {"image": PNG, "prompt": "a cat"},
    "image-to-image": {"image": PNG, "prompt": "a cat"},
    "image-to-text": {"image": PNG},
    "image-to-video": {"image": PNG, "prompt": "a cat"},
    "object-detection": {"image": PNG},
    "question-answering": {"question": "who?", "context": "it was the river"},
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

EVERY_TASK: Final = " ".join(ARGUMENTS)
PAIRS: Final[dict[str, str]] = {
    "auto": EVERY_TASK,
    "baseten": "chat-completion",
    "black-forest-labs": "text-to-image",
    "cerebras": "chat-completion",
    "clarifai": "chat-completion",
    "cohere": "chat-completion",
    "deepinfra": (
        "automatic-speech-recognition chat-completion embeddings feature-extraction text-generation text-to-speech"
    ),
    "fal-ai": (
        "audio-to-audio automatic-speech-recognition image-segmentation image-text-to-image image-text-to-video"
        " image-to-image image-to-video text-to-audio text-to-image text-to-speech text-to-video"
    ),
    "featherless-ai": "chat-completion text-generation",
    "fireworks-ai": "chat-completion",
    "groq": "automatic-speech-recognition chat-completion text-generation text-to-speech",
    "hf-inference": (
        "audio-classification audio-to-audio automatic-speech-recognition chat-completion depth-estimation"
        " document-question-answering feature-extraction fill-mask image-classification image-segmentation"
        " image-to-image image-to-text object-detection question-answering sentence-similarity summarization"
        " table-question-answering tabular-classification tabular-regression text-classification text-generation"
        " text-to-audio text-to-image text-to-speech token-classification translation video-classification"
        " visual-question-answering zero-shot-classification zero-shot-image-classification"
        " zero-shot-object-detection"
    ),
    "hyperbolic": "chat-completion text-generation text-to-image",
    "nebius": "chat-completion embeddings feature-extraction text-generation text-to-image",
    "novita": "chat-completion text-generation text-to-video",
    "nscale": "chat-completion text-to-image",
    "nvidia": "chat-completion",
    "openai": (
        "automatic-speech-recognition chat-completion embeddings feature-extraction text-generation text-to-image"
        " text-to-speech"
    ),
    "ovhcloud": "chat-completion text-generation",
    "publicai": "chat-completion",
    "replicate": "automatic-speech-recognition image-to-image text-to-image text-to-speech text-to-video",
    "sambanova": "chat-completion embeddings feature-extraction",
    "scaleway": "chat-completion embeddings feature-extraction text-generation",
    "together": (
        "automatic-speech-recognition chat-completion embeddings feature-extraction image-to-image image-to-video"
        " text-generation text-to-image text-to-speech text-to-video"
    ),
    "wavespeed": ("image-text-to-image image-text-to-video image-to-image image-to-video text-to-image text-to-video"),
    "zai-org": "chat-completion image-to-text text-to-image",
    "url": EVERY_TASK,
}
"""Provider: its tasks. "url" is a server's own URL."""

NAMED: Final = {
    "chat-completion": "org/Chat",
    "text-generation": "org/base",
    "feature-extraction": "org/embed",
    "embeddings": "org/embed",
}
"""Models that the emulator has for a task under another name than the task's."""

ROUTER_ONLY: Final = frozenset({"auto", "hf-inference"})
NOT_ROUTED: Final = frozenset({"openai", "url"})
OWN_KEYS: Final = {
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

AT_V1: Final = frozenset({"chat-completion", "embeddings", "feature-extraction", "text-generation"})
AT_BOTH: Final = frozenset({"automatic-speech-recognition", "text-generation", "text-to-image", "text-to-speech"})


def places_of(task: str) -> list[str]:
    """The paths of servers that a URL can name: in OpenAI's dialect, the root of an endpoint of the task, or both."""
    if task in AT_BOTH:
        return ["/v1", f"/tasks/{task}"]
    return ["/v1"] if task in AT_V1 else [f"/tasks/{task}"]


def model_of(task: str) -> str:
    """A model that the emulator has for this task."""
    return NAMED.get(task, f"org/{task}")


def tasks_of(provider: str) -> list[str]:
    """The provider's tasks."""
    return PAIRS[provider].split()
