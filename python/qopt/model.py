"""Artifacts that were loaded: arrays through a graph, text from a decoder."""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _runtime, arguments
from .errors import Error, ErrorCode

if TYPE_CHECKING:
    import numpy

Array: TypeAlias = "numpy.ndarray[Any, Any]"


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor of a graph's signature must be; a dimension is spelt as in the model: "64", "batch"."""

    name: str
    type: str
    shape: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """What `Model.generate` wrote."""

    text: str | None  #: prompt and continuation; None without a tokenizer
    tokens: list[int]  #: the new ids
    prompt_tokens: int
    finish: str  #: "end", "length", "context" or "cancelled"
    prefill_seconds: float  #: up to the first new token
    decode_seconds: float  #: of the others


class Model:
    """A loaded artifact. Calls from several threads take turns; load it once for each thread to run them at once."""

    def __init__(
        self, artifact: _runtime.Artifact, threads: int, device: str, tokenizer: _runtime.Tokenizer | None
    ) -> None:
        self._artifact = artifact
        self._turn = threading.Lock()
        self.tokenizer = tokenizer
        self._engine = _runtime.create_engine(artifact, threads, device) if artifact.is_decoder else None
        self._session = None if artifact.is_decoder else _runtime.create_session(artifact, threads, device)

    def __repr__(self) -> str:
        return f"<qopt.Model {self.kind} {self._artifact.path!r}>"

    @property
    def kind(self) -> str:
        """ "decoder" or "graph"."""
        return "decoder" if self._engine else "graph"

    @property
    def inputs(self) -> list[TensorSpec]:
        """The signature of a graph; empty for a decoder."""
        return [TensorSpec(*spec) for spec in self._artifact.inputs]

    @property
    def outputs(self) -> list[TensorSpec]:
        return [TensorSpec(*spec) for spec in self._artifact.outputs]

    @property
    def vocabulary(self) -> int:
        """Tokens that a decoder knows; 0 for a graph."""
        return self._artifact.vocabulary

    @property
    def context(self) -> int:
        """The longest sequence of a decoder; 0 for a graph."""
        return self._artifact.context

    @property
    def memory(self) -> int:
        """Bytes of working memory beyond the mapped artifact and the KV cache."""
        runner = self._engine or self._session
        return runner.memory if runner else 0

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Arrays in by name, NumPy arrays out. An input is a NumPy array of any layout, anything with __dlpack__ in the
        memory of the host, or a list of numbers, which gets the type of the signature."""
        if self._session is None:
            raise Error(f"'{self._artifact.path}' writes text; use generate or logits", ErrorCode.INVALID_ARGUMENT)
        given = arguments.arrays(inputs, self.inputs)
        with self._turn:
            return self._session.run(given)

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        ignore_end: bool = False,
        callback: Callable[[int], bool | None] | None = None,
    ) -> Generation:
        """Continues a text, or at least one id; "" stands for the model's begin token. `callback` gets each new id; it
        stops the generation by returning False."""
        ids = self._prompt(prompt)
        sampling = _runtime.SamplingOptions()
        sampling.temperature = arguments.real("temperature", temperature)
        sampling.top_k = arguments.whole("top_k", top_k, 0, 2**31 - 1)
        sampling.top_p, sampling.min_p = arguments.real("top_p", top_p), arguments.real("min_p", min_p)
        sampling.repetition_penalty = arguments.real("repetition_penalty", repetition_penalty)
        sampling.seed = arguments.whole("seed", seed, 0, 2**64 - 1)
        max_tokens = arguments.whole("max_tokens", max_tokens, 1, 2**63 - 1)
        tell = None if callback is None else lambda token: callback(token) is not False
        with self._turn:
            result = self._decoder().generate(ids, max_tokens, sampling, ignore_end, tell)
        text = self._text(ids + result["tokens"]) if self.tokenizer else None
        return Generation(text=text, prompt_tokens=len(ids), **result)

    def stream(self, prompt: str | Sequence[int], **options: Any) -> Iterator[str]:
        """The continuation piece by piece, as `generate` writes it; never half a character."""
        import queue

        if self.tokenizer is None:
            raise Error(f"'{self._artifact.path}' has no tokenizer", ErrorCode.INVALID_ARGUMENT)
        ids, pieces = self._prompt(prompt), queue.SimpleQueue[Any]()
        text, stopped = _runtime.TokenStream(self.tokenizer), threading.Event()
        for token in ids:
            text.push(token)

        def push(token: int) -> bool:
            pieces.put(text.push(token))
            return not stopped.is_set()

        def work() -> None:
            try:
                self.generate(ids, callback=push, **options)
                pieces.put(text.finish())
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                if piece:
                    yield piece
        finally:
            stopped.set()
            worker.join()

    def logits(self, prompt: str | Sequence[int]) -> Array:
        """The logits of every position, f32 [tokens, vocabulary]."""
        ids = self._prompt(prompt)
        with self._turn:
            return self._decoder().logits(ids)

    def _decoder(self) -> _runtime.Engine:
        if self._engine is None:
            raise Error(f"'{self._artifact.path}' is a graph; use run", ErrorCode.INVALID_ARGUMENT)
        return self._engine

    def _text(self, ids: list[int]) -> str:
        """A model may write ids of its padding, which the tokenizer lacks: they have no text."""
        assert self.tokenizer is not None
        stream = _runtime.TokenStream(self.tokenizer)
        return "".join([stream.push(token) for token in ids]) + stream.finish()

    def _prompt(self, prompt: str | Sequence[int]) -> list[int]:
        self._decoder()
        if not isinstance(prompt, str):
            ids = arguments.token_ids(prompt, self.vocabulary)
        elif self.tokenizer is None:
            message = f"'{self._artifact.path}' has no tokenizer: give ids, or load it with tokenizer="
            raise Error(message, ErrorCode.INVALID_ARGUMENT)
        else:
            ids = self.tokenizer.encode_whole(arguments.text("the prompt", prompt))
        if not ids and isinstance(prompt, str) and self._artifact.begin_token >= 0:
            ids = [self._artifact.begin_token]
        if not ids:
            raise Error("the prompt has no tokens; give a text or at least one id", ErrorCode.INVALID_ARGUMENT)
        return ids


def load(
    path: str | os.PathLike[str],
    *,
    threads: int = 0,
    device: str | None = None,
    trust: bool = False,
    tokenizer: str | os.PathLike[str] | None = None,
) -> Model:
    """Opens an artifact. `threads` 0 means one for each processor; `device` is "host", "cuda", "cuda:N" or "emulator",
    None what the artifact was compiled for; `trust` leaves out the digests of weights and code; `tokenizer` is a
    tokenizer.json, or its folder, instead of the artifact's own."""
    artifact = _runtime.open(arguments.path("path", path), trust)
    threads = arguments.whole("threads", threads, 0, 1024)
    device = "" if device is None else arguments.text("device", device)
    json, where = artifact.tokenizer_json, f"the tokenizer of '{artifact.path}'"
    if tokenizer is not None:
        file = pathlib.Path(arguments.path("tokenizer", tokenizer))
        file = file / "tokenizer.json" if file.is_dir() else file
        if file.exists() and not file.is_file():  # opening a pipe would wait for somebody to write
            raise Error(f"cannot read '{file}': it is not a file", ErrorCode.NOT_FOUND)
        try:
            json = file.read_text(encoding="utf-8")
        except OSError as error:
            raise Error(f"cannot read '{file}': {error.strerror}", ErrorCode.NOT_FOUND) from error
        except UnicodeDecodeError as error:
            raise Error(f"'{file}' is no text in UTF-8: {error.reason}", ErrorCode.BAD_MODEL) from error
        where = f"'{file}'"
    damaged = ErrorCode.BAD_ARTIFACT if tokenizer is None else ErrorCode.BAD_MODEL
    return Model(artifact, threads, device, _tokenizer(json, where, artifact, damaged) if json else None)


def _tokenizer(json: str, where: str, artifact: _runtime.Artifact, damaged: ErrorCode) -> _runtime.Tokenizer:
    """The tokenizer, whose ids a decoder must have."""
    try:
        tokenizer = _runtime.Tokenizer.from_json(json)
        if artifact.is_decoder:
            tokenizer.check_vocabulary(artifact.vocabulary)
    except Error as error:
        raise Error(f"{where}: {error}", damaged if error.code == ErrorCode.BAD_MODEL else error.code) from None
    return tokenizer
