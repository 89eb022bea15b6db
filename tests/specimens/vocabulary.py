"""Small tokenizers of every kind, the same on every machine.

The trainers of `tokenizers` break ties at random, so the vocabularies are learned here, in plain Python.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

MERGES = 300

ADJECTIVES = ("red", "small", "happy", "old", "blue", "noisy")
NOUNS = ("dog", "cat", "train", "bicycle", "child", "lighthouse")
VERBS = ("runs past", "looks at", "sits beside", "stands behind")
PLACES = ("the river", "a wooden table", "the station", "two people in a park")
SENTENCES = (
    "Describe this image in detail.",
    "What is shown in the picture? What does it say?",
    "USER: Who are you? ASSISTANT: I am a helpful assistant.",
    "How many people are there, and what are they doing?",
    "Transcribe the audio. Question: what is this? Answer:",
    "user assistant system model human",
    "The quick brown fox jumps over the lazy dog 0123456789 times; nobody knows why!",
)


def lines() -> Iterable[str]:
    """The text that all vocabularies are learned from."""
    for adjective, noun, verb, place in itertools.product(ADJECTIVES, NOUNS, VERBS, PLACES):
        yield f"A {adjective} {noun} {verb} {place}."
    yield from SENTENCES * 20


def learn(words: Counter[str], suffix: str = "") -> list[tuple[str, str]]:
    """Byte pair merges of `words`, most frequent first, ties in alphabetical order."""
    split = {(*word[:-1], word[-1] + suffix): count for word, count in words.items()}
    merges: list[tuple[str, str]] = []
    while len(merges) < MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for symbols, count in split.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = {_merged(symbols, best): count for symbols, count in split.items()}
    return merges


def _merged(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


@cache
def _byte_level_merges(suffix: str, lower: bool) -> tuple[tuple[str, str], ...]:
    splitter, words = pre_tokenizers.ByteLevel(add_prefix_space=False), Counter[str]()
    for line in lines():
        words.update(word for word, _ in splitter.pre_tokenize_str(line.lower() if lower else line))
    if suffix:  # CLIP drops the spaces and marks the end of a word
        words = Counter({word.removeprefix("Ġ"): 0 for word in words}) + Counter(_stripped(words))
    return tuple(learn(words, suffix))


def _stripped(words: Counter[str]) -> Counter[str]:
    out = Counter[str]()
    for word, count in words.items():
        out[word.removeprefix("Ġ")] += count
    return out


def _numbered(*groups: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(dict.fromkeys(itertools.chain(*groups)))}


def byte_level(front: tuple[str, ...] = ()) -> Tokenizer:
    """GPT-2's kind: `front` first, then bytes and merges. Specials that follow are added by the caller."""
    merges = _byte_level_merges("", False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(_numbered(front, alphabet, map("".join, merges)), list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(front))
    return tokenizer


def clip() -> Tokenizer:
    """CLIP's kind: lower case, words that end in `</w>`, the two specials last."""
    merges = _byte_level_merges("</w>", True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ("<|startoftext|>", "<|endoftext|>")
    vocabulary = _numbered(alphabet, (letter + "</w>" for letter in alphabet), map("".join, merges), specials)
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary, list(merges), end_of_word_suffix="</w>", continuing_subword_prefix="", unk_token=specials[1]
        )
    )
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(specials))
    bos, eos = ((token, vocabulary[token]) for token in specials)
    tokenizer.post_processor = processors.RobertaProcessing(eos, bos, add_prefix_space=False, trim_offsets=False)
    return tokenizer


@cache
def _spaced_merges() -> tuple[tuple[str, str], ...]:
    words = Counter("▁" + word for line in lines() for word in line.split())
    return tuple(learn(words))


def sentencepiece(front: tuple[str, ...], bos: str, prepend: bool = True) -> Tokenizer:
    """SentencePiece's BPE with byte fallback: `front`, 256 bytes, pieces (Llama, Gemma)."""
    merges = _spaced_merges()
    letters = sorted({letter for line in lines() for letter in line if letter != " "} | {"▁", "\n"})
    octets = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = _numbered(front, octets, map("".join, merges), letters)
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prepend else spaces
    unspaced = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*unspaced, decoders.Strip(" ", 1, 0)] if prepend else unspaced)
    tokenizer.add_special_tokens(list(front))
    return starting_with(tokenizer, bos)


def wordpiece(more: tuple[str, ...] = ()) -> Tokenizer:
    """BERT's kind: whole words, and letters for the rest."""
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for line in lines() for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line)))
    letters = sorted(set("".join(words)) | set("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'-"))
    common = sorted(words, key=lambda word: (-words[word], word))
    vocabulary = _numbered(specials, letters, ("##" + letter for letter in letters), common, more)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([*specials, *more])
    return tokenizer


def unigram(
    front: tuple[str, ...] = ("<pad>", "</s>", "<unk>"), last: tuple[str, ...] = (), lower: bool = False
) -> Tokenizer:
    """SentencePiece's other kind: pieces with log probabilities, `</s>` at the end of each text (T5)."""
    words = Counter("▁" + word for line in lines() for word in (line.lower() if lower else line).split())
    total = sum(words.values())
    ranked = sorted(words, key=lambda word: (-words[word], word))
    letters = sorted(set("".join(words)) | set("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'-▁"))
    pieces = [(token, 0.0) for token in front]
    pieces += [(word, math.log(words[word] / total)) for word in ranked]
    pieces += [(letter, -12.0) for letter in letters if letter not in words]
    pieces += [(token, 0.0) for token in last]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=front.index("<unk>")))
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.add_special_tokens([*front, *last])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", front.index("</s>"))]
    )
    return tokenizer


def starting_with(tokenizer: Tokenizer, bos: str) -> Tokenizer:
    """`bos` in front of every text."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    return tokenizer


def framed(tokenizer: Tokenizer, bos: str = "<s>", eos: str = "</s>") -> Tokenizer:
    """RoBERTa's frame: `<s> text </s>`."""
    tokenizer.post_processor = processors.RobertaProcessing(
        (eos, tokenizer.token_to_id(eos)), (bos, tokenizer.token_to_id(bos)), add_prefix_space=False
    )
    return tokenizer


def plain(*tokens: str) -> list[AddedToken]:
    """Added tokens that are no specials, as Whisper's timestamps and PaliGemma's locations."""
    return [AddedToken(token, normalized=False, special=False) for token in tokens]
