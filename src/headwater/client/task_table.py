"""The tasks, one row each, as both clients have them, and what is read from a row by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..protocol.lazy import lazy_modules
from .bound_task import Task
from .chat_task import ChatTask

if TYPE_CHECKING:
    from ..tasks import (  # noqa: TC004 - loaded when it is used, below
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
    from .overloads import MessageTask, ResponseTask, TextTask
else:
    globals().update(
        lazy_modules(
            "headwater.tasks",
            "audio chat embeddings image_generation language messages moderation multimodal passages "
            "responses tabular text video vision zero_shot",
        )
    )
    TextTask = ResponseTask = MessageTask = Task


class Tasks:
    """Every declared task."""

    asynchronous: ClassVar[bool]

    chat_completion = ChatTask(lambda: chat.chat_completion)
    """Answer a conversation.

    `messages`: the conversation, oldest first, dicts with "role" and "content"; an answer's `message` may be put in as
    it is. `stream=True` hands the answer over in chunks. The other parameters are OpenAI's, and go to the server as
    they are: https://platform.openai.com/docs/api-reference/chat/create

    Returns a `ChatCompletionOutput`: its text is `choices[0].message.content`. `help(client.chat_completion)` has every
    parameter, and what is raised.
    """
    text_generation = TextTask(lambda: text.text_generation)
    """Go on with a text.

    `prompt`: the text. `details=True` gives its tokens as well, `stream=True` hands them over as they come. The other
    parameters are text-generation-inference's: https://huggingface.github.io/text-generation-inference/

    Returns the text, or with `details` a `TextGenerationOutput`. `help(client.text_generation)` has every parameter,
    and what is raised.
    """
    create_response = ResponseTask(lambda: responses.create_response)
    """Answer an input, by OpenAI's Responses API.

    `client.responses` has it as `create`. `input`: a text, or a list of items; the items of a response's `output` may
    be put in as they are. `stream=True` hands the response over in events. The other parameters are OpenAI's, and go to
    the server as they are: https://platform.openai.com/docs/api-reference/responses/create

    Returns a `ModelResponse`: its text is `output_text`. `help(client.create_response)` has every parameter, and what
    is raised.
    """
    feature_extraction = Task(lambda: embeddings.feature_extraction)
    create_embedding = Task(lambda: embeddings.create_embedding)
    create_message = MessageTask(lambda: messages.create_message)
    count_message_tokens = Task(lambda: messages.count_message_tokens)
    create_moderation = Task(lambda: moderation.create_moderation)

    audio_classification = Task(lambda: audio.audio_classification)
    audio_to_audio = Task(lambda: audio.audio_to_audio)
    audio_translation = Task(lambda: audio.audio_translation)
    automatic_speech_recognition = Task(lambda: audio.automatic_speech_recognition)
    text_to_audio = Task(lambda: audio.text_to_audio)
    text_to_speech = Task(lambda: audio.text_to_speech)

    depth_estimation = Task(lambda: vision.depth_estimation)
    image_classification = Task(lambda: vision.image_classification)
    image_segmentation = Task(lambda: vision.image_segmentation)
    image_to_text = Task(lambda: vision.image_to_text)
    object_detection = Task(lambda: vision.object_detection)

    edit_image = Task(lambda: image_generation.edit_image)
    image_text_to_image = Task(lambda: image_generation.image_text_to_image)
    image_to_image = Task(lambda: image_generation.image_to_image)
    text_to_image = Task(lambda: image_generation.text_to_image)

    image_text_to_video = Task(lambda: video.image_text_to_video)
    image_to_video = Task(lambda: video.image_to_video)
    text_to_video = Task(lambda: video.text_to_video)
    video_classification = Task(lambda: video.video_classification)

    fill_mask = Task(lambda: language.fill_mask)
    summarization = Task(lambda: language.summarization)
    text_classification = Task(lambda: language.text_classification)
    token_classification = Task(lambda: language.token_classification)
    translation = Task(lambda: language.translation)

    question_answering = Task(lambda: passages.question_answering)
    rerank = Task(lambda: passages.rerank)
    sentence_similarity = Task(lambda: passages.sentence_similarity)
    document_question_answering = Task(lambda: multimodal.document_question_answering)
    visual_question_answering = Task(lambda: multimodal.visual_question_answering)

    table_question_answering = Task(lambda: tabular.table_question_answering)
    tabular_classification = Task(lambda: tabular.tabular_classification)
    tabular_regression = Task(lambda: tabular.tabular_regression)

    zero_shot_classification = Task(lambda: zero_shot.zero_shot_classification)
    zero_shot_image_classification = Task(lambda: zero_shot.zero_shot_image_classification)
    zero_shot_object_detection = Task(lambda: zero_shot.zero_shot_object_detection)


def elements_reader(task: str) -> Callable[[Any], list[Any]] | None:
    """What a stream of this task, by its name on the Hub, hands over of a result that came in one."""
    rows = (row.declaration for row in vars(Tasks).values() if isinstance(row, Task))
    return next((declaration.elements for declaration in rows if declaration.name == task), None)
