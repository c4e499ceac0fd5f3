"""The tasks, one row each, as both clients have them, and what is read from a row by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..tasks import (
    audio,
    chat,
    embeddings,
    image_generation,
    language,
    messages,
    moderation,
    multimodal,
    passages,
    responses,
    tabular,
    text,
    video,
    vision,
    zero_shot,
)
from .bound_task import Task
from .overloads import ChatTask, MessageTask, ResponseTask, TextTask


class Tasks:
    """Every declared task."""

    asynchronous: ClassVar[bool]

    chat_completion = ChatTask(chat.chat_completion)
    """Answer a conversation.

    `messages`: the conversation, oldest first, dicts with "role" and "content"; an answer's `message` may be put in as
    it is. `stream=True` hands the answer over in chunks. The other parameters are OpenAI's, and go to the server as
    they are: https://platform.openai.com/docs/api-reference/chat/create

    Returns a `ChatCompletionOutput`: its text is `choices[0].message.content`. `help(client.chat_completion)` has every
    parameter, and what is raised.
    """
    text_generation = TextTask(text.text_generation)
    """Go on with a text.

    `prompt`: the text. `details=True` gives its tokens as well, `stream=True` hands them over as they come. The other
    parameters are text-generation-inference's: https://huggingface.github.io/text-generation-inference/

    Returns the text, or with `details` a `TextGenerationOutput`. `help(client.text_generation)` has every parameter,
    and what is raised.
    """
    create_response = ResponseTask(responses.create_response)
    """Answer an input, by OpenAI's Responses API.

    `client.responses` has it as `create`. `input`: a text, or a list of items; the items of a response's `output` may
    be put in as they are. `stream=True` hands the response over in events. The other parameters are OpenAI's, and go to
    the server as they are: https://platform.openai.com/docs/api-reference/responses/create

    Returns a `ModelResponse`: its text is `output_text`. `help(client.create_response)` has every parameter, and what
    is raised.
    """
    feature_extraction = Task(embeddings.feature_extraction)
    create_embedding = Task(embeddings.create_embedding)
    create_message = MessageTask(messages.create_message)
    count_message_tokens = Task(messages.count_message_tokens)
    create_moderation = Task(moderation.create_moderation)

    audio_classification = Task(audio.audio_classification)
    audio_to_audio = Task(audio.audio_to_audio)
    audio_translation = Task(audio.audio_translation)
    automatic_speech_recognition = Task(audio.automatic_speech_recognition)
    text_to_audio = Task(audio.text_to_audio)
    text_to_speech = Task(audio.text_to_speech)

    depth_estimation = Task(vision.depth_estimation)
    image_classification = Task(vision.image_classification)
    image_segmentation = Task(vision.image_segmentation)
    image_to_text = Task(vision.image_to_text)
    object_detection = Task(vision.object_detection)

    edit_image = Task(image_generation.edit_image)
    image_text_to_image = Task(image_generation.image_text_to_image)
    image_to_image = Task(image_generation.image_to_image)
    text_to_image = Task(image_generation.text_to_image)

    image_text_to_video = Task(video.image_text_to_video)
    image_to_video = Task(video.image_to_video)
    text_to_video = Task(video.text_to_video)
    video_classification = Task(video.video_classification)

    fill_mask = Task(language.fill_mask)
    summarization = Task(language.summarization)
    text_classification = Task(language.text_classification)
    token_classification = Task(language.token_classification)
    translation = Task(language.translation)

    question_answering = Task(passages.question_answering)
    rerank = Task(passages.rerank)
    sentence_similarity = Task(passages.sentence_similarity)
    document_question_answering = Task(multimodal.document_question_answering)
    visual_question_answering = Task(multimodal.visual_question_answering)

    table_question_answering = Task(tabular.table_question_answering)
    tabular_classification = Task(tabular.tabular_classification)
    tabular_regression = Task(tabular.tabular_regression)

    zero_shot_classification = Task(zero_shot.zero_shot_classification)
    zero_shot_image_classification = Task(zero_shot.zero_shot_image_classification)
    zero_shot_object_detection = Task(zero_shot.zero_shot_object_detection)


def elements_reader(task: str) -> Callable[[Any], list[Any]] | None:
    """What a stream of this task, by its name on the Hub, hands over of a result that came in one."""
    rows = (row.declaration for row in vars(Tasks).values() if isinstance(row, Task))
    return next((declaration.elements for declaration in rows if declaration.name == task), None)
