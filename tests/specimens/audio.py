"""Models that listen: Whisper, wav2vec 2.0, CLAP, Qwen2-Audio."""

import json
import tempfile
from pathlib import Path

import transformers as t
from tokenizers import processors

from tests.specimens import speakers, templates, vocabulary
from tests.specimens.configs import HIDDEN, SMALL, decoder, generation, rope
from tests.specimens.recipe import Made, recipe

TEMPLATE = templates.chatml(audio="<|audio_bos|><|AUDIO|><|audio_eos|>")
QUESTION = "Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\nTranscribe the audio."


@recipe("whisper", auto="AutoModelForSpeechSeq2Seq", feed="speech", dtype="float32")
def whisper() -> Made:
    """80 mel bins, 30 seconds, time stamps in the vocabulary."""
    languages = ["<|en|>", "<|zh|>", "<|de|>", "<|es|>", "<|fr|>"]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    backend = vocabulary.byte_level()
    backend.add_special_tokens(["<|endoftext|>", "<|startoftranscript|>", *languages, *tasks])
    backend.add_tokens(vocabulary.plain(*(f"<|{step * 0.02:.2f}|>" for step in range(1501))))
    ids = backend.token_to_id
    frame = ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{frame[0]} {frame[1]} $A {frame[2]}",
        pair=f"{frame[0]} {frame[1]} $A $B {frame[2]}",
        special_tokens=[(token, ids(token)) for token in frame],
    )
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    tokenizer = speakers.speaker(backend, "WhisperTokenizer", **special, model_max_length=448)
    end = ids("<|endoftext|>")
    marks = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    marks |= {"decoder_start_token_id": ids("<|startoftranscript|>"), "begin_suppress_tokens": [ids("Ġ"), end]}
    layers = {}
    for side in ("encoder", "decoder"):
        layers |= {f"{side}_layers": 2, f"{side}_attention_heads": 4, f"{side}_ffn_dim": 128}
    config = t.WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=HIDDEN,
        max_source_positions=1500,
        max_target_positions=448,
        **layers,
        **marks,
    )
    model = t.WhisperForConditionalGeneration(config)
    model.generation_config = t.GenerationConfig(
        **marks,
        suppress_tokens=[],
        no_timestamps_token_id=ids("<|notimestamps|>"),
        prev_sot_token_id=ids("<|startofprev|>"),
        lang_to_id={language: ids(language) for language in languages},
        task_to_id={"transcribe": ids("<|transcribe|>"), "translate": ids("<|translate|>")},
        alignment_heads=[[0, 0], [1, 1]],
        is_multilingual=True,
        return_timestamps=False,
        max_length=448,
    )
    ears = t.WhisperFeatureExtractor(feature_size=80)
    return Made(model=model, processors=(t.WhisperProcessor(feature_extractor=ears, tokenizer=tokenizer),))


@recipe("wav2vec2", auto="AutoModelForCTC", feed="speech", dtype="float32")
def wav2vec2() -> Made:
    """Raw waves to letters; `<pad>` is the blank."""
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vocab.json")
        file.write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
        tokenizer = t.Wav2Vec2CTCTokenizer(str(file), do_lower_case=False, return_attention_mask=False)
    config = t.Wav2Vec2Config(
        **SMALL,
        vocab_size=len(letters),
        conv_dim=[32] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    ears = t.Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16000, padding_value=0.0, do_normalize=True, return_attention_mask=False
    )
    processor = t.Wav2Vec2Processor(feature_extractor=ears, tokenizer=tokenizer)
    return Made(model=t.Wav2Vec2ForCTC(config), processors=(processor,))


@recipe("clap", auto="AutoModel", feed="listen", dtype="float32", prompt="A noisy train")
def clap() -> Made:
    """Sounds against texts at 48 kHz; Swin over spectrograms, RoBERTa."""
    tokenizer = speakers.roberta(positions=512)
    text = SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 514, "projection_dim": HIDDEN}
    audio = {"spec_size": 256, "num_mel_bins": 64, "patch_size": 4, "patch_stride": [4, 4], "window_size": 8}
    audio |= {"patch_embeds_hidden_size": 16, "hidden_size": 64, "depths": [1, 1, 1], "num_attention_heads": [2, 2, 4]}
    config = t.ClapConfig(
        text_config=text | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
        audio_config=audio | {"num_hidden_layers": 3, "projection_dim": HIDDEN, "enable_fusion": False},
        projection_dim=HIDDEN,
    )
    ears = t.ClapFeatureExtractor(
        feature_size=64, sampling_rate=48000, hop_length=480, max_length_s=10, fft_window_size=1024,
        frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip
    processor = t.ClapProcessor(feature_extractor=ears, tokenizer=tokenizer)
    return Made(model=t.ClapModel(config), processors=(processor,))


@recipe("qwen2_audio", auto="Qwen2AudioForConditionalGeneration", feed="listen", dtype="bfloat16", prompt=QUESTION)
def qwen2_audio() -> Made:
    """Whisper's encoder, pooled, in front of Qwen2."""
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    tokenizer = speakers.qwen(specials, positions=8192)
    text = decoder(tokenizer, "qwen2", bos_token_id=tokenizer.pad_token_id, max_position_embeddings=8192, **rope(1e4))
    ears = {"num_mel_bins": 128, "d_model": HIDDEN, "encoder_layers": 2, "encoder_attention_heads": 4}
    config = t.Qwen2AudioConfig(
        audio_config=ears | {"encoder_ffn_dim": 128, "max_source_positions": 1500, "model_type": "qwen2_audio_encoder"},
        text_config=text | {"tie_word_embeddings": False},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    processor = t.Qwen2AudioProcessor(
        feature_extractor=t.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
    )
    model = t.Qwen2AudioForConditionalGeneration(config)
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return Made(model=generation(model, tokenizer, eos=ends), processors=(processor,))
