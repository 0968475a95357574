"""The options of `qopt.compile`, `qopt.blame` and `qopt.emit`: those of qopt-compile, dashes as underscores and `--as`
as `as_`, because Python has a word of its own for it. None is an option that was not given."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .arguments import path, real, refuse, text, truth, whole


class CompileOptions(TypedDict, total=False):
    """What they are and what they do by default: `qopt-compile --help`."""

    as_: str | None
    input: str | Sequence[str] | None
    weights: str | None
    lm_head: str | None
    embedding: str | None
    format: str | Sequence[str] | None
    activations: str | None
    activation_format: str | Sequence[str] | None
    calibrate: str | os.PathLike[str] | None
    algorithm: str | None
    calibrate_tokens: int | None
    calibrate_inputs: str | None
    tune: int | None
    store: str | os.PathLike[str] | None
    bits: float | None
    max_size: str | int | None
    max_memory: str | int | None
    batch: int | None
    max_latency: str | None
    host_rates: str | os.PathLike[str] | None
    moves: int | None
    candidates: str | Sequence[str] | None
    kv_candidates: str | Sequence[str] | None
    plan: str | os.PathLike[str] | None
    save_plan: str | os.PathLike[str] | None
    validate: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    max_kl: float | None
    max_perplexity_increase: float | None
    min_top1: float | None
    max_error: float | None
    keep: bool
    kv: str | None
    kv_format: str | Sequence[str] | None
    target: str | None
    arch: str | None
    sum_order: str | None
    tokenizer: str | os.PathLike[str] | None
    context: int | None
    cpu: str | None
    threads: int | None
    strict: bool


_TEXTS = (
    "weights",
    "lm_head",
    "embedding",
    "activations",
    "algorithm",
    "calibrate_inputs",
    "kv",
    "arch",
    "sum_order",
    "cpu",
    "max_latency",
)
_SIZES = ("max_size", "max_memory")
_PATHS = ("calibrate", "host_rates", "plan", "save_plan", "store", "tokenizer")
_CHOICES = {
    "as_": ("ModelKind", {"automatic": "Automatic", "decoder": "Decoder", "graph": "Graph"}),
    "target": ("TargetDevice", {"host": "Host", "cuda": "Cuda"}),
}
_NUMBERS = {
    "batch": 1 << 16,
    "calibrate_tokens": 1 << 32,
    "context": 1 << 24,
    "moves": 10000,
    "threads": 1024,
    "tune": 100000,
}


_FLAGS = ("strict", "keep")
_LISTS = {
    "format": '"NAME=FORMAT"',
    "activation_format": '"NAME=FORMAT"',
    "input": '"NAME=VALUE"',
    "kv_format": '"NAME=FORMAT"',
    "candidates": '"FORMAT"',
    "kv_candidates": '"FORMAT"',
}


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise refuse(f"{name} is {value!r}; expected a list of texts {_LISTS[name]}")
    if not value:
        raise refuse(f"{name} is empty; expected a value, or leave it out")
    return [text(name, entry) for entry in value]


_REALS = {
    "bits": (1, 32),
    "max_kl": (0, math.inf),
    "max_perplexity_increase": (0, math.inf),
    "min_top1": (0, 100),
    "max_error": (0, math.inf),
}


def _real(name: str, value: Any) -> float:
    least, most = _REALS[name]
    number = real(name, value)
    if not least <= number <= most:
        upto = "or above" if most == math.inf else f"to {most}"
        raise refuse(f"{name} must be from {least} {upto}, got {number}")
    return number


def _texts_to_validate(value: Any) -> list[str]:
    """One path or several, each "NAME=PATH" too."""
    paths = [value] if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(paths, (list, tuple)):
        raise refuse(f'validate is {value!r:.60}; expected a path or a list of paths, or of texts "NAME=PATH"')
    if not paths:
        raise refuse("validate is empty; expected a value, or leave it out")
    return [path("validate", entry) for entry in paths]


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
    if name in _REALS:
        return _real(name, value)
    if name == "validate":
        return _texts_to_validate(value)
    if name in _SIZES and not isinstance(value, str):
        return str(whole(name, value, 1, 1 << 62))
    if name in _PATHS:
        return path(name, value)
    if name in _FLAGS:
        return truth(name, value)
    given = text(name, value)
    if not given:
        raise refuse(f"{name} is empty; expected a value, or leave it out")
    return given


def fill(compiler: Any, model: str | os.PathLike[str], options: Mapping[str, Any]) -> Any:
    """The binding's options. What is unknown, of a wrong type, or of the other target is an error that names it."""
    known = [*_CHOICES, *_TEXTS, *_PATHS, *_NUMBERS, *_LISTS, *_REALS, *_FLAGS, *_SIZES, "validate"]
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
