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
from .tokenizer import Tokenizer

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


class _Turn:
    """Threads use a model one after another. A thread that waited for itself, in a callback, would wait for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None

    def is_mine(self) -> bool:
        return self._thread == threading.get_ident()

    def refuse_within(self) -> None:
        if self.is_mine():
            raise arguments.refuse(
                "the model is in use by this thread: a callback cannot call the model that calls it; "
                "do that when generate has returned, or load the artifact a second time"
            )

    def __enter__(self) -> None:
        self.refuse_within()
        self._lock.acquire()
        self._thread = threading.get_ident()

    def __exit__(self, *raised: object) -> None:
        self._thread = None
        self._lock.release()


class Model:
    """A loaded artifact. Calls from several threads take turns; load it once for each thread to run them at once. A
    callback cannot call the model that calls it."""

    def __init__(self, artifact: _runtime.Artifact, threads: int, device: str, tokenizer: Tokenizer | None) -> None:
        self._artifact = artifact
        self._turn = _Turn()
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
    def functions(self) -> list[str]:
        """The graphs of a model of several files, one of which `load` has chosen; one name of every other artifact."""
        return list(self._artifact.functions)

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
    def sampling(self) -> dict[str, Any]:
        """How the model's own files say that tokens are chosen: `model.generate(prompt, **model.sampling)`. Empty where
        they do not say, or take the most probable token."""
        named = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
        own, usual = self._artifact.sampling, _runtime.SamplingOptions()
        given = {name: getattr(own, name) for name in named if getattr(own, name) != getattr(usual, name)}
        return {name: round(value, 6) for name, value in given.items()}  # 0.6, not its f32

    @property
    def chat_template(self) -> str | None:
        """The template, in Jinja, with which messages become a prompt; None where the model has none."""
        return self._artifact.chat_template or None

    @property
    def memory(self) -> int:
        """Bytes of working memory beyond the mapped artifact and the KV cache."""
        runner = self._engine or self._session
        return runner.memory if runner else 0

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Arrays in by name, NumPy arrays out. An input is a NumPy array of any layout, anything with __dlpack__ in the
        memory of the host, or a list of numbers, which gets the type of the signature. Of the types that NumPy lacks an
        input is an array of ml_dtypes, or of narrower ones than bf16 the codes as uint8; so is an output, but that bf16
        comes as float32."""
        if self._session is None:
            raise Error(f"'{self._artifact.path}' writes text; use generate or logits", ErrorCode.INVALID_ARGUMENT)
        given = arguments.arrays(inputs, self.inputs)
        with self._turn:
            return arguments.results(self._session.run(given), self.outputs)

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        ignore_end: bool = False,
        callback: Callable[[int], bool | None] | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Continues a text, or at least one id; "" stands for the model's begin token. Temperature 0 takes the most
        probable token; `top_k`, `top_p`, `min_p` and `seed` are for others. `callback` gets each new id; it stops the
        generation by returning False. `source`, of an encoder-decoder alone, is what its encoder takes, as `run` has
        inputs: `model.generate([], source={"input_features": features})`, where no ids are the model's begin token."""
        ids = self._prompt(prompt)
        drawn = {"top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed}
        sampling = arguments.sampling(temperature, repetition_penalty, drawn)
        max_tokens = arguments.whole("max_tokens", max_tokens, 1, 2**63 - 1)
        ignore_end, tell = arguments.truth("ignore_end", ignore_end), arguments.callback("callback", callback)
        given = [] if source is None else arguments.arrays(source, self.inputs)
        with self._turn:
            result = self._decoder().generate(ids, max_tokens, sampling, ignore_end, tell, given)
        text = self.tokenizer.text_of(ids + result["tokens"]) if self.tokenizer else None
        return Generation(text=text, prompt_tokens=len(ids), **result)

    def stream(self, prompt: str | Sequence[int], **options: Any) -> Iterator[str]:
        """The continuation piece by piece, as `generate` writes it; never half a character."""
        import queue

        if self.tokenizer is None:
            raise Error(f"'{self._artifact.path}' has no tokenizer", ErrorCode.INVALID_ARGUMENT)
        if "callback" in options:
            raise arguments.refuse("callback is for generate; stream gives the text itself, leave it out")
        ids, pieces = self._prompt(prompt), queue.SimpleQueue[Any]()
        text, stopped = self.tokenizer.stream(), threading.Event()
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

        self._turn.refuse_within()
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while True:
                self._turn.refuse_within()  # the worker waits for its turn
                if (piece := pieces.get()) is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                if piece:
                    yield piece
        finally:
            stopped.set()
            if not self._turn.is_mine():
                worker.join()

    def logits(self, prompt: str | Sequence[int], *, source: Mapping[str, Any] | None = None) -> Array:
        """The logits of every position, f32 [tokens, vocabulary]. `source` as in `generate`."""
        ids = self._prompt(prompt)
        given = [] if source is None else arguments.arrays(source, self.inputs)
        with self._turn:
            return self._decoder().logits(ids, given)

    def _decoder(self) -> _runtime.Engine:
        if self._engine is None:
            raise Error(f"'{self._artifact.path}' is a graph; use run", ErrorCode.INVALID_ARGUMENT)
        return self._engine

    def _prompt(self, prompt: str | Sequence[int]) -> list[int]:
        self._decoder()
        if not isinstance(prompt, str):
            ids = arguments.prompt_ids(prompt, self.vocabulary)
        elif self.tokenizer is None:
            message = f"'{self._artifact.path}' has no tokenizer: give ids, or load it with tokenizer="
            raise Error(message, ErrorCode.INVALID_ARGUMENT)
        else:
            ids = self.tokenizer.encode_whole(arguments.text("the prompt", prompt))
        if not ids and (isinstance(prompt, str) or self.inputs) and self._artifact.begin_token >= 0:
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
    function: str | None = None,
) -> Model:
    """Opens an artifact. `threads` 0 means one for each processor; `device` is "host", "cuda", "cuda:N", "emulator"
    or "emulator,schedules=N", None what the artifact was compiled for ("cuda,synchronous" waits for each kernel, so
    that a failure names it); `trust` leaves out the digests of weights and code; `tokenizer` is a tokenizer.json, or
    its folder, instead of the artifact's own; `function` is which graph of a model of several files to run, as
    "encoder"."""
    artifact = _runtime.open(arguments.path("path", path), arguments.truth("trust", trust))
    if function is not None:
        artifact = artifact.function(arguments.text("function", function))
    threads = arguments.whole("threads", threads, 0, 1024)
    if device == "":
        raise arguments.refuse("device is empty; expected a value, or leave it out")
    device = "" if device is None else arguments.text("device", device)
    json, where = artifact.tokenizer_json, f"the tokenizer of '{artifact.path}'"
    if tokenizer is not None:
        file = pathlib.Path(arguments.path("tokenizer", tokenizer))
        file = file / "tokenizer.json" if file.is_dir() else file
        if file.exists() and not file.is_file():  # opening a pipe would wait for somebody to write
            raise Error(f"cannot read '{file}': it is a pipe or a device; expected a regular file", ErrorCode.NOT_FOUND)
        try:
            json = file.read_text(encoding="utf-8")
        except OSError as error:
            raise Error(f"cannot read '{file}': {error.strerror}", ErrorCode.NOT_FOUND) from error
        except UnicodeDecodeError as error:
            raise Error(f"'{file}' is no text in UTF-8: {error.reason}", ErrorCode.BAD_MODEL) from error
        where = f"'{file}'"
    damaged = ErrorCode.BAD_ARTIFACT if tokenizer is None else ErrorCode.BAD_MODEL
    return Model(artifact, threads, device, _tokenizer(json, where, artifact, damaged) if json else None)


def _tokenizer(json: str, where: str, artifact: _runtime.Artifact, damaged: ErrorCode) -> Tokenizer:
    """The tokenizer, whose ids a decoder must have."""
    try:
        tokenizer = Tokenizer.from_json(json)
        if artifact.is_decoder:
            tokenizer.check_vocabulary(artifact.vocabulary)
    except Error as error:
        raise Error(f"{where}: {error}", damaged if error.code == ErrorCode.BAD_MODEL else error.code) from None
    return tokenizer
