"""The calls that both clients make: for each task its arguments, few and many. Data."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def _picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "white").save(file, kind)
    return file.getvalue()


PNG, JPEG = _picture("PNG"), _picture("JPEG")
FLAC, MP4 = b"fLaC" + bytes(60), b"\x00\x00\x00\x18ftypisom" + bytes(60)
LINK = "https://files.example/in.png"
SIZE = {"width": 64, "height": 32}
TABLE = {"Name": ["a", "b"], "Stars": ["1", "2"]}
SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
SEEN = [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": LINK}}]}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
DRAWN = {"negative_prompt": "dogs", "num_inference_steps": 4, "guidance_scale": 2.5}

CALLS: dict[str, list[dict[str, Any]]] = {
    "audio-classification": [{"audio": FLAC}, {"audio": FLAC, "top_k": 2, "function_to_apply": "sigmoid"}],
    "audio-to-audio": [{"audio": FLAC}],
    "automatic-speech-recognition": [{"audio": FLAC}, {"audio": FLAC, "extra_body": {"return_timestamps": True}}],
    "chat-completion": [
        {"messages": SAID},
        {"messages": SAID, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": SEEN, "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 1, "stop": ["x"], "n": 1},
        {"messages": SAID, "frequency_penalty": 0.5, "presence_penalty": 0.5, "logprobs": True, "top_logprobs": 2},
        {"messages": SAID, "tools": [TOOL], "tool_choice": "auto"},
        {"messages": SAID, "response_format": FORMAT},
        {"messages": SAID, "response_format": {"type": "json_object"}, "extra_body": {"reasoning_effort": "low"}},
    ],
    "document-question-answering": [
        {"image": PNG, "question": "?"},
        {"image": PNG, "question": "?", "top_k": 2, "lang": "en", "max_answer_len": 9, "word_boxes": ["a"]},
    ],
    "feature-extraction": [
        {"text": "Hi"},
        {"text": ["Hi", "Ho"]},
        {"text": "Hi", "normalize": True, "prompt_name": "q", "truncate": True, "truncation_direction": "right"},
        {"text": "Hi", "dimensions": 2, "encoding_format": "float"},
    ],
    "fill-mask": [{"text": "a [MASK]"}, {"text": "a [MASK]", "targets": ["b"], "top_k": 1}],
    "image-classification": [{"image": PNG}, {"image": JPEG, "top_k": 1, "function_to_apply": "softmax"}],
    "image-segmentation": [{"image": PNG}, {"image": PNG, "subtask": "panoptic", "threshold": 0.5}],
    "image-to-image": [
        {"image": PNG},
        {"image": PNG, "prompt": "p", **DRAWN},
        {"image": PNG, "prompt": "p", "target_size": SIZE},
        {"image": LINK, "prompt": "p"},
    ],
    "image-to-text": [{"image": PNG}],
    "image-to-video": [
        {"image": PNG},
        {"image": PNG, "prompt": "p", "seed": 1, "num_frames": 9.0, **DRAWN},
        {"image": PNG, "target_size": SIZE},
        {"image": LINK, "prompt": "p"},
    ],
    "object-detection": [{"image": PNG}, {"image": PNG, "threshold": 0.5}],
    "question-answering": [
        {"question": "?", "context": "c"},
        {"question": "?", "context": "c", "top_k": 1, "align_to_words": True, "doc_stride": 5},
    ],
    "sentence-similarity": [{"sentence": "a", "other_sentences": ["b", "c"]}],
    "summarization": [
        {"text": "t"},
        {"text": "t", "clean_up_tokenization_spaces": True, "truncation": "only_first"},
        {"text": "t", "generate_parameters": {"max_length": 9}},
    ],
    "table-question-answering": [
        {"table": TABLE, "query": "?"},
        {"table": TABLE, "query": "?", "padding": "longest", "sequential": True, "truncation": True},
    ],
    "tabular-classification": [{"table": TABLE}],
    "text-classification": [{"text": "t"}, {"text": "t", "top_k": 2, "function_to_apply": "none"}],
    "text-generation": [
        {"prompt": "Hi"},
        {"prompt": "Hi", "max_new_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 1, "stop": ["x"]},
        {"prompt": "Hi", "details": True, "do_sample": True, "top_k": 3, "repetition_penalty": 1.1},
        {"prompt": "Hi", "stream": True},
    ],
    "text-to-image": [
        {"prompt": "p"},
        {"prompt": "p", **SIZE, "seed": 1},
        {"prompt": "p", **DRAWN},
        {"prompt": "p", "extra_body": {"quality": "hd"}},
    ],
    "text-to-speech": [
        {"text": "Hi"},
        {"text": "Hi", "extra_body": {"voice": "v"}},
        {"text": "Hi", "do_sample": True, "temperature": 0.5, "max_new_tokens": 9},
    ],
    "text-to-video": [
        {"prompt": "p"},
        {"prompt": "p", "guidance_scale": 2.5, "num_frames": 9.0, "num_inference_steps": 4, "seed": 1},
        {"prompt": "p", "negative_prompt": ["a", "b"]},
    ],
    "token-classification": [{"text": "t"}, {"text": "t", "aggregation_strategy": "simple", "ignore_labels": ["O"]}],
    "translation": [
        {"text": "t"},
        {"text": "t", "src_lang": "en", "tgt_lang": "fr", "truncation": "only_first"},
        {"text": "t", "generate_parameters": {"num_beams": 2}},
    ],
    "visual-question-answering": [{"image": PNG, "question": "?"}, {"image": PNG, "question": "?", "top_k": 2}],
    "zero-shot-classification": [
        {"text": "t", "candidate_labels": ["a", "b"]},
        {"text": "t", "candidate_labels": ["a", "b"], "multi_label": True, "hypothesis_template": "{}!"},
    ],
    "zero-shot-image-classification": [
        {"image": PNG, "candidate_labels": ["a", "b"]},
        {"image": PNG, "candidate_labels": ["a", "b"], "hypothesis_template": "{}!"},
    ],
}
