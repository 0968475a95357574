"""How every call of the package says that it failed."""

import copyreg
import enum
import re
from typing import Any


class ErrorCode(enum.IntEnum):
    """What kind of thing went wrong; the values of qopt::StatusCode."""

    INVALID_ARGUMENT = 1
    NOT_FOUND = 2
    BAD_MODEL = 3
    UNSUPPORTED = 4
    INFEASIBLE = 5
    BAD_ARTIFACT = 6
    OUT_OF_RESOURCES = 7
    GATE_FAILED = 8
    CANCELLED = 9
    INTERNAL = 10
    UNWRITABLE = 11
    DEVICE_FAILED = 12


class Error(Exception):
    """A failed call: the message says what was expected and what came, `code` what kind of failure it is."""

    code: ErrorCode

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = ErrorCode(code)

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle and copy take: the class and every field, also of a subclass with another `__init__`."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


def python_names(message: str) -> str:
    """A message of the library, which spells options as on a command line ("--lm-head is …"), with Python's names."""
    own = {"as": "as_"}
    return re.sub(
        r"(?<![^\s(])--([a-z]+(?:-[a-z0-9]+)*)", lambda found: own.get(found[1], found[1].replace("-", "_")), message
    )


def of_library(message: str, code: int) -> Error:
    """The error for a failed status; the binding calls it."""
    return Error(python_names(message), code)
