"""From a record to its random arguments and the check of its result."""

from .attention import Attention
from .gather import CheckIndices, GatherRows
from .linear import Gemm, GemmAppend, SkinnyLinear, SkinnyLinearAppend
from .record import Record
from .rotary import RotaryAppend, RotaryTable
from .rows import GatedActivation, Norm, Quantize
from .tokens import Argmax, Sampling

#: A class has `inputs()`, `check(outputs)` and `streamed`, the argument that takes the time to read.
FAMILIES = {
    "skinny_linear": SkinnyLinear,
    "skinny_linear_append": SkinnyLinearAppend,
    "gemm": Gemm,
    "gemm_append": GemmAppend,
    "attention_decode": Attention,
    "attention_prefill": Attention,
    "norm": Norm,
    "quantize": Quantize,
    "gated_activation": GatedActivation,
    "rotary_table": RotaryTable,
    "rotary_append": RotaryAppend,
    "gather_rows": GatherRows,
    "check_indices": CheckIndices,
    "argmax": Argmax,
    "sampling": Sampling,
}


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
