"""How every call of the package says that it failed."""

import enum


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


class Error(Exception):
    """A failed call: the message says what was expected and what came, `code` what kind of failure it is."""

    code: ErrorCode

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = ErrorCode(code)
