"""headwater runs inference on servers: every task a stream of events, on asyncio, on trio, and from blocking code.

A flow is a provider's side of one call: a generator that yields steps and is resumed with what they gave, without
any I/O. The rooms, each importing only those above it:
    errors, protocol, auth          words: what goes wrong, flows and frames and URLs, keys
    responses, media                what an answer means; inputs and results that are images, sounds and videos
    tasks                           what can be asked: one declaration each
    providers, transport            who answers, as flows; the wire
    engine                          how a call runs: deadlines, retries, failover, cancellation
    telemetry                       the log and OpenTelemetry, which observe what the engine tells
    blocking, throttle, mapper      the bridge from blocking code; how much a provider may be sent; many calls at once
    conversation                    a chat in which the model calls tools
    endpoints                       machines of Hugging Face's that one user pays for: launched, waited for, given back
    client                          the two clients
    batch, mcp, emulator, cli, integrations    built on all of it (the emulator on nothing)
    testing                         a transport without a network, for tests of programs that use this
The public names are those of this page, of `headwater.batch`, `headwater.emulator`, `headwater.integrations`,
`headwater.telemetry` and `headwater.testing`; what lies in other modules may move. `headwater.errors` draws the tree
of errors.
Names are loaded when they are first used: importing this loads neither httpx, Pillow nor ssl.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .auth.secret import Secret as Secret
    from .blocking.run import Run as Run
    from .cache.store import Cache as Cache
    from .cache.store import CacheInfo as CacheInfo
    from .client.async_client import AsyncInferenceClient as AsyncInferenceClient
    from .client.chat_stream import AsyncChatCompletionStream as AsyncChatCompletionStream
    from .client.chat_stream import ChatCompletionStream as ChatCompletionStream
    from .client.chat_stream import ChatCompletionStreamEvent as ChatCompletionStreamEvent
    from .client.endpoints import AsyncEndpoint as AsyncEndpoint
    from .client.endpoints import AsyncEndpointLease as AsyncEndpointLease
    from .client.endpoints import AsyncEndpoints as AsyncEndpoints
    from .client.endpoints import Endpoint as Endpoint
    from .client.endpoints import SyncEndpoint as SyncEndpoint
    from .client.endpoints import SyncEndpointLease as SyncEndpointLease
    from .client.endpoints import SyncEndpoints as SyncEndpoints
    from .client.hf_endpoints import InferenceEndpoint as InferenceEndpoint
    from .client.hf_endpoints import InferenceEndpointScalingMetric as InferenceEndpointScalingMetric
    from .client.hf_endpoints import InferenceEndpointStatus as InferenceEndpointStatus
    from .client.hf_endpoints import InferenceEndpointType as InferenceEndpointType
    from .client.hf_endpoints import create_inference_endpoint as create_inference_endpoint
    from .client.hf_endpoints import create_inference_endpoint_from_catalog as create_inference_endpoint_from_catalog
    from .client.hf_endpoints import delete_inference_endpoint as delete_inference_endpoint
    from .client.hf_endpoints import get_inference_endpoint as get_inference_endpoint
    from .client.hf_endpoints import list_inference_catalog as list_inference_catalog
    from .client.hf_endpoints import list_inference_endpoints as list_inference_endpoints
    from .client.hf_endpoints import list_inference_endpoints_hardware as list_inference_endpoints_hardware
    from .client.hf_endpoints import pause_inference_endpoint as pause_inference_endpoint
    from .client.hf_endpoints import resume_inference_endpoint as resume_inference_endpoint
    from .client.hf_endpoints import scale_to_zero_inference_endpoint as scale_to_zero_inference_endpoint
    from .client.hf_endpoints import update_inference_endpoint as update_inference_endpoint
    from .client.hub import ModelInfo as ModelInfo
    from .client.hub import ModelList as ModelList
    from .client.hub import ModelStatus as ModelStatus
    from .client.legacy import InferenceApi as InferenceApi
    from .client.local_servers import async_local_servers as async_local_servers
    from .client.local_servers import local_servers as local_servers
    from .client.openai_types import CompletionChoice as CompletionChoice
    from .client.openai_types import CompletionOutput as CompletionOutput
    from .client.openai_types import CompletionUsage as CompletionUsage
    from .client.openai_types import GeneratedImage as GeneratedImage
    from .client.openai_types import ImagesResponse as ImagesResponse
    from .client.openai_types import ImagesUsage as ImagesUsage
    from .client.openai_types import SpeechOutput as SpeechOutput
    from .client.openai_types import TranscriptionSegment as TranscriptionSegment
    from .client.openai_types import TranscriptionVerbose as TranscriptionVerbose
    from .client.post import AsyncStreamedResponse as AsyncStreamedResponse
    from .client.post import Response as Response
    from .client.post import StreamedResponse as StreamedResponse
    from .client.raw_response import AsyncStreamedRawResponse as AsyncStreamedRawResponse
    from .client.raw_response import RawResponse as RawResponse
    from .client.raw_response import StreamedRawResponse as StreamedRawResponse
    from .client.responses import AsyncInputItems as AsyncInputItems
    from .client.responses import AsyncResponses as AsyncResponses
    from .client.responses import SyncInputItems as SyncInputItems
    from .client.responses import SyncResponses as SyncResponses
    from .client.route import Route as Route
    from .client.sync_client import InferenceClient as InferenceClient
    from .conversation.async_run import AsyncConversation as AsyncConversation
    from .conversation.async_run import AsyncParsedConversation as AsyncParsedConversation
    from .conversation.events import ConversationResult as ConversationResult
    from .conversation.events import ParsedConversationResult as ParsedConversationResult
    from .conversation.events import ToolCalled as ToolCalled
    from .conversation.events import ToolReturned as ToolReturned
    from .conversation.events import TurnEnded as TurnEnded
    from .conversation.state import ConversationState as ConversationState
    from .conversation.sync_run import Conversation as Conversation
    from .conversation.sync_run import ParsedConversation as ParsedConversation
    from .conversation.tool import Tool as Tool
    from .conversation.tool import tool as tool
    from .conversation.tool_answer import ToolContent as ToolContent
    from .cost.budget import Budget as Budget
    from .cost.price import Cost as Cost
    from .cost.price import Price as Price
    from .cost.usage import CountedTokens as CountedTokens
    from .endpoints.types import CatalogModel as CatalogModel
    from .endpoints.types import CatalogRecipe as CatalogRecipe
    from .endpoints.types import EndpointHardware as EndpointHardware
    from .endpoints.types import EndpointInfo as EndpointInfo
    from .engine.facts import Facts as Facts
    from .engine.facts import Timings as Timings
    from .engine.input_policy import InputPolicy as InputPolicy
    from .engine.run import AsyncRun as AsyncRun
    from .errors import AnswerTry as AnswerTry
    from .errors import APIConnectionError as APIConnectionError
    from .errors import APIError as APIError
    from .errors import APIResponseValidationError as APIResponseValidationError
    from .errors import APIStatusError as APIStatusError
    from .errors import APITimeoutError as APITimeoutError
    from .errors import Attempt as Attempt
    from .errors import AuthenticationError as AuthenticationError
    from .errors import BadRequestError as BadRequestError
    from .errors import BudgetExceededError as BudgetExceededError
    from .errors import CacheError as CacheError
    from .errors import CallError as CallError
    from .errors import ClosedError as ClosedError
    from .errors import ConflictError as ConflictError
    from .errors import ConnectError as ConnectError
    from .errors import ConnectionLostError as ConnectionLostError
    from .errors import ContentFilterFinishReasonError as ContentFilterFinishReasonError
    from .errors import ContentRefusedError as ContentRefusedError
    from .errors import ConversationBudgetError as ConversationBudgetError
    from .errors import ConversationLimitError as ConversationLimitError
    from .errors import DecodeError as DecodeError
    from .errors import EmptyAnswerError as EmptyAnswerError
    from .errors import ErrorRequest as ErrorRequest
    from .errors import ErrorResponse as ErrorResponse
    from .errors import ForkedClientError as ForkedClientError
    from .errors import GenerationError as GenerationError
    from .errors import HeadwaterError as HeadwaterError
    from .errors import HfHubHTTPError as HfHubHTTPError
    from .errors import IncompleteGenerationError as IncompleteGenerationError
    from .errors import IncompleteStreamError as IncompleteStreamError
    from .errors import InferenceEndpointError as InferenceEndpointError
    from .errors import InferenceEndpointTimeoutError as InferenceEndpointTimeoutError
    from .errors import InferenceTimeoutError as InferenceTimeoutError
    from .errors import InputError as InputError
    from .errors import InsecureCredentialError as InsecureCredentialError
    from .errors import InternalServerError as InternalServerError
    from .errors import InvalidAnswerError as InvalidAnswerError
    from .errors import InvalidCredentialError as InvalidCredentialError
    from .errors import InvalidParameterError as InvalidParameterError
    from .errors import InvalidRequestError as InvalidRequestError
    from .errors import JobFailedError as JobFailedError
    from .errors import LengthFinishReasonError as LengthFinishReasonError
    from .errors import MalformedEventError as MalformedEventError
    from .errors import MissingCredentialError as MissingCredentialError
    from .errors import MissingModelError as MissingModelError
    from .errors import ModelLoadingError as ModelLoadingError
    from .errors import NotFoundError as NotFoundError
    from .errors import OpenAIError as OpenAIError
    from .errors import OverloadedError as OverloadedError
    from .errors import PaymentRequiredError as PaymentRequiredError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import ProtocolError as ProtocolError
    from .errors import ProviderError as ProviderError
    from .errors import ProxyError as ProxyError
    from .errors import RateLimitError as RateLimitError
    from .errors import RedirectError as RedirectError
    from .errors import RefusedAnswerError as RefusedAnswerError
    from .errors import ResponseTooLargeError as ResponseTooLargeError
    from .errors import ServerError as ServerError
    from .errors import TextGenerationError as TextGenerationError
    from .errors import TLSError as TLSError
    from .errors import ToolError as ToolError
    from .errors import TransportError as TransportError
    from .errors import TruncatedAnswerError as TruncatedAnswerError
    from .errors import UnexpectedContentError as UnexpectedContentError
    from .errors import UnknownError as UnknownError
    from .errors import UnknownPriceError as UnknownPriceError
    from .errors import UnknownProviderError as UnknownProviderError
    from .errors import UnprocessableEntityError as UnprocessableEntityError
    from .errors import UnsupportedModelError as UnsupportedModelError
    from .errors import UnsupportedParameterError as UnsupportedParameterError
    from .errors import UnsupportedTaskError as UnsupportedTaskError
    from .errors import ValidationError as ValidationError
    from .mapper.results import MapResult as MapResult
    from .mcp.agent import Agent as Agent
    from .mcp.agent import MCPClient as MCPClient
    from .mcp.mcp_tools import McpTools as McpTools
    from .mcp.mcp_tools import mcp_tools as mcp_tools
    from .mcp.servers import McpServer as McpServer
    from .media.media import Media as Media
    from .protocol.events import EndpointState as EndpointState
    from .protocol.events import Job as Job
    from .protocol.events import JobEvent as JobEvent
    from .protocol.events import Loading as Loading
    from .protocol.events import Progress as Progress
    from .protocol.events import Queued as Queued
    from .protocol.events import Started as Started
    from .protocol.events import Submitted as Submitted
    from .protocol.events import Transferred as Transferred
    from .protocol.timeout import Timeout as Timeout
    from .providers.local_signs import LocalServer as LocalServer
    from .providers.model_offers import ModelOffer as ModelOffer
    from .providers.model_offers import OfferPricing as OfferPricing
    from .responses.quota import RateLimit as RateLimit
    from .responses.quota import RateLimits as RateLimits
    from .tasks.audio import AudioClassificationOutputElement as AudioClassificationOutputElement
    from .tasks.audio import AudioClassificationOutputTransform as AudioClassificationOutputTransform
    from .tasks.audio import AudioToAudioOutputElement as AudioToAudioOutputElement
    from .tasks.audio import AutomaticSpeechRecognitionOutput as AutomaticSpeechRecognitionOutput
    from .tasks.audio import AutomaticSpeechRecognitionOutputChunk as AutomaticSpeechRecognitionOutputChunk
    from .tasks.audio import TextToSpeechEarlyStoppingEnum as TextToSpeechEarlyStoppingEnum
    from .tasks.chat_input import ChatCompletionInputFunctionDefinition as ChatCompletionInputFunctionDefinition
    from .tasks.chat_input import ChatCompletionInputFunctionName as ChatCompletionInputFunctionName
    from .tasks.chat_input import ChatCompletionInputGrammarType as ChatCompletionInputGrammarType
    from .tasks.chat_input import ChatCompletionInputJSONSchema as ChatCompletionInputJSONSchema
    from .tasks.chat_input import ChatCompletionInputMessage as ChatCompletionInputMessage
    from .tasks.chat_input import ChatCompletionInputMessageChunk as ChatCompletionInputMessageChunk
    from .tasks.chat_input import (
        ChatCompletionInputResponseFormatJSONObject as ChatCompletionInputResponseFormatJSONObject,
    )
    from .tasks.chat_input import (
        ChatCompletionInputResponseFormatJSONSchema as ChatCompletionInputResponseFormatJSONSchema,
    )
    from .tasks.chat_input import ChatCompletionInputResponseFormatText as ChatCompletionInputResponseFormatText
    from .tasks.chat_input import ChatCompletionInputStreamOptions as ChatCompletionInputStreamOptions
    from .tasks.chat_input import ChatCompletionInputTool as ChatCompletionInputTool
    from .tasks.chat_input import ChatCompletionInputToolCall as ChatCompletionInputToolCall
    from .tasks.chat_input import ChatCompletionInputToolChoiceClass as ChatCompletionInputToolChoiceClass
    from .tasks.chat_input import ChatCompletionInputURL as ChatCompletionInputURL
    from .tasks.chat_items import chat_messages as chat_messages
    from .tasks.chat_items import response_input as response_input
    from .tasks.chat_types import ChatCompletionOutput as ChatCompletionOutput
    from .tasks.chat_types import ChatCompletionOutputComplete as ChatCompletionOutputComplete
    from .tasks.chat_types import ChatCompletionOutputFunctionDefinition as ChatCompletionOutputFunctionDefinition
    from .tasks.chat_types import ChatCompletionOutputLogprob as ChatCompletionOutputLogprob
    from .tasks.chat_types import ChatCompletionOutputLogprobs as ChatCompletionOutputLogprobs
    from .tasks.chat_types import ChatCompletionOutputMessage as ChatCompletionOutputMessage
    from .tasks.chat_types import ChatCompletionOutputToolCall as ChatCompletionOutputToolCall
    from .tasks.chat_types import ChatCompletionOutputTopLogprob as ChatCompletionOutputTopLogprob
    from .tasks.chat_types import ChatCompletionOutputUsage as ChatCompletionOutputUsage
    from .tasks.chat_types import ChatCompletionStreamOutput as ChatCompletionStreamOutput
    from .tasks.chat_types import ChatCompletionStreamOutputChoice as ChatCompletionStreamOutputChoice
    from .tasks.chat_types import ChatCompletionStreamOutputDelta as ChatCompletionStreamOutputDelta
    from .tasks.chat_types import ChatCompletionStreamOutputDeltaToolCall as ChatCompletionStreamOutputDeltaToolCall
    from .tasks.chat_types import ChatCompletionStreamOutputFunction as ChatCompletionStreamOutputFunction
    from .tasks.chat_types import ChatCompletionStreamOutputLogprob as ChatCompletionStreamOutputLogprob
    from .tasks.chat_types import ChatCompletionStreamOutputLogprobs as ChatCompletionStreamOutputLogprobs
    from .tasks.chat_types import ChatCompletionStreamOutputTopLogprob as ChatCompletionStreamOutputTopLogprob
    from .tasks.chat_types import ChatCompletionStreamOutputUsage as ChatCompletionStreamOutputUsage
    from .tasks.declaration import NOT_GIVEN as NOT_GIVEN
    from .tasks.declaration import NotGiven as NotGiven
    from .tasks.declaration import Omit as Omit
    from .tasks.declaration import not_given as not_given
    from .tasks.declaration import omit as omit
    from .tasks.embeddings import CreateEmbeddingResponse as CreateEmbeddingResponse
    from .tasks.embeddings import EmbeddingOutput as EmbeddingOutput
    from .tasks.embeddings import EmbeddingUsage as EmbeddingUsage
    from .tasks.image_generation import ImageStreamOutput as ImageStreamOutput
    from .tasks.image_generation import ImageTextToImageTargetSize as ImageTextToImageTargetSize
    from .tasks.image_generation import ImageToImageTargetSize as ImageToImageTargetSize
    from .tasks.language import FillMaskOutputElement as FillMaskOutputElement
    from .tasks.language import SummarizationOutput as SummarizationOutput
    from .tasks.language import SummarizationTruncationStrategy as SummarizationTruncationStrategy
    from .tasks.language import TextClassificationOutputElement as TextClassificationOutputElement
    from .tasks.language import TextClassificationOutputTransform as TextClassificationOutputTransform
    from .tasks.language import TokenClassificationAggregationStrategy as TokenClassificationAggregationStrategy
    from .tasks.language import TokenClassificationOutputElement as TokenClassificationOutputElement
    from .tasks.language import TranslationOutput as TranslationOutput
    from .tasks.language import TranslationTruncationStrategy as TranslationTruncationStrategy
    from .tasks.message_types import ContentBlock as ContentBlock
    from .tasks.message_types import Message as Message
    from .tasks.message_types import MessageDelta as MessageDelta
    from .tasks.message_types import MessageStreamEvent as MessageStreamEvent
    from .tasks.message_types import MessageTokensCount as MessageTokensCount
    from .tasks.message_types import MessageUsage as MessageUsage
    from .tasks.model_response import ModelResponse as ModelResponse
    from .tasks.model_response import ResponseCodeInterpreterCall as ResponseCodeInterpreterCall
    from .tasks.model_response import ResponseContentPart as ResponseContentPart
    from .tasks.model_response import ResponseCustomToolCall as ResponseCustomToolCall
    from .tasks.model_response import ResponseFileSearchCall as ResponseFileSearchCall
    from .tasks.model_response import ResponseFunctionToolCall as ResponseFunctionToolCall
    from .tasks.model_response import ResponseImageGenerationCall as ResponseImageGenerationCall
    from .tasks.model_response import ResponseItemList as ResponseItemList
    from .tasks.model_response import ResponseMcpApprovalRequest as ResponseMcpApprovalRequest
    from .tasks.model_response import ResponseMcpCall as ResponseMcpCall
    from .tasks.model_response import ResponseMcpListTools as ResponseMcpListTools
    from .tasks.model_response import ResponseOtherItem as ResponseOtherItem
    from .tasks.model_response import ResponseOutputItem as ResponseOutputItem
    from .tasks.model_response import ResponseOutputMessage as ResponseOutputMessage
    from .tasks.model_response import ResponseReasoningItem as ResponseReasoningItem
    from .tasks.model_response import ResponseUsage as ResponseUsage
    from .tasks.model_response import ResponseWebSearchCall as ResponseWebSearchCall
    from .tasks.moderation import Categories as Categories
    from .tasks.moderation import CreateModerationResponse as CreateModerationResponse
    from .tasks.moderation import ModerationOutput as ModerationOutput
    from .tasks.multimodal import DocumentQuestionAnsweringOutputElement as DocumentQuestionAnsweringOutputElement
    from .tasks.multimodal import VisualQuestionAnsweringOutputElement as VisualQuestionAnsweringOutputElement
    from .tasks.output import Output as Output
    from .tasks.output import json_default as json_default
    from .tasks.parameters import GenerationParameters as GenerationParameters
    from .tasks.parameters import TargetSize as TargetSize
    from .tasks.parsed_types import ParsedChatCompletion as ParsedChatCompletion
    from .tasks.parsed_types import ParsedChatCompletionMessage as ParsedChatCompletionMessage
    from .tasks.parsed_types import ParsedChoice as ParsedChoice
    from .tasks.parsed_types import ParsedMessage as ParsedMessage
    from .tasks.parsed_types import ParsedModelResponse as ParsedModelResponse
    from .tasks.parsed_types import ParsedText as ParsedText
    from .tasks.parsed_types import ParsedTextGeneration as ParsedTextGeneration
    from .tasks.passages import QuestionAnsweringOutputElement as QuestionAnsweringOutputElement
    from .tasks.passages import RerankOutput as RerankOutput
    from .tasks.passages import RerankOutputElement as RerankOutputElement
    from .tasks.passages import RerankUsage as RerankUsage
    from .tasks.response_events import ResponseAnnotationEvent as ResponseAnnotationEvent
    from .tasks.response_events import ResponseArgumentsDeltaEvent as ResponseArgumentsDeltaEvent
    from .tasks.response_events import ResponseArgumentsDoneEvent as ResponseArgumentsDoneEvent
    from .tasks.response_events import ResponseAudioEvent as ResponseAudioEvent
    from .tasks.response_events import ResponseCallStatusEvent as ResponseCallStatusEvent
    from .tasks.response_events import ResponseCodeDoneEvent as ResponseCodeDoneEvent
    from .tasks.response_events import ResponseContentPartEvent as ResponseContentPartEvent
    from .tasks.response_events import ResponseCustomToolInputDoneEvent as ResponseCustomToolInputDoneEvent
    from .tasks.response_events import ResponseOtherEvent as ResponseOtherEvent
    from .tasks.response_events import ResponseOutputItemEvent as ResponseOutputItemEvent
    from .tasks.response_events import ResponsePartialImageEvent as ResponsePartialImageEvent
    from .tasks.response_events import ResponseReasoningDeltaEvent as ResponseReasoningDeltaEvent
    from .tasks.response_events import ResponseReasoningDoneEvent as ResponseReasoningDoneEvent
    from .tasks.response_events import ResponseRefusalDeltaEvent as ResponseRefusalDeltaEvent
    from .tasks.response_events import ResponseRefusalDoneEvent as ResponseRefusalDoneEvent
    from .tasks.response_events import ResponseShellEvent as ResponseShellEvent
    from .tasks.response_events import ResponseStatusEvent as ResponseStatusEvent
    from .tasks.response_events import ResponseSteerEvent as ResponseSteerEvent
    from .tasks.response_events import ResponseStreamEvent as ResponseStreamEvent
    from .tasks.response_events import ResponseTextDeltaEvent as ResponseTextDeltaEvent
    from .tasks.response_events import ResponseTextDoneEvent as ResponseTextDoneEvent
    from .tasks.tabular import TableQuestionAnsweringOutputElement as TableQuestionAnsweringOutputElement
    from .tasks.text import TextGenerationInputGrammarType as TextGenerationInputGrammarType
    from .tasks.text import TextGenerationOutput as TextGenerationOutput
    from .tasks.text import TextGenerationOutputBestOfSequence as TextGenerationOutputBestOfSequence
    from .tasks.text import TextGenerationOutputDetails as TextGenerationOutputDetails
    from .tasks.text import TextGenerationOutputPrefillToken as TextGenerationOutputPrefillToken
    from .tasks.text import TextGenerationOutputToken as TextGenerationOutputToken
    from .tasks.text import TextGenerationStreamOutput as TextGenerationStreamOutput
    from .tasks.text import TextGenerationStreamOutputStreamDetails as TextGenerationStreamOutputStreamDetails
    from .tasks.video import ImageTextToVideoTargetSize as ImageTextToVideoTargetSize
    from .tasks.video import ImageToVideoTargetSize as ImageToVideoTargetSize
    from .tasks.video import VideoClassificationOutputElement as VideoClassificationOutputElement
    from .tasks.video import VideoClassificationOutputTransform as VideoClassificationOutputTransform
    from .tasks.vision import BoundingBox as BoundingBox
    from .tasks.vision import DepthEstimationOutput as DepthEstimationOutput
    from .tasks.vision import ImageClassificationOutputElement as ImageClassificationOutputElement
    from .tasks.vision import ImageClassificationOutputTransform as ImageClassificationOutputTransform
    from .tasks.vision import ImageSegmentationOutputElement as ImageSegmentationOutputElement
    from .tasks.vision import ImageSegmentationSubtask as ImageSegmentationSubtask
    from .tasks.vision import ImageToTextOutput as ImageToTextOutput
    from .tasks.vision import ObjectDetectionBoundingBox as ObjectDetectionBoundingBox
    from .tasks.vision import ObjectDetectionOutputElement as ObjectDetectionOutputElement
    from .tasks.vision import ZeroShotImageClassificationOutputElement as ZeroShotImageClassificationOutputElement
    from .tasks.vision import ZeroShotObjectDetectionBoundingBox as ZeroShotObjectDetectionBoundingBox
    from .tasks.vision import ZeroShotObjectDetectionOutputElement as ZeroShotObjectDetectionOutputElement
    from .tasks.zero_shot import ZeroShotClassificationOutputElement as ZeroShotClassificationOutputElement

__version__ = "0.1.0"
"""The one place where the version is written."""

_MODULES: dict[str, str] = {
    "auth.secret": "Secret",
    "blocking.run": "Run",
    "client.async_client": "AsyncInferenceClient",
    "client.endpoints": (
        "AsyncEndpoint AsyncEndpointLease AsyncEndpoints Endpoint SyncEndpoint SyncEndpointLease SyncEndpoints"
    ),
    "client.hf_endpoints": (
        "InferenceEndpoint InferenceEndpointScalingMetric InferenceEndpointStatus InferenceEndpointType "
        "create_inference_endpoint create_inference_endpoint_from_catalog delete_inference_endpoint "
        "get_inference_endpoint list_inference_catalog list_inference_endpoints list_inference_endpoints_hardware "
        "pause_inference_endpoint resume_inference_endpoint scale_to_zero_inference_endpoint update_inference_endpoint"
    ),
    "client.hub": "ModelInfo ModelList ModelStatus",
    "client.legacy": "InferenceApi",
    "client.local_servers": "async_local_servers local_servers",
    "client.chat_stream": "AsyncChatCompletionStream ChatCompletionStream ChatCompletionStreamEvent",
    "client.openai_types": (
        "CompletionChoice CompletionOutput CompletionUsage GeneratedImage ImagesResponse ImagesUsage SpeechOutput "
        "TranscriptionSegment TranscriptionVerbose"
    ),
    "client.post": "AsyncStreamedResponse Response StreamedResponse",
    "client.raw_response": "AsyncStreamedRawResponse RawResponse StreamedRawResponse",
    "client.responses": "AsyncInputItems AsyncResponses SyncInputItems SyncResponses",
    "client.route": "Route",
    "client.sync_client": "InferenceClient",
    "conversation.async_run": "AsyncConversation AsyncParsedConversation",
    "conversation.events": "ConversationResult ParsedConversationResult ToolCalled ToolReturned TurnEnded",
    "conversation.state": "ConversationState",
    "conversation.sync_run": "Conversation ParsedConversation",
    "conversation.tool": "Tool tool",
    "conversation.tool_answer": "ToolContent",
    "endpoints.types": "CatalogModel CatalogRecipe EndpointHardware EndpointInfo",
    "cache.store": "Cache CacheInfo",
    "cost.budget": "Budget",
    "cost.price": "Cost Price",
    "cost.usage": "CountedTokens",
    "engine.facts": "Facts Timings",
    "engine.input_policy": "InputPolicy",
    "engine.run": "AsyncRun",
    "errors": (
        "AnswerTry EmptyAnswerError InvalidAnswerError "
        "TruncatedAnswerError RefusedAnswerError LengthFinishReasonError ContentFilterFinishReasonError "
        "APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError Attempt "
        "AuthenticationError BadRequestError CallError ClosedError ConflictError ConnectError ConnectionLostError "
        "BudgetExceededError CacheError ConversationBudgetError UnknownPriceError "
        "ContentRefusedError ConversationLimitError DecodeError ErrorRequest ErrorResponse ForkedClientError "
        "GenerationError HeadwaterError HfHubHTTPError IncompleteGenerationError IncompleteStreamError "
        "InferenceEndpointError InferenceEndpointTimeoutError InferenceTimeoutError "
        "InputError InsecureCredentialError InternalServerError InvalidCredentialError InvalidParameterError "
        "InvalidRequestError JobFailedError MalformedEventError MissingCredentialError MissingModelError "
        "ModelLoadingError NotFoundError OpenAIError OverloadedError PaymentRequiredError PermissionDeniedError "
        "ProtocolError ProviderError ProxyError RateLimitError RedirectError ResponseTooLargeError ServerError "
        "TLSError TextGenerationError ToolError TransportError UnexpectedContentError UnknownError "
        "UnknownProviderError UnprocessableEntityError UnsupportedModelError UnsupportedParameterError "
        "UnsupportedTaskError ValidationError"
    ),
    "mapper.results": "MapResult",
    "mcp.agent": "Agent MCPClient",
    "mcp.mcp_tools": "McpTools mcp_tools",
    "mcp.servers": "McpServer",
    "media.media": "Media",
    "protocol.events": "EndpointState Job JobEvent Loading Progress Queued Started Submitted Transferred",
    "protocol.timeout": "Timeout",
    "providers.local_signs": "LocalServer",
    "providers.model_offers": "ModelOffer OfferPricing",
    "responses.quota": "RateLimit RateLimits",
    "tasks.audio": (
        "AudioClassificationOutputElement AudioClassificationOutputTransform AudioToAudioOutputElement "
        "AutomaticSpeechRecognitionOutput AutomaticSpeechRecognitionOutputChunk TextToSpeechEarlyStoppingEnum"
    ),
    "tasks.chat_input": (
        "ChatCompletionInputFunctionDefinition ChatCompletionInputFunctionName ChatCompletionInputGrammarType "
        "ChatCompletionInputJSONSchema ChatCompletionInputMessage ChatCompletionInputMessageChunk "
        "ChatCompletionInputResponseFormatJSONObject ChatCompletionInputResponseFormatJSONSchema "
        "ChatCompletionInputResponseFormatText ChatCompletionInputStreamOptions ChatCompletionInputTool "
        "ChatCompletionInputToolCall ChatCompletionInputToolChoiceClass ChatCompletionInputURL"
    ),
    "tasks.chat_types": (
        "ChatCompletionOutput ChatCompletionOutputComplete ChatCompletionOutputFunctionDefinition "
        "ChatCompletionOutputLogprob ChatCompletionOutputLogprobs ChatCompletionOutputMessage "
        "ChatCompletionOutputToolCall ChatCompletionOutputTopLogprob ChatCompletionOutputUsage "
        "ChatCompletionStreamOutput ChatCompletionStreamOutputChoice ChatCompletionStreamOutputDelta "
        "ChatCompletionStreamOutputDeltaToolCall ChatCompletionStreamOutputFunction ChatCompletionStreamOutputLogprob "
        "ChatCompletionStreamOutputLogprobs ChatCompletionStreamOutputTopLogprob ChatCompletionStreamOutputUsage"
    ),
    "tasks.declaration": "NOT_GIVEN NotGiven Omit not_given omit",
    "tasks.embeddings": "CreateEmbeddingResponse EmbeddingOutput EmbeddingUsage",
    "tasks.image_generation": "ImageStreamOutput ImageTextToImageTargetSize ImageToImageTargetSize",
    "tasks.language": (
        "FillMaskOutputElement SummarizationOutput SummarizationTruncationStrategy TextClassificationOutputElement "
        "TextClassificationOutputTransform TokenClassificationAggregationStrategy TokenClassificationOutputElement "
        "TranslationOutput TranslationTruncationStrategy"
    ),
    "tasks.moderation": "Categories CreateModerationResponse ModerationOutput",
    "tasks.model_response": (
        "ModelResponse ResponseCodeInterpreterCall ResponseContentPart ResponseCustomToolCall "
        "ResponseFileSearchCall ResponseFunctionToolCall ResponseImageGenerationCall ResponseItemList "
        "ResponseMcpApprovalRequest ResponseMcpCall ResponseMcpListTools ResponseOtherItem ResponseOutputItem "
        "ResponseOutputMessage ResponseReasoningItem ResponseUsage ResponseWebSearchCall"
    ),
    "tasks.message_types": ("ContentBlock Message MessageDelta MessageStreamEvent MessageTokensCount MessageUsage"),
    "tasks.chat_items": "chat_messages response_input",
    "tasks.multimodal": "DocumentQuestionAnsweringOutputElement VisualQuestionAnsweringOutputElement",
    "tasks.output": "Output json_default",
    "tasks.parameters": "GenerationParameters TargetSize",
    "tasks.parsed_types": (
        "ParsedChatCompletion ParsedChatCompletionMessage ParsedChoice ParsedMessage ParsedModelResponse ParsedText"
        " ParsedTextGeneration"
    ),
    "tasks.passages": "QuestionAnsweringOutputElement RerankOutput RerankOutputElement RerankUsage",
    "tasks.response_events": (
        "ResponseAnnotationEvent ResponseArgumentsDeltaEvent ResponseArgumentsDoneEvent ResponseAudioEvent "
        "ResponseCallStatusEvent ResponseCodeDoneEvent ResponseContentPartEvent ResponseCustomToolInputDoneEvent "
        "ResponseOtherEvent ResponseOutputItemEvent ResponsePartialImageEvent ResponseReasoningDeltaEvent "
        "ResponseReasoningDoneEvent ResponseRefusalDeltaEvent ResponseRefusalDoneEvent ResponseShellEvent "
        "ResponseStatusEvent ResponseSteerEvent ResponseStreamEvent ResponseTextDeltaEvent ResponseTextDoneEvent"
    ),
    "tasks.tabular": "TableQuestionAnsweringOutputElement",
    "tasks.text": (
        "TextGenerationInputGrammarType TextGenerationOutput TextGenerationOutputBestOfSequence "
        "TextGenerationOutputDetails TextGenerationOutputPrefillToken TextGenerationOutputToken "
        "TextGenerationStreamOutput TextGenerationStreamOutputStreamDetails"
    ),
    "tasks.video": (
        "ImageTextToVideoTargetSize ImageToVideoTargetSize VideoClassificationOutputElement "
        "VideoClassificationOutputTransform"
    ),
    "tasks.vision": (
        "BoundingBox DepthEstimationOutput ImageClassificationOutputElement ImageClassificationOutputTransform "
        "ImageSegmentationOutputElement ImageSegmentationSubtask ImageToTextOutput ObjectDetectionBoundingBox "
        "ObjectDetectionOutputElement ZeroShotImageClassificationOutputElement ZeroShotObjectDetectionBoundingBox "
        "ZeroShotObjectDetectionOutputElement"
    ),
    "tasks.zero_shot": "ZeroShotClassificationOutputElement",
}
__all__ = ["__version__", *" ".join(_MODULES.values()).split()]


def __getattr__(name: str) -> object:
    home = next((module for module, names in _MODULES.items() if name in names.split()), None)
    if home is None:
        raise AttributeError(f"module 'headwater' has no attribute {name!r}")
    value: object = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
