"""What every task's stream hands over, checked by mypy and pyright; nothing here is run.

Each annotation is the whole type: a stream that handed over more than it says would be an error.
"""

from __future__ import annotations

from typing import assert_type

import numpy
from numpy.typing import NDArray
from PIL.Image import Image

from headwater import (
    AsyncInferenceClient,
    AsyncRun,
    CreateEmbeddingResponse,
    ImageStreamOutput,
    InferenceClient,
    JobEvent,
    Media,
    Message,
    MessageStreamEvent,
    MessageTokensCount,
    Run,
)
from headwater.tasks import (
    audio,
    embeddings,
    language,
    moderation,
    multimodal,
    passages,
    tabular,
    video,
    vision,
    zero_shot,
)

ASKED = [{"role": "user", "content": "a"}]
SOUND, IMAGE, TABLE = b"RIFF", b"PNG", {"a": ["1"]}


def asynchronous(client: AsyncInferenceClient) -> None:
    assert_type(
        client.audio_classification.stream(SOUND),
        AsyncRun[audio.AudioClassificationOutputElement, list[audio.AudioClassificationOutputElement]],
    )
    assert_type(
        client.audio_to_audio.stream(SOUND),
        AsyncRun[audio.AudioToAudioOutputElement | JobEvent, list[audio.AudioToAudioOutputElement]],
    )
    assert_type(
        client.automatic_speech_recognition.stream(SOUND),
        AsyncRun[audio.AutomaticSpeechRecognitionOutputChunk | JobEvent, audio.AutomaticSpeechRecognitionOutput],
    )
    assert_type(client.text_to_audio.stream("a"), AsyncRun[Media | JobEvent, Media])
    assert_type(client.text_to_speech.stream("a"), AsyncRun[Media | JobEvent, Media])
    assert_type(
        client.depth_estimation.stream(IMAGE), AsyncRun[vision.DepthEstimationOutput, vision.DepthEstimationOutput]
    )
    assert_type(
        client.image_classification.stream(IMAGE),
        AsyncRun[vision.ImageClassificationOutputElement, list[vision.ImageClassificationOutputElement]],
    )
    assert_type(
        client.image_segmentation.stream(IMAGE),
        AsyncRun[vision.ImageSegmentationOutputElement | JobEvent, list[vision.ImageSegmentationOutputElement]],
    )
    assert_type(client.image_to_text.stream(IMAGE), AsyncRun[vision.ImageToTextOutput, vision.ImageToTextOutput])
    assert_type(
        client.object_detection.stream(IMAGE),
        AsyncRun[vision.ObjectDetectionOutputElement, list[vision.ObjectDetectionOutputElement]],
    )
    assert_type(client.image_text_to_image.stream(IMAGE), AsyncRun[Image | JobEvent, Image])
    assert_type(client.image_to_image.stream(IMAGE, seed=7), AsyncRun[Image | JobEvent, Image])
    assert_type(client.text_to_image.stream("a", target_size=8), AsyncRun[Image | ImageStreamOutput | JobEvent, Image])
    assert_type(client.edit_image.stream([IMAGE], "a"), AsyncRun[Image | ImageStreamOutput | JobEvent, Image])
    assert_type(
        client.audio_translation.stream(SOUND),
        AsyncRun[audio.AutomaticSpeechRecognitionOutputChunk, audio.AutomaticSpeechRecognitionOutput],
    )
    assert_type(client.image_text_to_video.stream(IMAGE), AsyncRun[Media | JobEvent, Media])
    assert_type(client.image_to_video.stream(IMAGE, fps=8), AsyncRun[Media | JobEvent, Media])
    assert_type(client.text_to_video.stream("a"), AsyncRun[Media | JobEvent, Media])
    assert_type(
        client.video_classification.stream(SOUND),
        AsyncRun[video.VideoClassificationOutputElement, list[video.VideoClassificationOutputElement]],
    )
    assert_type(
        client.fill_mask.stream("a"),
        AsyncRun[
            language.FillMaskOutputElement | list[language.FillMaskOutputElement],
            list[language.FillMaskOutputElement] | list[list[language.FillMaskOutputElement]],
        ],
    )
    assert_type(client.summarization.stream("a"), AsyncRun[language.SummarizationOutput, language.SummarizationOutput])
    assert_type(
        client.text_classification.stream("a"),
        AsyncRun[language.TextClassificationOutputElement, list[language.TextClassificationOutputElement]],
    )
    assert_type(
        client.token_classification.stream("a"),
        AsyncRun[language.TokenClassificationOutputElement, list[language.TokenClassificationOutputElement]],
    )
    assert_type(client.translation.stream("a"), AsyncRun[language.TranslationOutput, language.TranslationOutput])
    assert_type(
        client.question_answering.stream("a", "b"),
        AsyncRun[
            passages.QuestionAnsweringOutputElement,
            passages.QuestionAnsweringOutputElement | list[passages.QuestionAnsweringOutputElement],
        ],
    )
    assert_type(client.sentence_similarity.stream("a", ["b"]), AsyncRun[float, list[float]])
    assert_type(client.rerank.stream("a", ["b"]), AsyncRun[passages.RerankOutputElement, passages.RerankOutput])
    assert_type(
        client.moderations.create.stream("a"),
        AsyncRun[moderation.ModerationOutput, moderation.CreateModerationResponse],
    )
    assert_type(
        client.document_question_answering.stream(IMAGE, "a"),
        AsyncRun[
            multimodal.DocumentQuestionAnsweringOutputElement, list[multimodal.DocumentQuestionAnsweringOutputElement]
        ],
    )
    assert_type(
        client.visual_question_answering.stream(IMAGE, "a"),
        AsyncRun[
            multimodal.VisualQuestionAnsweringOutputElement, list[multimodal.VisualQuestionAnsweringOutputElement]
        ],
    )
    assert_type(
        client.table_question_answering.stream(TABLE, "a"),
        AsyncRun[tabular.TableQuestionAnsweringOutputElement, tabular.TableQuestionAnsweringOutputElement],
    )
    assert_type(client.tabular_classification.stream(TABLE), AsyncRun[str | int | float, list[str | int | float]])
    assert_type(client.tabular_regression.stream(TABLE), AsyncRun[float, list[float]])
    assert_type(
        client.zero_shot_classification.stream("a", ["b"]),
        AsyncRun[zero_shot.ZeroShotClassificationOutputElement, list[zero_shot.ZeroShotClassificationOutputElement]],
    )
    assert_type(
        client.zero_shot_image_classification.stream(IMAGE, ["a", "b"]),
        AsyncRun[
            vision.ZeroShotImageClassificationOutputElement, list[vision.ZeroShotImageClassificationOutputElement]
        ],
    )
    assert_type(
        client.zero_shot_object_detection.stream(IMAGE, ["a"]),
        AsyncRun[vision.ZeroShotObjectDetectionOutputElement, list[vision.ZeroShotObjectDetectionOutputElement]],
    )
    assert_type(client.feature_extraction.stream("a"), AsyncRun[NDArray[numpy.float32], NDArray[numpy.float32]])
    assert_type(client.create_embedding.stream("a"), AsyncRun[embeddings.EmbeddingOutput, CreateEmbeddingResponse])
    assert_type(client.create_message.stream(ASKED, max_tokens=9), AsyncRun[MessageStreamEvent, Message])
    assert_type(client.messages.stream(ASKED, max_tokens=9), AsyncRun[MessageStreamEvent, Message])
    assert_type(client.count_message_tokens.stream(ASKED), AsyncRun[MessageTokensCount, MessageTokensCount])


def blocking(client: InferenceClient) -> None:
    assert_type(
        client.audio_classification.stream(SOUND),
        Run[audio.AudioClassificationOutputElement, list[audio.AudioClassificationOutputElement]],
    )
    assert_type(
        client.audio_to_audio.stream(SOUND),
        Run[audio.AudioToAudioOutputElement | JobEvent, list[audio.AudioToAudioOutputElement]],
    )
    assert_type(
        client.automatic_speech_recognition.stream(SOUND),
        Run[audio.AutomaticSpeechRecognitionOutputChunk | JobEvent, audio.AutomaticSpeechRecognitionOutput],
    )
    assert_type(client.text_to_audio.stream("a"), Run[Media | JobEvent, Media])
    assert_type(client.text_to_speech.stream("a"), Run[Media | JobEvent, Media])
    assert_type(client.depth_estimation.stream(IMAGE), Run[vision.DepthEstimationOutput, vision.DepthEstimationOutput])
    assert_type(
        client.image_classification.stream(IMAGE),
        Run[vision.ImageClassificationOutputElement, list[vision.ImageClassificationOutputElement]],
    )
    assert_type(
        client.image_segmentation.stream(IMAGE),
        Run[vision.ImageSegmentationOutputElement | JobEvent, list[vision.ImageSegmentationOutputElement]],
    )
    assert_type(client.image_to_text.stream(IMAGE), Run[vision.ImageToTextOutput, vision.ImageToTextOutput])
    assert_type(
        client.object_detection.stream(IMAGE),
        Run[vision.ObjectDetectionOutputElement, list[vision.ObjectDetectionOutputElement]],
    )
    assert_type(client.image_text_to_image.stream(IMAGE), Run[Image | JobEvent, Image])
    assert_type(client.image_to_image.stream(IMAGE, seed=7), Run[Image | JobEvent, Image])
    assert_type(client.text_to_image.stream("a", target_size=8), Run[Image | ImageStreamOutput | JobEvent, Image])
    assert_type(client.edit_image.stream([IMAGE], "a"), Run[Image | ImageStreamOutput | JobEvent, Image])
    assert_type(
        client.audio_translation.stream(SOUND),
        Run[audio.AutomaticSpeechRecognitionOutputChunk, audio.AutomaticSpeechRecognitionOutput],
    )
    assert_type(client.image_text_to_video.stream(IMAGE), Run[Media | JobEvent, Media])
    assert_type(client.image_to_video.stream(IMAGE, fps=8), Run[Media | JobEvent, Media])
    assert_type(client.text_to_video.stream("a"), Run[Media | JobEvent, Media])
    assert_type(
        client.video_classification.stream(SOUND),
        Run[video.VideoClassificationOutputElement, list[video.VideoClassificationOutputElement]],
    )
    assert_type(
        client.fill_mask.stream("a"),
        Run[
            language.FillMaskOutputElement | list[language.FillMaskOutputElement],
            list[language.FillMaskOutputElement] | list[list[language.FillMaskOutputElement]],
        ],
    )
    assert_type(client.summarization.stream("a"), Run[language.SummarizationOutput, language.SummarizationOutput])
    assert_type(
        client.text_classification.stream("a"),
        Run[language.TextClassificationOutputElement, list[language.TextClassificationOutputElement]],
    )
    assert_type(
        client.token_classification.stream("a"),
        Run[language.TokenClassificationOutputElement, list[language.TokenClassificationOutputElement]],
    )
    assert_type(client.translation.stream("a"), Run[language.TranslationOutput, language.TranslationOutput])
    assert_type(
        client.question_answering.stream("a", "b"),
        Run[
            passages.QuestionAnsweringOutputElement,
            passages.QuestionAnsweringOutputElement | list[passages.QuestionAnsweringOutputElement],
        ],
    )
    assert_type(client.sentence_similarity.stream("a", ["b"]), Run[float, list[float]])
    assert_type(client.rerank.stream("a", ["b"]), Run[passages.RerankOutputElement, passages.RerankOutput])
    assert_type(
        client.moderations.create.stream("a"),
        Run[moderation.ModerationOutput, moderation.CreateModerationResponse],
    )
    assert_type(
        client.document_question_answering.stream(IMAGE, "a"),
        Run[multimodal.DocumentQuestionAnsweringOutputElement, list[multimodal.DocumentQuestionAnsweringOutputElement]],
    )
    assert_type(
        client.visual_question_answering.stream(IMAGE, "a"),
        Run[multimodal.VisualQuestionAnsweringOutputElement, list[multimodal.VisualQuestionAnsweringOutputElement]],
    )
    assert_type(
        client.table_question_answering.stream(TABLE, "a"),
        Run[tabular.TableQuestionAnsweringOutputElement, tabular.TableQuestionAnsweringOutputElement],
    )
    assert_type(client.tabular_classification.stream(TABLE), Run[str | int | float, list[str | int | float]])
    assert_type(client.tabular_regression.stream(TABLE), Run[float, list[float]])
    assert_type(
        client.zero_shot_classification.stream("a", ["b"]),
        Run[zero_shot.ZeroShotClassificationOutputElement, list[zero_shot.ZeroShotClassificationOutputElement]],
    )
    assert_type(
        client.zero_shot_image_classification.stream(IMAGE, ["a", "b"]),
        Run[vision.ZeroShotImageClassificationOutputElement, list[vision.ZeroShotImageClassificationOutputElement]],
    )
    assert_type(
        client.zero_shot_object_detection.stream(IMAGE, ["a"]),
        Run[vision.ZeroShotObjectDetectionOutputElement, list[vision.ZeroShotObjectDetectionOutputElement]],
    )
    assert_type(client.feature_extraction.stream("a"), Run[NDArray[numpy.float32], NDArray[numpy.float32]])
    assert_type(client.create_embedding.stream("a"), Run[embeddings.EmbeddingOutput, CreateEmbeddingResponse])
    assert_type(client.create_message.stream(ASKED, max_tokens=9), Run[MessageStreamEvent, Message])
    assert_type(client.messages.stream(ASKED, max_tokens=9), Run[MessageStreamEvent, Message])
    assert_type(client.count_message_tokens.stream(ASKED), Run[MessageTokensCount, MessageTokensCount])
