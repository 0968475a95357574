"""Vocabularies in the style of each family of models, trained here on a few texts; each function is one style."""

import json

import charsmap
from tokenizer_texts import PROSE
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, processors, trainers
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre

CORPUS = PROSE[:22] * 3
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KIMI = (
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lo}\p{M}\p{Ll}&&[^\p{Han}]]+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++|\s+(?!\S)|\s"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
    r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TRAINED = {}


def style(function):
    TRAINED[function.__name__] = function
    return function


def train(name):
    return TRAINED[name]()


def special(*contents, **options):
    return [AddedToken(content, special=True, normalized=False, **options) for content in contents]


def plain(*contents, **options):
    return [AddedToken(content, **options) for content in contents]


def byte_level_bpe(pre_tokenizer, tokens=("<|endoftext|>",), **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=special(*tokens),
        initial_alphabet=pre.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def split_and_bytes(*expressions, behavior="isolated"):
    splits = [pre.Split(Regex(expression), behavior) for expression in expressions]
    return pre.Sequence([*splits, pre.ByteLevel(add_prefix_space=False, use_regex=False)])


def bos(tokenizer, token, pair=""):
    return processors.TemplateProcessing(
        single=f"{token} $A",
        pair=pair or f"{token} $A {token} $B",
        special_tokens=[(token, tokenizer.token_to_id(token))],
    )


@style
def gpt2():
    tokenizer = byte_level_bpe(pre.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


@style
def roberta():
    tokenizer = byte_level_bpe(pre.ByteLevel(add_prefix_space=True), ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(special("[MASK]", lstrip=True))
    return tokenizer


@style
def llama3():
    tokenizer = byte_level_bpe(split_and_bytes(LLAMA3), ["<|begin_of_text|>", "<|eot_id|>"])
    tokenizer.model.ignore_merges = True
    steps = [processors.ByteLevel(trim_offsets=True), bos(tokenizer, "<|begin_of_text|>")]
    tokenizer.post_processor = processors.Sequence(steps)
    return tokenizer


@style
def qwen2():
    tokenizer = byte_level_bpe(split_and_bytes(QWEN), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.normalizer = norm.NFC()
    tokenizer.add_tokens(plain("<tool_call>", "</tool_call>", "<think>", normalized=False))
    return tokenizer


@style
def gpt4o():
    return byte_level_bpe(split_and_bytes(GPT4O))


@style
def kimi():
    return byte_level_bpe(split_and_bytes(KIMI))


@style
def bloom():
    return byte_level_bpe(split_and_bytes(BLOOM))


@style
def deepseek():
    return byte_level_bpe(split_and_bytes(r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK))


@style
def falcon():
    steps = [
        pre.Punctuation("contiguous"),
        pre.ByteLevel(add_prefix_space=False),
        pre.Digits(individual_digits=False),
        pre.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return byte_level_bpe(pre.Sequence(steps))


@style
def starcoder():
    tokenizer = byte_level_bpe(pre.Sequence([pre.Digits(True), pre.ByteLevel(add_prefix_space=False)]))
    tokenizer.add_tokens(plain("  ", "    ", "\t\t", "de", "Die"))
    return tokenizer


@style
def clip():
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = norm.Sequence([norm.NFC(), norm.Replace(Regex(r"\s+"), " "), norm.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre.Sequence(
        [pre.Split(words, "removed", invert=True), pre.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        show_progress=False,
        special_tokens=special("<|startoftext|>", "<|endoftext|>"),
        initial_alphabet=pre.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0))
    return tokenizer


@style
def openai_gpt():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True))
    tokenizer.normalizer = norm.BertNormalizer()
    tokenizer.pre_tokenizer = pre.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=700, show_progress=False, special_tokens=special("<unk>"), end_of_word_suffix="</w>"
    )
    tokenizer.train_from_iterator(CORPUS[:8], trainer)
    return tokenizer


@style
def prefixed_bpe():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    tokenizer.pre_tokenizer = pre.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500, show_progress=False, special_tokens=special("<unk>"), continuing_subword_prefix="##"
    )
    tokenizer.train_from_iterator(CORPUS[:6], trainer)
    return tokenizer


def sentencepiece_bpe(normalizer, pre_tokenizer, decoder, *, fallback=True, alphabet=20):
    """BPE on characters whose rare ones are spelt in bytes; the byte tokens go behind the special ones."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=fallback))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        limit_alphabet=alphabet * 4,
        max_token_length=12,
        special_tokens=special("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256) if fallback)),
    )
    tokenizer.train_from_iterator([line for text in CORPUS for line in text.split(" ")] + CORPUS, trainer)
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = file["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.post_processor = bos(tokenizer, "<s>")
    return tokenizer


def llama_decoder(strip=True):
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * strip)


@style
def llama2():
    normalizer = norm.Sequence([norm.Prepend("▁"), norm.Replace(" ", "▁")])
    return sentencepiece_bpe(normalizer, None, llama_decoder())


@style
def phi3():
    tokenizer = llama2()
    tokenizer.add_special_tokens(special("<|user|>", "<|end|>", rstrip=True))
    tokenizer.add_tokens(plain("<|both|>", lstrip=True, rstrip=True) + plain("word", "é", single_word=True))
    return tokenizer


@style
def llama2_normalized_tokens():
    tokenizer = llama2()
    tokenizer.add_tokens([AddedToken("<x y>", normalized=True), AddedToken("<Z>", normalized=True, special=True)])
    return tokenizer


@style
def mistral():
    space = pre.Metaspace(prepend_scheme="first", split=False)
    return sentencepiece_bpe(None, space, llama_decoder())


@style
def gemma():
    tokenizer = sentencepiece_bpe(norm.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous"), llama_decoder(False))
    tokenizer.add_tokens(plain("\n\n", "▁▁", "<start_of_turn>", normalized=False))
    return tokenizer


@style
def unknown_instead_of_bytes():
    space = pre.Metaspace(prepend_scheme="always")
    return sentencepiece_bpe(norm.NFKC(), space, decoders.Metaspace(), fallback=False)


def unigram(normalizer, pre_tokenizer, decoder):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    trainer = trainers.UnigramTrainer(
        vocab_size=500, show_progress=False, unk_token="<unk>", special_tokens=special("<pad>", "</s>", "<unk>")
    )
    tokenizer.train_from_iterator(CORPUS[:14] * 3, trainer)
    return tokenizer


@style
def t5():
    normalizer = norm.Sequence(
        [norm.Precompiled(charsmap.build(charsmap.RULES)), norm.Strip(left=False), norm.Replace(Regex(" {2,}"), "▁")]
    )
    tokenizer = unigram(normalizer, pre.Metaspace(prepend_scheme="always"), decoders.Metaspace())
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    tokenizer.add_special_tokens(special("<extra_id_0>", lstrip=True) + special("<extra_id_1>", rstrip=True))
    return tokenizer


@style
def albert():
    steps = [
        norm.Replace("``", '"'),
        norm.NFKD(),
        norm.StripAccents(),
        norm.Lowercase(),
        norm.Precompiled(charsmap.build(charsmap.RULES)),
    ]
    space = pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace(prepend_scheme="first")])
    return unigram(norm.Sequence(steps), space, decoders.Metaspace(prepend_scheme="first"))


@style
def unigram_with_bytes():
    tokenizer = unigram(norm.Sequence([norm.Nmt(), norm.NFKC()]), pre.Metaspace(), llama_decoder())
    file = json.loads(tokenizer.to_str())
    file["model"]["byte_fallback"] = True
    file["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    return Tokenizer.from_str(json.dumps(file))


def wordpiece(**options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = norm.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=900, show_progress=False, special_tokens=special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


@style
def bert_uncased():
    tokenizer = wordpiece(lowercase=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


@style
def bert_cased():
    tokenizer = wordpiece(lowercase=False)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


@style
def word_level():
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = norm.Sequence([norm.NFD(), norm.Strip()])
    tokenizer.pre_tokenizer = pre.Sequence([pre.Whitespace(), pre.CharDelimiterSplit("_")])
    trainer = trainers.WordLevelTrainer(show_progress=False, special_tokens=special("[UNK]"))
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer
