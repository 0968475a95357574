"""What callers give, in the form that the binding takes; what cannot be converted is an `Error` that names it."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _runtime
from .errors import Error, ErrorCode

if TYPE_CHECKING:
    from .model import TensorSpec

_NUMPY_TYPES = {"f16": "float16", "f32": "float32", "f64": "float64", "bool": "bool"}
_NUMPY_TYPES |= {
    f"{sign}{bits}": f"{kind}{bits}" for sign, kind in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)
}


def refuse(message: str) -> Error:
    return Error(message, ErrorCode.INVALID_ARGUMENT)


def text(name: str, value: Any) -> str:
    """A text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise refuse(f"{name} is {value!r:.60}; expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"it has the surrogate U+{ord(value[error.start]):04X} at {error.start}"
        raise refuse(f"{name} is no text in Unicode: {found}") from None
    return value


def path(name: str, value: Any) -> str:
    try:
        given = os.fspath(value)
    except TypeError:
        raise refuse(f"{name} is {value!r:.60}; expected a path") from None
    given = text(name, os.fsdecode(given))
    if not given:
        raise refuse(f"{name} is empty; expected a path")
    return given


def whole(name: str, value: Any, least: int, most: int) -> int:
    """An integer of any type, NumPy's too."""
    try:
        number = operator.index(value)
    except TypeError:
        raise refuse(f"{name} must be a whole number, got {value!r}") from None
    if not least <= number <= most:
        raise refuse(f"{name} must be from {least} to {most}, got {number}")
    return number


def real(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise refuse(f"{name} must be a number, got {value!r}") from None


def token_ids(prompt: Any, vocabulary: int) -> list[int]:
    try:
        ids = [operator.index(token) for token in prompt]
    except TypeError:
        raise refuse(f"the prompt must be a text or a sequence of token ids, got {prompt!r:.60}") from None
    for token in ids:
        if not 0 <= token < vocabulary:
            raise refuse(f"token {token} is outside the vocabulary of {vocabulary}")
    return ids


def arrays(inputs: Any, signature: Sequence[TensorSpec]) -> list[tuple[str, Any]]:
    """The inputs of a graph as pairs."""
    if not isinstance(inputs, Mapping):
        raise refuse(f"inputs must be a mapping from names to arrays, got {type(inputs).__name__}")
    types = {spec.name: spec.type for spec in signature}
    for name in inputs:
        if not isinstance(name, str):
            raise refuse(f"inputs must have names as keys, got {name!r}")
        text("the name of an input", name)
    return [(name, _array(name, value, types.get(name, ""))) for name, value in inputs.items()]


def _array(name: str, value: Any, wanted: str) -> Any:
    """An array in the byte order of this machine; lists and numbers, which have no type, get the one that is wanted."""
    import numpy

    if not isinstance(value, numpy.ndarray) and hasattr(value, "__dlpack__"):
        try:
            value = numpy.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError):  # of a type that NumPy lacks, or of another memory
            if _runtime.is_input(value):
                return value
            raise refuse(f"input '{name}' is no contiguous array in the memory of the host") from None
    try:
        array = numpy.asarray(value, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        raise refuse(f"input '{name}' cannot be made an array: {error}") from None
    if array.dtype.hasobject or array.dtype.kind in "SUV":
        raise refuse(f"input '{name}' cannot be made an array of numbers: it has elements of type {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not isinstance(value, (list, tuple, int, float)) or wanted not in _NUMPY_TYPES:
        return array
    typed = numpy.dtype(_NUMPY_TYPES[wanted])
    if array.size and not numpy.can_cast(array.dtype, typed, "same_kind"):
        raise refuse(f"input '{name}' has elements of type {array.dtype}, expected {wanted}")
    converted = array.astype(typed)
    if typed.kind in "iu" and not numpy.array_equal(converted, array):
        raise refuse(f"input '{name}' has numbers that {wanted} cannot hold")
    return converted
