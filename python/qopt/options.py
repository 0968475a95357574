"""The options of `qopt.compile` and `qopt.emit`: those of qopt-compile, dashes as underscores and `--as` as `as_`,
because Python has a word of its own for it. None is an option that was not given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .arguments import path, refuse, text, truth, whole


class CompileOptions(TypedDict, total=False):
    """What they are and what they do by default: `qopt-compile --help`."""

    as_: str | None
    weights: str | None
    lm_head: str | None
    embedding: str | None
    format: str | Sequence[str] | None
    activations: str | None
    calibrate: str | os.PathLike[str] | None
    algorithm: str | None
    calibrate_tokens: int | None
    kv: str | None
    target: str | None
    arch: str | None
    tokenizer: str | os.PathLike[str] | None
    context: int | None
    cpu: str | None
    threads: int | None
    strict: bool


_TEXTS = ("weights", "lm_head", "embedding", "activations", "algorithm", "kv", "arch", "cpu")
_PATHS = ("calibrate", "tokenizer")
_CHOICES = {
    "as_": ("ModelKind", {"automatic": "Automatic", "decoder": "Decoder", "graph": "Graph"}),
    "target": ("TargetDevice", {"host": "Host", "cuda": "Cuda"}),
}
_NUMBERS = {"calibrate_tokens": 1 << 32, "context": 1 << 24, "threads": 1024}


def _formats(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise refuse(f'format is {value!r}; expected a list of texts "NAME=FORMAT"')
    if not value:
        raise refuse("format is empty; expected a value, or leave it out")
    return [text("format", entry) for entry in value]


def _converted(compiler: Any, name: str, value: Any) -> Any:
    """The value in the form that the binding takes, or an error that names the option."""
    if name in _CHOICES:
        kind, choices = _CHOICES[name]
        if not isinstance(value, str) or value not in choices:
            raise refuse(f"{name} is {value!r}; expected one of {', '.join(choices)}")
        return getattr(getattr(compiler, kind), choices[value])
    if name in _NUMBERS:
        return whole(name, value, 1, _NUMBERS[name])
    if name == "format":
        return _formats(value)
    if name in _PATHS:
        return path(name, value)
    if name == "strict":
        return truth(name, value)
    given = text(name, value)
    if not given:
        raise refuse(f"{name} is empty; expected a value, or leave it out")
    return given


def fill(compiler: Any, model: str | os.PathLike[str], options: Mapping[str, Any]) -> Any:
    """The binding's options. What is unknown, of a wrong type, or of the other target is an error that names it."""
    known = [*_CHOICES, *_TEXTS, *_PATHS, *_NUMBERS, "format", "strict"]
    filled = compiler.CompileOptions()
    filled.model = path("model", model)
    for name, value in options.items():
        if name not in known:
            hint = "; it is called as_ here" if name == "as" else f"; the options are {', '.join(sorted(known))}"
            raise refuse(f'there is no option "{name}"{hint}')
        if value is not None:
            setattr(filled, name, _converted(compiler, name, value))
    cuda = options.get("target") == "cuda"
    for name, is_cuda in (("arch", True), ("cpu", False)):
        if options.get(name) is not None and cuda != is_cuda:
            raise refuse(f'{name} is for target="{"cuda" if is_cuda else "host"}"; leave it out')
    return filled
