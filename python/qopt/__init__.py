"""qopt: compiles transformers in ONNX into one file, and runs it.

    import qopt
    qopt.compile("model.onnx", "model.qopt", weights="int4_g32")
    model = qopt.load("model.qopt")
    print(model.generate("Once upon a time", max_tokens=50).text)

A graph artifact runs on arrays instead: `model.run({"input": array})`.
"""

from ._runtime import version as __version__
from .compiler import (
    BlameSummary,
    CompileSummary,
    GateSummary,
    LayerBlame,
    OutputSummary,
    SliceSummary,
    ValidationSummary,
    WeightSummary,
    blame,
    check,
    compile,
    emit,
)
from .errors import Error, ErrorCode
from .model import Generation, Model, TensorSpec, load
from .tokenizer import Tokenizer

__all__ = [
    "BlameSummary",
    "CompileSummary",
    "Error",
    "ErrorCode",
    "GateSummary",
    "Generation",
    "LayerBlame",
    "Model",
    "OutputSummary",
    "SliceSummary",
    "TensorSpec",
    "Tokenizer",
    "ValidationSummary",
    "WeightSummary",
    "__version__",
    "blame",
    "check",
    "compile",
    "emit",
    "load",
]
