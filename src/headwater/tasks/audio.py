"""The tasks about sound: their declarations, and what they answer with.

Nothing here decodes a sound: which formats a server reads is its business.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack

from msgspec import field

from ..media.images import from_text
from ..media.media import Media
from ..media.source import File
from ..protocol.events import JobEvent
from .declaration import CallOptions, Declare, task
from .lenient_types import NOT_SAID, Nullable, Unneeded
from .output import Output, Scored
from .parameters import GenerationParameters, Transform, source

AudioClassificationOutputTransform: TypeAlias = Transform
TextToSpeechEarlyStoppingEnum: TypeAlias = Literal["never"]

if TYPE_CHECKING:
    Blob: TypeAlias = Media
else:
    Blob = str  # base64, or a data URL; `__post_init__` makes it what it is


class AudioClassificationOutputElement(Scored):
    """A class of the sound, and its score."""


class AudioToAudioOutputElement(Output, kw_only=True):
    """One of the sounds that were made. `blob`: its bytes, with `.mime_type` and `.save(path)`."""

    label: Nullable[str] = NOT_SAID
    blob: Blob
    content_type: Unneeded[str] = field(name="content-type", default="")

    def __post_init__(self) -> None:
        if not isinstance(self.blob, Media):
            data = from_text(self.blob) if isinstance(self.blob, str) else self.blob
            self.blob = Media(data, self.content_type or None)


class AutomaticSpeechRecognitionOutputChunk(Output):
    """A piece of what was said. `timestamp`: its start and end in seconds, of which the last end may be None."""

    text: Unneeded[str] = ""
    timestamp: Unneeded[list[float | None]] = field(default_factory=lambda: [None, None])


class AutomaticSpeechRecognitionOutput(Output):
    """What was said; `chunks` where timestamps were asked for."""

    text: str
    chunks: list[AutomaticSpeechRecognitionOutputChunk] | None = None


_AUDIO = source("audio", images=False)


def _segments(heard: AutomaticSpeechRecognitionOutput) -> list[AutomaticSpeechRecognitionOutputChunk]:
    """The pieces of what was said; all of it as one, where no times were asked for."""
    whole = AutomaticSpeechRecognitionOutputChunk(text=heard.text, timestamp=[None, None])
    return heard.chunks or [whole]


@task("audio-classification", events=AudioClassificationOutputElement, check=_AUDIO)
def audio_classification(
    audio: File,
    *,
    model: str | None = None,
    top_k: int | None = None,
    function_to_apply: AudioClassificationOutputTransform | None = None,
    **options: Unpack[CallOptions],
) -> list[AudioClassificationOutputElement]:
    """Say what a sound is: a word, an emotion, an instrument.

    https://huggingface.co/docs/inference-providers/tasks/audio-classification

    Args:
        audio: The sound, in any format the server reads: bytes, binary file, path, http(s) URL or data URL.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        top_k: How many classes to give; the server's default is 5 or all.
        function_to_apply: What makes scores of the model's outputs: "sigmoid", "softmax" or "none".
        extra_body: More of the server's parameters, over those above.

    Returns:
        Classes with their scores, the likeliest first.
    """
    raise NotImplementedError


@Declare[AudioToAudioOutputElement | JobEvent]("audio-to-audio", _AUDIO)
def audio_to_audio(
    audio: File,
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[AudioToAudioOutputElement]:
    """Make sounds of a sound: separate its sources, or clean it of noise.

    https://huggingface.co/tasks/audio-to-audio

    Args:
        audio: The sound, in any format the server reads: bytes, binary file, path, http(s) URL or data URL.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        extra_body: More of the server's parameters.

    Returns:
        One element a sound: its `label`, and its bytes as `blob` with their `content_type`.
    """
    raise NotImplementedError


@Declare[AutomaticSpeechRecognitionOutputChunk | JobEvent]("automatic-speech-recognition", _AUDIO, _segments)
def automatic_speech_recognition(
    audio: File,
    *,
    model: str | None = None,
    return_timestamps: bool | Literal["word", "char"] | None = None,
    generation_parameters: GenerationParameters | None = None,
    **options: Unpack[CallOptions],
) -> AutomaticSpeechRecognitionOutput:
    """Write down what is said in a sound.

    https://huggingface.co/docs/inference-providers/tasks/automatic-speech-recognition

    Args:
        audio: The sound, in any format the server reads: bytes, binary file, path, http(s) URL or data URL.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        return_timestamps: Whether to say when each piece was said. Some servers also know "word" and "char",
            https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.AutomaticSpeechRecognitionPipeline
        generation_parameters: How to draw tokens, such as {"temperature": 0.2, "max_new_tokens": 100}.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The `text`; with timestamps also `chunks`, whose `timestamp` is [start, end] in seconds.
    """
    raise NotImplementedError


@Declare[AutomaticSpeechRecognitionOutputChunk]("audio-translation", _AUDIO, _segments)
def audio_translation(
    audio: File,
    *,
    model: str | None = None,
    prompt: str | None = None,
    temperature: float | None = None,
    return_timestamps: bool | None = None,
    **options: Unpack[CallOptions],
) -> AutomaticSpeechRecognitionOutput:
    """Write down in English what is said in a sound, in whichever language.

    https://platform.openai.com/docs/api-reference/audio/createTranslation

    Args:
        audio: The sound, in any format the server reads: bytes, binary file, path, http(s) URL or data URL.
        model: Whom to ask; the client's model where it is not given.
        prompt: An English text in whose style to go on, such as what was said before, with its names.
        temperature: How freely to choose words; 0 takes the likeliest.
        return_timestamps: Whether to say when each piece was said.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The `text`; with timestamps also `chunks`, whose `timestamp` is [start, end] in seconds.
    """
    raise NotImplementedError


@Declare[Media | JobEvent]("text-to-speech")
def text_to_speech(
    text: str,
    *,
    model: str | None = None,
    do_sample: bool | None = None,
    early_stopping: bool | TextToSpeechEarlyStoppingEnum | None = None,
    epsilon_cutoff: float | None = None,
    eta_cutoff: float | None = None,
    max_length: int | None = None,
    max_new_tokens: int | None = None,
    min_length: int | None = None,
    min_new_tokens: int | None = None,
    num_beam_groups: int | None = None,
    num_beams: int | None = None,
    penalty_alpha: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    typical_p: float | None = None,
    use_cache: bool | None = None,
    **options: Unpack[CallOptions],
) -> Media:
    """Read a text out.

    What is not set is not sent, so that the server's own defaults hold. The meanings are transformers':
    https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig

    Args:
        text: What to say.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        do_sample: Whether to draw tokens at random, by their probability.
        early_stopping: When a beam search stops: True as soon as there are `num_beams` candidates, False when
            better ones are unlikely, "never" when there can be none.
        epsilon_cutoff: Only tokens of at least this probability, 0 to 1.
        eta_cutoff: Only tokens above a bound that falls with the entropy, 0 to 1.
        max_length: The most tokens, the text's own among them.
        max_new_tokens: The most tokens to make; it goes before `max_length`.
        min_length: The fewest tokens, the text's own among them.
        min_new_tokens: The fewest tokens to make.
        num_beam_groups: Into how many groups the beams are divided, so that they differ.
        num_beams: How many beams to search with; 1 is no beam search.
        penalty_alpha: How much contrastive search punishes what repeats.
        temperature: 0 takes the likeliest token; the higher, the more random.
        top_k: Only the `top_k` likeliest tokens; 0: all.
        top_p: Only the likeliest tokens that together have this probability, 0 to 1.
        typical_p: Only tokens that are about as likely as is typical, 0 to 1.
        use_cache: Whether to keep the attention's keys and values, which is faster.
        extra_body: More of the server's parameters, over those above; such as a provider's own `voice`.

    Returns:
        The sound's bytes, in the server's format: `.mime_type` says which, `.save(path)` writes them.

    Raises:
        IncompleteStreamError: A stream stopped before its end; `partial` is the sound so far.
        DecodeError: The answer is not a sound.
    """
    raise NotImplementedError


@Declare[Media | JobEvent]("text-to-audio")
def text_to_audio(
    text: str,
    *,
    model: str | None = None,
    generation_parameters: GenerationParameters | None = None,
    **options: Unpack[CallOptions],
) -> Media:
    """Make music or a sound after a description.

    https://huggingface.co/docs/huggingface.js/inference/classes/InferenceClient#texttoaudio

    Args:
        text: What is to be heard.
        model: Whom to ask; the client's model where it is not given.
        generation_parameters: How to draw tokens, such as {"temperature": 0.2, "max_new_tokens": 100}.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The sound's bytes, in the server's format: `.mime_type` says which, `.save(path)` writes them.

    Raises:
        DecodeError: The answer is not a sound.
    """
    raise NotImplementedError
