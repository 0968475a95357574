"""qopt.compile: an ONNX model in, an artifact out. The module that does it is loaded with the first call, because it
needs LLVM, which running an artifact does not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Error, ErrorCode


@dataclass(frozen=True)
class WeightSummary:
    """One weight as the artifact stores it."""

    name: str
    format: str
    rows: int
    columns: int
    nbytes: int


@dataclass(frozen=True)
class CompileSummary:
    """What a compilation did."""

    kind: str  #: "decoder" or "graph"
    layers: int  #: attentions in the model
    raised_layers: int  #: those that became one operation
    generic_kernels: int  #: operations without a kernel family
    remarks: list[str]
    warnings: list[str]  #: what was asked for and not done
    weights: list[WeightSummary]
    parameters: int
    weight_bytes: int
    artifact_bytes: int

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.weight_bytes / self.parameters if self.parameters else 0.0


_EXPECTED = {
    "threads": "a number from 0 to 1024",
    "context": "a number of tokens, or 0 for the model's own",
    "strict": "True or False",
    "formats": 'a list of texts "NAME=FORMAT"',
}


def _options(compiler: Any, model: str | os.PathLike[str], settings: dict[str, Any]) -> Any:
    options = compiler.CompileOptions()
    options.model = os.fspath(model)
    kinds = {"automatic": "Automatic", "decoder": "Decoder", "graph": "Graph"}
    kind = settings.pop("kind")
    if kind not in kinds:
        raise Error(f'kind "{kind}" is not one of automatic, decoder, graph', ErrorCode.INVALID_ARGUMENT)
    options.kind = getattr(compiler.ModelKind, kinds[kind])
    for name, value in settings.items():
        try:
            setattr(options, name, value)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            public, expected = name.replace("lmHead", "lm_head"), _EXPECTED.get(name, "a text")
            raise Error(f"{public} is {value!r}; expected {expected}", ErrorCode.INVALID_ARGUMENT) from None
    return options


def compile(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    kind: str = "automatic",
    weights: str = "",
    lm_head: str = "",
    embedding: str = "",
    formats: Sequence[str] = (),
    activations: str = "",
    tokenizer: str | os.PathLike[str] = "",
    context: int = 0,
    cpu: str = "x86-64-v3",
    threads: int = 0,
    strict: bool = False,
) -> CompileSummary:
    """Compiles `model` (a file or its folder) into the artifact `output`.

    `weights`, `lm_head` and `embedding` are formats ("int4_g32"; empty: as in the file), `formats` a list of
    "NAME=FORMAT" or "re:PATTERN=FORMAT" for single weights, `activations` what integer weights are multiplied with:
    "int8" (default) or "f32".
    """
    from . import _compiler

    settings = {
        "kind": kind,
        "output": os.fspath(output),
        "weights": weights,
        "lmHead": lm_head,
        "embedding": embedding,
        "formats": list(formats) if isinstance(formats, (list, tuple)) else formats,
        "activations": activations,
        "tokenizer": os.fspath(tokenizer),
        "context": context,
        "cpu": cpu,
        "threads": threads,
        "strict": strict,
    }
    result = _compiler.compile(_options(_compiler, model, settings))
    for warning in result["warnings"]:
        warnings.warn(warning, stacklevel=2)
    result["weights"] = [WeightSummary(*weight) for weight in result["weights"]]
    return CompileSummary(**result)


def emit(model: str | os.PathLike[str], stage: str, *, kind: str = "automatic", weights: str = "") -> str:
    """The IR of a stage ("onnx", "qopt", "quantized", …) as text."""
    from . import _compiler

    return _compiler.emit(_options(_compiler, model, {"kind": kind, "weights": weights}), stage)
