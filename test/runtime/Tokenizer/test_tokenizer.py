"""The tokenizer gives the ids and texts of the `tokenizers` package, on published vocabularies and on trained ones."""

import base64
import json
import random

import pytest
import tokenizers
from tokenizer_texts import hard_texts
from tokenizer_vocabularies import TRAINED, train

TEXTS = 2000


class Ours:
    """One run of the test program answers a list of requests."""

    def __init__(self, tool, path):
        self.tool, self.path = tool, path

    def ask(self, requests):
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        done = self.tool("tokenize", self.path, stdin=lines.encode())
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def encode(self, texts, special):
        answers = self.ask([{"encode": base64.b64encode(text).decode(), "special": special} for text in texts])
        return [answer.get("ids", answer.get("error")) for answer in answers]

    def decode(self, lists, special):
        answers = self.ask([{"decode": ids, "special": special} for ids in lists])
        whole = [base64.b64decode(answer["text"]).decode() for answer in answers]
        # Every piece of the stream must be valid by itself: decode() raises on half a character.
        streams = ["".join(base64.b64decode(piece).decode() for piece in answer["stream"]) for answer in answers]
        assert streams == whole
        return whole


def reference(path):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def compare(tool, path, count=TEXTS):
    theirs, ours = reference(path), Ours(tool, path)
    words = [theirs.decode([i]) for i in range(theirs.get_vocab_size())]
    texts = hard_texts(count, words + [token.content for token in theirs.get_added_tokens_decoder().values()])
    for special, part in ((True, texts), (False, texts[: count // 4])):
        for text, ids in zip(part, ours.encode(part, special), strict=True):
            expected = theirs.encode(text.decode(errors="replace"), add_special_tokens=special).ids
            assert ids == expected, f"{text!r}"
    rng = random.Random(1)
    size = theirs.get_vocab_size()
    lists = [[rng.randrange(size + 2) for _ in range(rng.randint(0, 20))] for _ in range(count // 4)]
    lists += [theirs.encode(text.decode(errors="replace")).ids for text in texts]
    for special, part in ((False, lists), (True, lists[: count // 4])):
        for ids, text in zip(part, ours.decode(part, special), strict=True):
            assert text == theirs.decode(ids, skip_special_tokens=not special), f"{ids}"
    about = ours.ask([{"about": True}])[0]
    assert about["size"] == size
    assert about["end"] == max(theirs.get_vocab().values()) + 1


def shared_tokenizers():
    return ["models/books-llama-28m/tokenizer.json", "zoo/stories260k-hf/tokenizer.json"]


@pytest.mark.parametrize("name", shared_tokenizers())
def test_published_vocabularies(tool, shared, name):
    compare(tool, shared / name)


def test_every_tokenizer_of_the_zoo(tool, shared):
    seen = set()
    for path in sorted(shared.glob("zoo/**/tokenizer.json")):
        content = path.read_bytes()
        if content not in seen:
            seen.add(content)
            compare(tool, path, 300)
    assert seen


def test_golden_ids(tool, shared):
    folder = shared / "zoo/stories260k-hf"
    golden = json.loads((folder / "tokenizer_golden.json").read_text())
    got = Ours(tool, folder / "tokenizer.json").encode([case["text"].encode() for case in golden], True)
    assert got == [case["ids"] for case in golden]


@pytest.mark.parametrize("name", TRAINED)
def test_trained_vocabularies(tool, tmp_path, name):
    path = tmp_path / "tokenizer.json"
    train(name).save(str(path))
    compare(tool, path)
