"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import _runtime, arguments


class Tokenizer:
    """What a tokenizer.json describes; its argument is the text of one."""

    def __init__(self, json: str) -> None:
        self._native = _runtime.Tokenizer.from_json(arguments.text("json", json))

    @classmethod
    def from_json(cls, json: str) -> Tokenizer:
        """Of the text of a tokenizer.json."""
        return cls(json)

    @property
    def vocabulary_size(self) -> int:
        return self._native.vocabulary_size

    def encode(self, text: str, special_tokens: bool = True) -> list[int]:
        """The ids of a text, with the model's own tokens around it, cut and padded as the file's truncation and padding
        say."""
        return self._native.encode(*_text_and_choice(text, special_tokens))

    def encode_whole(self, text: str, special_tokens: bool = True) -> list[int]:
        """The ids of all of a text, neither cut nor padded: a prompt."""
        return self._native.encode_whole(*_text_and_choice(text, special_tokens))

    def decode(self, ids: Iterable[int], special_tokens: bool = False) -> str:
        """The text of ids; special tokens are left out unless asked for. Raises qopt.Error for an id that
        the vocabulary lacks."""
        given = arguments.token_ids("ids", ids, "a sequence of token ids")
        choice = arguments.truth("special_tokens", special_tokens)
        return self._native.decode([_id("ids", token) for token in given], choice)

    def check_vocabulary(self, size: int) -> None:
        """Raises qopt.Error for an id that a model of this size lacks."""
        self._native.check_vocabulary(arguments.whole("size", size, 0, 2**31 - 1))

    def token_to_id(self, token: str) -> int | None:
        return self._native.token_to_id(arguments.text("token", token))

    def id_to_token(self, id: int) -> str | None:
        return self._native.id_to_token(_id("id", id))

    def text_of(self, ids: Iterable[int]) -> str:
        """As a model writes them: one may have ids, of its padding, that the tokenizer lacks, and they have no text."""
        stream = self.stream()
        given = arguments.token_ids("ids", ids, "a sequence of token ids")
        return "".join([stream.push(token) for token in given]) + stream.finish()

    def stream(self) -> TokenStream:
        """Decodes token by token, never half a character."""
        return TokenStream(self._native)


class TokenStream:
    """Text that grows by a token at a time; made by Tokenizer.stream."""

    def __init__(self, native: Any) -> None:
        self._native = _runtime.TokenStream(native)

    def push(self, token: int) -> str:
        """The text that is certain now; the begin of a character waits for its end."""
        return self._native.push(_id("token", token))

    def finish(self) -> str:
        """What still waits."""
        return self._native.finish()


def _text_and_choice(text: str, special_tokens: bool) -> tuple[str, bool]:
    return arguments.text("text", text), arguments.truth("special_tokens", special_tokens)


def _id(name: str, value: int) -> int:
    return arguments.whole(name, value, -(2**31), 2**31 - 1)
