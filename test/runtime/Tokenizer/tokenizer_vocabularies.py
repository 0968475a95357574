"""Vocabularies in the style of each family of models, trained here on a few texts."""

from tokenizer_texts import PROSE
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
CORPUS = PROSE[:22] * 3


def special(*contents):
    return [AddedToken(content, special=True, normalized=False) for content in contents]


def byte_level_trainer(size=600, tokens=("<|endoftext|>",)):
    return trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=special(*tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )


def gpt2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator(CORPUS, byte_level_trainer())
    return tokenizer


TRAINED = {"gpt2": gpt2}


def train(name):
    return TRAINED[name]()
