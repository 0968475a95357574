"""qopt: compiles transformers in ONNX into one file, and runs it.

    import qopt
    qopt.compile("model.onnx", "model.qopt", weights="int4_g32")
    model = qopt.load("model.qopt")
    print(model.generate("Once upon a time", max_tokens=50).text)

A graph artifact runs on arrays instead: `model.run({"input": array})`.
"""

from ._runtime import version as __version__
from .compiler import (
    CompileSummary,
    GateSummary,
    SliceSummary,
    ValidationSummary,
    WeightSummary,
    compile,
    emit,
)
from .errors import Error, ErrorCode
from .model import Generation, Model, TensorSpec, load
from .tokenizer import Tokenizer

__all__ = [
    "CompileSummary",
    "Error",
    "ErrorCode",
    "GateSummary",
    "Generation",
    "Model",
    "SliceSummary",
    "TensorSpec",
    "Tokenizer",
    "ValidationSummary",
    "WeightSummary",
    "__version__",
    "compile",
    "emit",
    "load",
]
