"""Which task a model is for, by its name, and which providers the emulated Hub says serve that task.

The pairs are those that Hugging Face's clients know.
https://huggingface.co/docs/inference-providers/index#partners
"""

from __future__ import annotations

import re

OFFERS = {
    "audio-classification": "hf-inference",
    "audio-to-audio": "fal-ai hf-inference",
    "automatic-speech-recognition": "deepinfra fal-ai hf-inference replicate together",
    "conversational": (
        "baseten cerebras cohere deepinfra featherless-ai fireworks-ai groq hf-inference novita nscale ovhcloud"
        " publicai scaleway together zai-org"
    ),
    "depth-estimation": "hf-inference",
    "document-question-answering": "hf-inference",
    "feature-extraction": "hf-inference deepinfra nebius sambanova scaleway together",
    "fill-mask": "hf-inference",
    "image-classification": "hf-inference",
    "image-segmentation": "fal-ai hf-inference",
    "image-text-to-image": "fal-ai hf-inference wavespeed",
    "image-text-to-video": "fal-ai hf-inference wavespeed",
    "image-to-image": "fal-ai hf-inference replicate together wavespeed",
    "image-to-text": "hf-inference zai-org",
    "image-to-video": "fal-ai hf-inference together wavespeed",
    "object-detection": "hf-inference",
    "question-answering": "hf-inference",
    "sentence-similarity": "hf-inference",
    "summarization": "hf-inference",
    "table-question-answering": "hf-inference",
    "tabular-classification": "hf-inference",
    "tabular-regression": "hf-inference",
    "text-classification": "hf-inference",
    "text-ranking": "cohere fireworks-ai together",
    "text-generation": (
        "hf-inference deepinfra featherless-ai groq hyperbolic nebius novita ovhcloud scaleway together"
    ),
    "text-to-audio": "fal-ai hf-inference",
    "text-to-image": (
        "black-forest-labs fal-ai hf-inference hyperbolic nebius nscale replicate together wavespeed zai-org"
    ),
    "text-to-speech": "deepinfra fal-ai hf-inference replicate together",
    "text-to-video": "fal-ai hf-inference novita replicate together wavespeed",
    "token-classification": "hf-inference",
    "translation": "hf-inference",
    "video-classification": "hf-inference",
    "visual-question-answering": "hf-inference",
    "zero-shot-classification": "hf-inference",
    "zero-shot-image-classification": "hf-inference",
    "zero-shot-object-detection": "hf-inference",
}

NAMED = re.compile("|".join(sorted((re.escape(task) for task in OFFERS), key=len, reverse=True)))
"""A task in a model's name; the longest names are tried first."""

HINTS = (
    ("text-ranking", re.compile(r"rerank")),
    ("automatic-speech-recognition", re.compile(r"whisper|wav2vec|wizper")),
    ("text-to-speech", re.compile(r"kokoro|\btts\b|speech|dia-")),
    ("image-to-video", re.compile(r"i2v")),
    ("text-to-video", re.compile(r"t2v|video|mochi|\bwan\b|\bveo")),
    ("image-to-image", re.compile(r"kontext|\bedit\b|instruct-pix")),
    ("text-to-image", re.compile(r"flux|diffusion|sdxl|cogview|\blora\b")),
    ("feature-extraction", re.compile(r"embed|\be5\b|bge|minilm|sentence")),
    ("text-generation", re.compile(r"\bbase\b|gpt2")),
)


def task_of(model: str) -> str:
    """The task of a model: one that its name has in it, else what models of such names do, else chat."""
    name = model.lower()
    if found := NAMED.search(name):
        return found[0]
    return next((task for task, hint in HINTS if hint.search(name)), "conversational")


def providers(task: str) -> list[str]:
    return OFFERS[task].split()
