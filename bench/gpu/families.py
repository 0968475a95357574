"""From a record to its random arguments and the check of its result."""

from .attention import Attention
from .linear import Gemm, SkinnyLinear
from .record import Record

FAMILIES = {
    "skinny_linear": SkinnyLinear,
    "gemm": Gemm,
    "attention_decode": Attention,
    "attention_prefill": Attention,
}
#: The argument that takes the time to read.
STREAMED = {"skinny_linear": "weights", "gemm": "weights", "attention_decode": "pages", "attention_prefill": "pages"}


def case_of(path, seed=0):
    """The launch that a record describes, with its arguments; the family decides what they are."""
    record = Record(path)
    return FAMILIES[record.family](record, seed)


def check(case, outputs):
    """Fails where counters were not left at zero or a result is wrong; else the error as a part of the bound."""
    for argument in case.record.arguments:
        if argument["use"] == "counters" and outputs[argument["name"]].any():
            raise ValueError(f"{case.record.name}: counters are not zero after the launch")
    return case.check(outputs)
