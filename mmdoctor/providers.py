"""Which function makes which fact. Modules are imported when the first check asks for their fact."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmdoctor.facts.audio_tokens import AudioTokenCounts
from mmdoctor.facts.checkpoint import Checkpoint, Checksums, CompleteCheckpoint, ContentHashes, ShardIndex, ShardSet
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.hub_cache import HubCache
from mmdoctor.facts.image_tokens import AnyresGrids, ImagePrices, ImageTokenCounts, LargestImage, LlavaProcessor
from mmdoctor.facts.kv_cache import CacheGeometry
from mmdoctor.facts.library import NamedClasses
from mmdoctor.facts.machine import Accelerator, Libraries, Machine
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.facts.model import AudioModel, ModelConfig, MultimodalModel, SpecialTokenIds, TextModel, VisionModel
from mmdoctor.facts.parts import AttentionBlocks, Description, Embeddings, LayerStacks, Parts
from mmdoctor.facts.patches import PatchGeometry, VideoProcessor
from mmdoctor.facts.pickles import Pickles
from mmdoctor.facts.quantisation import Adapter, AdapterBase, PackedModules, QuantisationConfig
from mmdoctor.facts.reference import ReferenceFiles, ReferenceLayout
from mmdoctor.facts.remote_code import RemoteCode
from mmdoctor.facts.rope import RotaryEmbeddings
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.facts.sound import SoundPath
from mmdoctor.facts.templates import RenderedTemplate
from mmdoctor.facts.tokenizer import (
    AudioProcessor,
    ChatTemplates,
    Expectations,
    ImageProcessor,
    Processor,
    ProcessorFiles,
    Tokenizer,
    TokenizerFile,
    Truncation,
)
from mmdoctor.facts.video_tokens import VideoTokenCounts

Provider = Callable[..., Any]

_WHERE: dict[type, str] = {
    Checkpoint: "mmdoctor.readers.checkpoint:checkpoint",
    CompleteCheckpoint: "mmdoctor.readers.checkpoint:complete_checkpoint",
    ShardSet: "mmdoctor.readers.shard_set:shard_set",
    ShardIndex: "mmdoctor.readers.index:shard_index",
    HubCache: "mmdoctor.readers.hub_cache:hub_cache",
    AdapterBase: "mmdoctor.readers.adapter_base:adapter_base",
    ContentHashes: "mmdoctor.probes.content_hashes:content_hashes",
    Checksums: "mmdoctor.probes.checksums:checksums",
    Pickles: "mmdoctor.readers.pickle_files:pickles",
    RemoteCode: "mmdoctor.readers.remote_code:remote_code",
    Documents: "mmdoctor.readers.documents:documents",
    ModelConfig: "mmdoctor.readers.documents:model_config",
    TokenizerFile: "mmdoctor.readers.vocabulary:tokenizer_file",
    Tokenizer: "mmdoctor.readers.tokenizer:tokenizer",
    Truncation: "mmdoctor.readers.truncation:truncation",
    ImageProcessor: "mmdoctor.readers.processors:image_processor",
    AudioProcessor: "mmdoctor.readers.processors:audio_processor",
    VideoProcessor: "mmdoctor.readers.videos:video_processor",
    Processor: "mmdoctor.readers.processors:processor",
    ProcessorFiles: "mmdoctor.readers.processors:processor_files",
    ChatTemplates: "mmdoctor.readers.processors:chat_templates",
    Adapter: "mmdoctor.readers.adapters:adapter",
    QuantisationConfig: "mmdoctor.readers.adapters:quantisation_config",
    MultimodalModel: "mmdoctor.architectures:multimodal_model",
    TextModel: "mmdoctor.architectures:text_model",
    VisionModel: "mmdoctor.architectures:vision_model",
    AudioModel: "mmdoctor.architectures:audio_model",
    SpecialTokenIds: "mmdoctor.architectures:special_token_ids",
    ImageTokenCounts: "mmdoctor.architectures.image_tokens:image_token_counts",
    CacheGeometry: "mmdoctor.architectures.kv_cache:cache_geometry",
    VideoTokenCounts: "mmdoctor.architectures.video_tokens:video_token_counts",
    AudioTokenCounts: "mmdoctor.architectures.audio_tokens:audio_token_counts",
    AnyresGrids: "mmdoctor.architectures.image_tokens.anyres:anyres_grids",
    LargestImage: "mmdoctor.architectures.image_tokens.prices:largest_image",
    ImagePrices: "mmdoctor.architectures.image_tokens.prices:image_prices",
    PatchGeometry: "mmdoctor.architectures.patches:patch_geometry",
    LlavaProcessor: "mmdoctor.architectures.image_tokens.llava:llava_processor",
    RotaryEmbeddings: "mmdoctor.architectures.rope:rotary_embeddings",
    SoundPath: "mmdoctor.architectures.sound:sound_path",
    Parts: "mmdoctor.architectures.parts:parts",
    Description: "mmdoctor.architectures.describe:describe",
    LayerStacks: "mmdoctor.architectures.parts:layer_stacks",
    AttentionBlocks: "mmdoctor.architectures.attention:attention_blocks",
    Expectations: "mmdoctor.architectures.expectations:expectations",
    Embeddings: "mmdoctor.architectures.embeddings:embeddings",
    PackedModules: "mmdoctor.architectures.packed:packed_modules",
    Machine: "mmdoctor.probes.machine:machine",
    Accelerator: "mmdoctor.target:accelerator",
    Libraries: "mmdoctor.target:libraries",
    NamedClasses: "mmdoctor.probes.library_classes:named_classes",
    RenderedTemplate: "mmdoctor.probes.templates.rendering:rendered_template",
    WeightMemory: "mmdoctor.memory.weights:weight_memory",
    ReferenceLayout: "mmdoctor.reference.copies:reference_layout",
    ReferenceFiles: "mmdoctor.reference.copies:reference_files",
    SelfTest: "mmdoctor.probes.reference:self_test",
}


class Providers(Mapping[type, Provider]):
    """The built-in providers and those of plugins, imported on first use."""

    def __init__(self, extra: Mapping[type, Provider] | None = None) -> None:
        self._extra = dict(extra or {})

    def __getitem__(self, kind: type) -> Provider:
        if kind in self._extra:
            return self._extra[kind]
        module, _, name = _WHERE[kind].partition(":")
        provider: Provider = getattr(importlib.import_module(module), name)
        return provider

    def __iter__(self) -> Iterator[type]:
        return iter({**_WHERE, **self._extra})

    def __len__(self) -> int:
        return len({**_WHERE, **self._extra})
