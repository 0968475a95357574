"""The options of `qopt.compile` and `qopt.emit`: those of qopt-compile, dashes as underscores and `--as` as `as_`,
because Python has a word of its own for it. None is an option that was not given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .arguments import path, real, refuse, text, truth, whole


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
    store: str | os.PathLike[str] | None
    bits: float | None
    max_size: str | int | None
    candidates: str | Sequence[str] | None
    plan: str | os.PathLike[str] | None
    save_plan: str | os.PathLike[str] | None
    kv: str | None
    target: str | None
    arch: str | None
    tokenizer: str | os.PathLike[str] | None
    context: int | None
    cpu: str | None
    threads: int | None
    strict: bool


_TEXTS = ("weights", "lm_head", "embedding", "activations", "algorithm", "kv", "arch", "cpu")
_PATHS = ("calibrate", "plan", "save_plan", "store", "tokenizer")
_CHOICES = {
    "as_": ("ModelKind", {"automatic": "Automatic", "decoder": "Decoder", "graph": "Graph"}),
    "target": ("TargetDevice", {"host": "Host", "cuda": "Cuda"}),
}
_NUMBERS = {"calibrate_tokens": 1 << 32, "context": 1 << 24, "threads": 1024}


_LISTS = {"format": '"NAME=FORMAT"', "candidates": '"FORMAT"'}


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise refuse(f"{name} is {value!r}; expected a list of texts {_LISTS[name]}")
    if not value:
        raise refuse(f"{name} is empty; expected a value, or leave it out")
    return [text(name, entry) for entry in value]


def _bits(value: Any) -> float:
    bits = real("bits", value)
    if not 1 <= bits <= 32:
        raise refuse(f"bits must be from 1 to 32, got {bits}")
    return bits


def _converted(compiler: Any, name: str, value: Any) -> Any:
    """The value in the form that the binding takes, or an error that names the option."""
    if name in _CHOICES:
        kind, choices = _CHOICES[name]
        if not isinstance(value, str) or value not in choices:
            raise refuse(f"{name} is {value!r}; expected one of {', '.join(choices)}")
        return getattr(getattr(compiler, kind), choices[value])
    if name in _NUMBERS:
        return whole(name, value, 1, _NUMBERS[name])
    if name in _LISTS:
        return _texts(name, value)
    if name == "bits":
        return _bits(value)
    if name == "max_size" and not isinstance(value, str):
        return str(whole(name, value, 1, 1 << 62))
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
    known = [*_CHOICES, *_TEXTS, *_PATHS, *_NUMBERS, *_LISTS, "bits", "max_size", "strict"]
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
