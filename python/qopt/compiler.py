"""qopt.compile: an ONNX model in, an artifact out. The module that does it is loaded with the first call, because it
needs LLVM, which running an artifact does not."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from .arguments import path, text
from .errors import python_names
from .options import CompileOptions, fill

if sys.version_info >= (3, 11):  # noqa: UP036
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class WeightSummary:
    """One weight as the artifact stores it."""

    name: str
    format: str
    rows: int
    columns: int
    nbytes: int


@dataclass(frozen=True)
class SliceSummary:
    """What was measured on one text, or on all of them; the reference is the unquantized model."""

    name: str  #: "all", or that of the text
    windows: int
    predictions: int
    perplexity: float
    reference_perplexity: float
    perplexity_increase_percent: float
    kl: float  #: mean, in nats
    kl_interval: tuple[float, float]  #: 95 %, drawn from windows
    kl_p99: float
    kl_max: float
    same_top1_percent: float


@dataclass(frozen=True)
class OutputSummary:
    """The same of one output of a graph; what is of predictions is None where the output's name is not of logits."""

    slice: str  #: "all", or the name of the samples
    output: str
    samples: int
    rows: int
    error: float  #: the square of the error beside that of the unquantized model's output
    error_interval: tuple[float, float]  #: 95 %, drawn from samples
    kl: float | None  #: mean over rows, in nats
    kl_interval: tuple[float, float] | None
    kl_p99: float | None
    kl_max: float | None
    same_top1_percent: float | None


@dataclass(frozen=True)
class GateSummary:
    """One limit on one text, or on one output of a graph."""

    option: str  #: "max-kl", "max-perplexity-increase", "min-top1" or "max-error"
    slice: str
    limit: float
    value: float
    met: bool
    output: str = ""  #: of a graph


@dataclass(frozen=True)
class ValidationSummary:
    """The artifact beside the unquantized model."""

    device: str  #: what it ran on, in words
    texts: list[tuple[str, str, str]]  #: name, file and SHA-256
    slices: list[SliceSummary]  #: of a decoder
    outputs: list[OutputSummary]  #: of a graph
    gates: list[GateSummary]


@dataclass(frozen=True)
class CompileSummary:
    """What a compilation did."""

    output: str  #: the artifact
    kind: str  #: "decoder" or "graph"
    layers: int  #: attentions in the model
    raised_layers: int  #: those that became one operation
    generic_kernels: int  #: operations without a kernel family
    remarks: list[str]
    warnings: list[str]  #: what was asked for and not done
    weights: list[WeightSummary]
    kernels: list[dict[str, Any]]  #: of GPUs: what qopt-compile --report and --json say of each
    steps: list[dict[str, Any]]  #: of GPUs: a predicted decode step, greedy, and with `sampling`
    parameters: int
    weight_bytes: int
    artifact_bytes: int
    validation: ValidationSummary | None  #: where a limit or a text to validate on was given

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.weight_bytes / self.parameters if self.parameters else 0.0


@dataclass(frozen=True)
class LayerBlame:
    """A layer, and the model with this layer's weights as the file has them."""

    name: str  #: what the names of its weights begin with
    place: int  #: in the model's order, from 0
    kl_recovered: float  #: the model's KL less `kl`
    kl: float  #: mean, in nats, of the model with this layer restored
    kl_added: float  #: with this layer and those ahead of it quantized, and those behind it restored
    weights: list[tuple[str, str]]  #: names and formats of those that are quantized


@dataclass(frozen=True)
class BlameSummary:
    """Which layers of a quantized model lose most; the reference is the unquantized model. Of a graph `kl` is
    everywhere its loss, the mean over outputs of the KL of a row of logits or half of the error."""

    device: str  #: what it ran on, in words
    kl: float  #: mean, in nats, of the model
    kl_restored: float  #: with all weights restored: what activations, cache and arithmetic lose
    kl_floor: float  #: the model beside itself in other steps: differences below it say nothing
    perplexity: float | None  #: of a decoder
    layers: list[LayerBlame]  #: the most recovered first


def compile(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    as_: str | None = None,
    input: str | Sequence[str] | None = None,
    weights: str | None = None,
    lm_head: str | None = None,
    embedding: str | None = None,
    format: str | Sequence[str] | None = None,
    activations: str | None = None,
    activation_format: str | Sequence[str] | None = None,
    calibrate: str | os.PathLike[str] | None = None,
    algorithm: str | None = None,
    calibrate_tokens: int | None = None,
    calibrate_inputs: str | None = None,
    tune: int | None = None,
    store: str | os.PathLike[str] | None = None,
    bits: float | None = None,
    max_size: str | int | None = None,
    max_memory: str | int | None = None,
    batch: int | None = None,
    max_latency: str | None = None,
    host_rates: str | os.PathLike[str] | None = None,
    moves: int | None = None,
    candidates: str | Sequence[str] | None = None,
    kv_candidates: str | Sequence[str] | None = None,
    plan: str | os.PathLike[str] | None = None,
    save_plan: str | os.PathLike[str] | None = None,
    validate: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    max_kl: float | None = None,
    max_perplexity_increase: float | None = None,
    min_top1: float | None = None,
    max_error: float | None = None,
    keep: bool = False,
    kv: str | None = None,
    kv_format: str | Sequence[str] | None = None,
    target: str | None = None,
    arch: str | None = None,
    sum_order: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    context: int | None = None,
    cpu: str | None = None,
    threads: int | None = None,
    strict: bool = False,
    **unknown: NoReturn,
) -> CompileSummary:
    """Compiles `model` (a file or its folder) into the artifact `output`: without one, NAME.qopt in the current folder,
    of the model's or its folder's name. Of a folder with encoder_model.onnx and a decoder beside it all files become
    one artifact, whose graphs `load` chooses by `function`. The options are those of qopt-compile:

    as_          "automatic" (a decoder where the model is one), "decoder" or "graph"
    input        "NAME=VALUE" or a list of those: inputs of one boolean or integer that are constants of the artifact;
                 of an If on one of them the branch is compiled that the value takes, without inputs that only the other
                 one reads, "use_cache_branch=true"
    weights      format of weights, "int4_g32"; default: as in the file
    lm_head      format of the head; default: `weights`
    embedding    format of the token embedding; default: that of the head where one weight is both, else as in the file
    format       of single weights, "NAME=FORMAT" or "re:PATTERN=FORMAT", or a list of those
    activations  what linears read: "f32" (host), "f16", "bf16", "int8", "fp8_e4m3" (host), "int8_g32_sf32" (host);
                 activation_format: of single weights, like `format`
    calibrate    a text file, of a graph its inputs as .npz, or a manifest: weights are quantized by what they do when
                 the model reads it
    algorithm    how codes are chosen: "rtn", "clip" or "hqq"; with `calibrate` also "awq", "gptq", "kronecker" or
                 "best" (of all, for each weight); calibrate_tokens: of the text at most so many; calibrate_inputs: what
                 layers read meanwhile, "quantized" (what those ahead make with their codes) or "original"
    tune         behind that so many steps of gradient descent on the KL divergence over scales and norms
    store        a folder in which the work of `calibrate` is kept, so that a run that was ended goes on
    bits         with `calibrate`: at most so many stored bits a weight, each in the format of `candidates` with which
                 all together do least harm; max_size: the same for the artifact, "1.2GB" or bytes; max_memory: for what
                 a decoder takes while it serves `batch` sequences as long as `context`, or a graph `batch` samples;
                 max_latency: for the predicted time of a decode step at `context` on the slowest GPU of `arch`,
                 "2.1ms", or on the host, whose rates bench/describe_host measures (host_rates: its file); without `kv`
                 these two choose the caches of layers from `kv_candidates` ("int8", "int4,recent=32,first=16"), too;
                 moves: so many exchanges of formats are measured as KL behind the choice
    plan         a file of `save_plan`: the format of every weight, its cost and what others would have cost
    validate     a text file, of a graph its inputs as .npz, or several, or "NAME=PATH": the artifact is measured on
                 each and all, on the host, beside the unquantized model
    max_kl       limit of the mean KL divergence in nats, on every text of `validate`, else on the part of `calibrate`
                 that is held out; max_perplexity_increase: of perplexity, in percent above the unquantized model's;
                 min_top1: the least percent of equal first choices; of a graph both are of its outputs called logits,
                 and max_error limits the square of each output's error beside the output's own. Where one is missed
                 nothing is written, and the error is of the code GATE_FAILED; keep: write it all the same
    kv           format of a decoder's cache, "int8", or of keys and values, "int8,int4"; with latest and first
                 positions in f16, "int4_asym_g32_zf,int4_asym_g32_zf,recent=32,first=16", and on the host keys ahead of
                 their rotation, "int4_asym_g32_zf,f16,before_rotary"; kv_format: of single layers,
                 "cache.LAYER.key=FORMAT", "cache.LAYER.value=FORMAT" or "re:PATTERN=FORMAT", or a list of those; the
                 words "recent=32", "first=16" behind a format are of that layer's keys and values, "before_rotary" of
                 its keys
    target       "host" or "cuda"; arch: the GPUs that machine code is made for, cpu: the processor of the host
    sum_order    on the host: "sm_90a", whose kernels' order of sums is followed, to compare results; slow
    tokenizer    tokenizer.json; default: the one beside the model
    context      longest sequence; default and limit: as the model says, else 2048
    threads      that the compiler has at once; default: all processors
    strict       an error where an operation has no kernel family
    """
    from . import _compiler

    options = CompileOptions(
        as_=as_,
        input=input,
        weights=weights,
        lm_head=lm_head,
        embedding=embedding,
        format=format,
        activations=activations,
        activation_format=activation_format,
        calibrate=calibrate,
        algorithm=algorithm,
        calibrate_tokens=calibrate_tokens,
        calibrate_inputs=calibrate_inputs,
        tune=tune,
        store=store,
        bits=bits,
        max_size=max_size,
        max_memory=max_memory,
        batch=batch,
        max_latency=max_latency,
        host_rates=host_rates,
        moves=moves,
        candidates=candidates,
        kv_candidates=kv_candidates,
        plan=plan,
        save_plan=save_plan,
        validate=validate,
        max_kl=max_kl,
        max_perplexity_increase=max_perplexity_increase,
        min_top1=min_top1,
        max_error=max_error,
        keep=keep,
        kv=kv,
        kv_format=kv_format,
        target=target,
        arch=arch,
        sum_order=sum_order,
        tokenizer=tokenizer,
        context=context,
        cpu=cpu,
        threads=threads,
        strict=strict,
    )
    filled = fill(_compiler, model, {**options, **unknown})
    if output is not None:
        filled.output = path("output", output)
    result = _compiler.compile(filled)
    result["warnings"] = [python_names(warning) for warning in result["warnings"]]
    for warning in result["warnings"]:
        warnings.warn(warning, stacklevel=2)
    result["weights"] = [WeightSummary(*weight) for weight in result["weights"]]
    if found := result["validation"]:
        found["slices"] = [SliceSummary(*entry) for entry in found["slices"]]
        found["outputs"] = [OutputSummary(*entry) for entry in found["outputs"]]
        found["gates"] = [GateSummary(*entry) for entry in found["gates"]]
        result["validation"] = ValidationSummary(**found)
    return CompileSummary(**result)


def check(model: str | os.PathLike[str], **options: Unpack[CompileOptions]) -> dict[str, Any]:
    """What would come of `compile`, in seconds and without reading weights: operators and what becomes of them, layers
    that were recognised, formats, bytes of the artifact, of compiling and of serving, predicted steps, lost fusions,
    and everything that stands in the way. The keys are those of docs/check.schema.json; `problems` is empty where the
    compilation would succeed. The options are those of `compile`; one that does not exist or is of a wrong type is an
    error."""
    from . import _compiler

    return json.loads(_compiler.check(fill(_compiler, model, options)))


def blame(model: str | os.PathLike[str], **options: Unpack[CompileOptions]) -> BlameSummary:
    """Which layers of the artifact that `compile` would write lose most, on the texts of `validate`, else on the part
    of `calibrate` that is held out. Takes two evaluations for each layer and writes nothing; the options are those of
    `compile`."""
    from . import _compiler

    found = _compiler.blame(fill(_compiler, model, options))
    found["layers"] = [LayerBlame(**layer) for layer in found["layers"]]
    return BlameSummary(**found)


def emit(model: str | os.PathLike[str], stage: str, **options: Unpack[CompileOptions]) -> str:
    """The IR of a stage ("onnx", "qopt", "quantized", …) as text; the options are those of `compile`."""
    from . import _compiler

    return _compiler.emit(fill(_compiler, model, options), text("stage", stage))
