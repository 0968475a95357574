"""What callers give, in the form that the binding takes; what cannot be converted is an `Error` that names it."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from . import _runtime
from .errors import Error, ErrorCode

if TYPE_CHECKING:
    from .model import TensorSpec

_NUMPY_TYPES = {"f16": "float16", "f32": "float32", "f64": "float64", "bool": "bool"}
_NUMPY_TYPES |= {
    f"{sign}{bits}": f"{kind}{bits}" for sign, kind in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)
}
# Types that NumPy lacks, by the names that the package ml_dtypes has for them.
_CODES = {
    "bf16": "bfloat16",
    "f8e4m3fn": "float8_e4m3fn",
    "f8e4m3fnuz": "float8_e4m3fnuz",
    "f8e5m2": "float8_e5m2",
    "f8e5m2fnuz": "float8_e5m2fnuz",
    "f8e8m0": "float8_e8m0fnu",
    "f4e2m1": "float4_e2m1fn",
    "i4": "int4",
    "u4": "uint4",
    "i2": "int2",
    "u2": "uint2",
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


def _is_truth(value: Any) -> bool:
    """True or False, NumPy's too."""
    return isinstance(value, bool) or (type(value).__module__ == "numpy" and str(getattr(value, "dtype", "")) == "bool")


def truth(name: str, value: Any) -> bool:
    if not _is_truth(value):
        raise refuse(f"{name} is {value!r:.60}; expected True or False")
    return bool(value)


def whole(name: str, value: Any, least: int, most: int) -> int:
    """An integer of any type, NumPy's too; True and False are none."""
    try:
        number = operator.index(None if _is_truth(value) else value)
    except TypeError:
        raise refuse(f"{name} must be a whole number, got {value!r:.60}") from None
    if not least <= number <= most:
        raise refuse(f"{name} must be from {least} to {most}, got {number}")
    return number


def real(name: str, value: Any) -> float:
    """A number of any type; a text with one, which `float` takes, is none."""
    try:
        return float(None if _is_truth(value) or isinstance(value, (str, bytes, bytearray)) else value)
    except (TypeError, ValueError, OverflowError):
        raise refuse(f"{name} must be a number, got {value!r:.60}") from None


def sampling(temperature: Any, repetition_penalty: Any, drawn: Mapping[str, Any]) -> _runtime.SamplingOptions:
    """How tokens are chosen. `drawn` has what only draws have a use for; None is what was not given."""
    options = _runtime.SamplingOptions()
    options.temperature = real("temperature", temperature)
    options.repetition_penalty = real("repetition_penalty", repetition_penalty)
    most = {"top_k": 2**31 - 1, "seed": 2**64 - 1}
    for name, value in drawn.items():
        if value is not None:
            setattr(options, name, whole(name, value, 0, most[name]) if name in most else real(name, value))
    options.check()
    for name, value in drawn.items():
        if value is not None and options.temperature == 0:
            why = "is for tokens that are drawn, and temperature is 0, which takes the most probable one"
            raise refuse(f"{name} {why}; leave it out, or give a temperature above 0")
    return options


def callback(name: str, value: Any) -> Callable[[int], bool] | None:
    """One whose result says whether to go on: all but False does."""
    if value is None:
        return None
    if not callable(value):
        raise refuse(f"{name} is {value!r:.60}; expected a function that takes a token, or None")

    def tell(token: int) -> bool:
        said = value(token)
        return bool(said) if _is_truth(said) else True

    return tell


def token_ids(name: str, value: Any, expected: str) -> list[int]:
    """Whole numbers in an order. Bytes are numbers too, but nobody means them as ids."""
    unfit = isinstance(value, (str, bytes, bytearray, Set, Mapping))
    try:
        tokens = list(() if unfit else value)
        if not unfit and not any(_is_truth(token) for token in tokens):
            return [operator.index(token) for token in tokens]
    except TypeError:
        pass
    raise refuse(f"{name} must be {expected}, got {value!r:.60}")


def prompt_ids(prompt: Any, vocabulary: int) -> list[int]:
    ids = token_ids("the prompt", prompt, "a text or a sequence of token ids")
    for token in ids:
        if not 0 <= token < vocabulary:
            raise refuse(f"token {token} is outside the vocabulary of {vocabulary}")
    return ids


def arrays(inputs: Any, signature: Sequence[TensorSpec]) -> list[tuple[str, Any, str]]:
    """The inputs of a graph: names, arrays, and the type of those that are codes of a type that NumPy lacks, or ""."""
    if not isinstance(inputs, Mapping):
        raise refuse(f"inputs must be a mapping from names to arrays, got {type(inputs).__name__}")
    types = {spec.name: spec.type for spec in signature}
    for name in inputs:
        if not isinstance(name, str):
            raise refuse(f"inputs must have names as keys, got {name!r}")
        text("the name of an input", name)
    return [_input(name, value, types.get(name, "")) for name, value in inputs.items()]


def results(outputs: dict[str, Any], signature: Sequence[TensorSpec]) -> dict[str, Any]:
    """What a graph gave, with codes of types that NumPy lacks as arrays of ml_dtypes where that package is."""
    coded = {spec.name: spec.type for spec in signature if spec.type in _CODES and spec.type != "bf16"}
    if not coded:
        return outputs
    try:
        import ml_dtypes
    except ImportError:
        return outputs
    return outputs | {name: outputs[name].view(getattr(ml_dtypes, _CODES[type])) for name, type in coded.items()}


def _input(name: str, value: Any, wanted: str) -> tuple[str, Any, str]:
    array = _array(name, value, wanted)
    given = _coded_type(array)
    if given and hasattr(array, "view"):
        return name, array.view(f"uint{8 * array.dtype.itemsize}"), given
    is_code = wanted in _CODES and wanted != "bf16" and str(getattr(array, "dtype", "")) == "uint8"
    return name, array, wanted if is_code else ""


def _coded_type(array: Any) -> str:
    """Of the package ml_dtypes."""
    name = getattr(getattr(array, "dtype", None), "name", "")
    return next((type for type, known in _CODES.items() if known == name), "")


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
    if _coded_type(array):
        return array
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
