"""tokenizer.json files with absurd merges, numbers, expressions and nesting."""

import json

from hostile.corpus import Entry

ENCODE = (
    "qopt-run",
    "MODEL",
    "--tokenizer",
    "FOLDER/tokenizer.json",
    "--prompt",
    "a" * 4000 + "!",
    "--max-tokens",
    "1",
)


def small(**model):
    """A byte-pair vocabulary of two letters and what they make."""
    content = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "unk_token": None} | model
    return {"version": "1.0", "model": content, "added_tokens": []}


def entry(name, content, says):
    def write(folder):
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        (folder / "tokenizer.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    return Entry(name, "tokenizer", write, says, command=ENCODE, codes=(3, 4, 7))


def split(pattern):
    made = small()
    made["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return made


def normalised(**normalizer):
    return small() | {"normalizer": normalizer}


def entries():
    yield entry("empty", "", "tokenizer.json")
    yield entry("no-json", "{", "tokenizer.json")
    yield entry("a-number", "7", "tokenizer.json")
    yield entry("no-utf-8", b'{"model": {"type": "BPE", "vocab": {"\xff": 0}}}', "UTF-8|tokenizer.json")
    yield entry("deep", "[" * 200_000 + "]" * 200_000, "deep|nest")
    yield entry("merge-of-unknown-tokens", small(merges=["x y"]), '"x"|merge')
    yield entry("merge-without-result", small(merges=["b a"]), '"ba"|merge')
    yield entry("merge-of-one-part", small(merges=["ab"]), "merge")
    yield entry("merges-of-another-type", small(merges={"a": "b"}), "merges")
    yield entry("id-below-zero", small(vocab={"a": -1, "b": 1, "ab": 2}), "-1|id")
    yield entry("id-that-overflows", small(vocab={"a": 2**40, "b": 1, "ab": 2}), "1099511627776|id")
    yield entry("id-beyond-the-model", small(vocab={"a": 2**30, "b": 1, "ab": 2}), "1073741824|vocabulary")
    yield entry("id-with-a-fraction", small(vocab={"a": 0.5, "b": 1, "ab": 2}), "id|integer|number")
    ends = {"post_processor": {"type": "BertProcessing", "sep": ["a", 3], "cls": ["a", 0]}}
    yield entry(
        "end-that-is-no-token", small() | ends, "post_processor has the id 3; expected that of a token, below 3"
    )
    pads = {"padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 7}}
    yield entry("pad-that-is-no-token", small() | pads, "padding has the id 7")
    yield entry("unknown-model", small(type="Magic"), "Magic")
    yield entry("no-model", {"version": "1.0"}, "model")
    yield entry("score-that-is-no-number", small(type="Unigram", vocab=[["a", "x"]], unk_id=0), "score|number")
    yield entry("unknown-token-out-of-range", small(type="Unigram", vocab=[["a", 0.0]], unk_id=7), "unk_id|7")
    yield entry("expression-without-end", split("(a+)+$"), "match limit")
    yield entry("expression-of-choices", split("(a|a|aa)+$"), "match limit")
    yield entry("expression-of-a-billion", split("a{1000000000}"), "1000000000|limit|large")
    yield entry("expression-of-counts-in-counts", split("((a{1000}){1000}){1000}"), "limit|large|long")
    yield entry("expression-that-nests", split("(" * 50_000 + ")" * 50_000), "deep|nest|limit")
    yield entry("expression-that-is-open", split("(a"), r"\(")
    yield entry("unknown-normalizer", normalised(type="Magic"), "Magic")
    yield entry("damaged-charsmap", normalised(type="Precompiled", precompiled_charsmap="////////"), "charsmap")
    sequence = '{"type": "Sequence", "normalizers": ['
    text = json.dumps(small())[:-1] + f', "normalizer": {sequence * 2000}{"]}" * 2000}}}'
    yield entry("sequences-in-sequences", text, "deep|nest")
