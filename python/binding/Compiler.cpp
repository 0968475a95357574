// qopt._compiler: include/qopt/Compiler.h for python/qopt/compiler.py.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Compiler.h"
#include "python/binding/StatusError.h"
#include "tools/cli/DescribeCheck.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace qopt::python {
namespace {

void bindOptions(nb::module_ &m) {
  nb::enum_<ModelKind>(m, "ModelKind")
      .value("Automatic", ModelKind::Automatic)
      .value("Decoder", ModelKind::Decoder)
      .value("Graph", ModelKind::Graph);
  nb::enum_<TargetDevice>(m, "TargetDevice")
      .value("Host", TargetDevice::Host)
      .value("Cuda", TargetDevice::Cuda);
  nb::class_<CompileOptions>(m, "CompileOptions")
      .def(nb::init<>())
      .def_rw("model", &CompileOptions::model)
      .def_rw("output", &CompileOptions::output)
      .def_rw("tokenizer", &CompileOptions::tokenizer)
      .def_rw("as_", &CompileOptions::kind)
      .def_rw("weights", &CompileOptions::weights)
      .def_rw("lm_head", &CompileOptions::lmHead)
      .def_rw("embedding", &CompileOptions::embedding)
      .def_rw("format", &CompileOptions::formats)
      .def_rw("activations", &CompileOptions::activations)
      .def_rw("activation_format", &CompileOptions::activationFormats)
      .def_rw("calibrate", &CompileOptions::calibrate)
      .def_rw("algorithm", &CompileOptions::algorithm)
      .def_rw("calibrate_tokens", &CompileOptions::calibrateTokens)
      .def_rw("calibrate_inputs", &CompileOptions::calibrateInputs)
      .def_rw("tune", &CompileOptions::tune)
      .def_rw("store", &CompileOptions::store)
      .def_rw("bits", &CompileOptions::bits)
      .def_rw("max_size", &CompileOptions::maxSize)
      .def_rw("max_memory", &CompileOptions::maxMemory)
      .def_rw("batch", &CompileOptions::batch)
      .def_rw("max_latency", &CompileOptions::maxLatency)
      .def_rw("host_rates", &CompileOptions::hostRates)
      .def_rw("moves", &CompileOptions::moves)
      .def_rw("candidates", &CompileOptions::candidates)
      .def_rw("kv_candidates", &CompileOptions::cacheCandidates)
      .def_rw("plan", &CompileOptions::plan)
      .def_rw("save_plan", &CompileOptions::savePlan)
      .def_rw("validate", &CompileOptions::validate)
      .def_rw("max_kl", &CompileOptions::mostDivergence)
      .def_rw("max_perplexity_increase",
              &CompileOptions::mostPerplexityIncrease)
      .def_rw("min_top1", &CompileOptions::leastSameTop)
      .def_rw("max_error", &CompileOptions::mostError)
      .def_rw("keep", &CompileOptions::keep)
      .def_rw("kv", &CompileOptions::cache)
      .def_rw("input", &CompileOptions::inputs)
      .def_rw("kv_format", &CompileOptions::cacheFormats)
      .def_rw("target", &CompileOptions::target)
      .def_rw("arch", &CompileOptions::architectures)
      .def_rw("sum_order", &CompileOptions::sumOrder)
      .def_rw("cpu", &CompileOptions::cpu)
      .def_rw("context", &CompileOptions::context)
      .def_rw("threads", &CompileOptions::threads)
      .def_rw("strict", &CompileOptions::strict);
}

nb::list describe(const std::vector<WeightSummary> &weights) {
  nb::list list;
  for (const WeightSummary &weight : weights)
    list.append(nb::make_tuple(weight.name, weight.format, weight.rows,
                               weight.columns, weight.bytes));
  return list;
}

nb::dict describe(const Prediction &predicted) {
  nb::list terms;
  for (const PredictedTerm &term : predicted.terms)
    terms.append(nb::make_tuple(term.name, term.seconds, term.why));
  nb::dict dict;
  dict["seconds"] = predicted.seconds;
  dict["bytes"] = predicted.bytes;
  dict["flops"] = predicted.flops;
  dict["roof_part"] = predicted.roofPart;
  dict["terms"] = terms;
  return dict;
}

nb::list describe(const std::vector<KernelSummary> &kernels) {
  nb::list list;
  for (const KernelSummary &kernel : kernels) {
    nb::dict dict;
    dict["architecture"] = kernel.architecture;
    dict["symbol"] = kernel.symbol;
    dict["family"] = kernel.family;
    dict["schedule"] = kernel.schedule;
    dict["why"] = kernel.why;
    dict["most_tokens"] = kernel.most;
    dict["least_tokens"] = kernel.least;
    dict["launches"] = kernel.launches;
    dict["threads"] = kernel.threads;
    dict["registers"] = kernel.registers;
    dict["shared_bytes"] = kernel.sharedBytes;
    dict["code_bytes"] = kernel.codeBytes;
    dict["predicted_tokens"] = kernel.tokens;
    dict["predicted"] = describe(kernel.predicted);
    list.append(dict);
  }
  return list;
}

void describe(const StepLaunches &of, nb::dict dict) {
  dict["launches"] = of.launches;
  dict["predicted"] = describe(of.predicted);
}

nb::list describe(const std::vector<StepSummary> &steps) {
  nb::list list;
  for (const StepSummary &step : steps) {
    nb::dict dict;
    dict["architecture"] = step.architecture;
    dict["part"] = step.part;
    dict["sequences"] = step.sequences;
    dict["context"] = step.context;
    describe(step.greedy, dict);
    if (step.sampling) {
      nb::dict sampling;
      describe(*step.sampling, sampling);
      dict["sampling"] = sampling;
    }
    list.append(dict);
  }
  return list;
}

nb::dict describe(const ValidationSummary &validation) {
  nb::list texts, slices, outputs, gates;
  for (const ValidationText &text : validation.texts)
    texts.append(nb::make_tuple(text.name, text.file, text.sha256));
  for (const SliceSummary &slice : validation.slices)
    slices.append(nb::make_tuple(
        slice.name, slice.windows, slice.predictions, slice.perplexity,
        slice.referencePerplexity, slice.perplexityIncrease, slice.divergence,
        nb::make_tuple(slice.divergenceLow, slice.divergenceHigh),
        slice.divergence99, slice.mostDivergence, slice.sameTop));
  for (const OutputSummary &output : validation.outputs) {
    nb::object none = nb::none();
    auto ofRows = [&](nb::object value) {
      return output.hasLogits ? value : none;
    };
    outputs.append(nb::make_tuple(
        output.slice, output.output, output.samples, output.rows, output.error,
        nb::make_tuple(output.errorLow, output.errorHigh),
        ofRows(nb::float_(output.divergence)),
        ofRows(nb::make_tuple(output.divergenceLow, output.divergenceHigh)),
        ofRows(nb::float_(output.divergence99)),
        ofRows(nb::float_(output.mostDivergence)),
        ofRows(nb::float_(output.sameTop))));
  }
  for (const GateSummary &gate : validation.gates)
    gates.append(nb::make_tuple(gate.option, gate.slice, gate.limit, gate.value,
                                gate.isMet(), gate.output));
  nb::dict dict;
  dict["device"] = validation.device;
  dict["texts"] = texts;
  dict["slices"] = slices;
  dict["outputs"] = outputs;
  dict["gates"] = gates;
  return dict;
}

/// What `work` returns, while other threads of Python go on; its error is
/// thrown.
template <typename Work> auto unlocked(const Work &work) {
  auto outcome = [&] {
    nb::gil_scoped_release release;
    return work();
  }();
  return valueOf(std::move(outcome));
}

nb::dict compileModel(const CompileOptions &options) {
  CompileSummary summary = unlocked([&] { return compile(options); });
  nb::dict dict;
  dict["output"] = summary.output;
  dict["kind"] = summary.kind == ModelKind::Decoder ? "decoder" : "graph";
  dict["layers"] = summary.layers;
  dict["raised_layers"] = summary.raisedLayers;
  dict["generic_kernels"] = summary.genericKernels;
  dict["remarks"] = summary.remarks;
  dict["warnings"] = summary.warnings;
  dict["weights"] = describe(summary.weights);
  dict["kernels"] = describe(summary.kernels);
  dict["steps"] = describe(summary.steps);
  dict["parameters"] = summary.parameters;
  dict["weight_bytes"] = summary.weightBytes;
  dict["artifact_bytes"] = summary.artifactBytes;
  dict["validation"] = nb::none();
  if (summary.validation)
    dict["validation"] = describe(*summary.validation);
  return dict;
}

nb::dict describe(const LayerBlame &layer) {
  nb::list weights;
  for (size_t i = 0; i < layer.weights.size(); ++i)
    weights.append(nb::make_tuple(layer.weights[i], layer.formats[i]));
  nb::dict dict;
  dict["name"] = layer.name;
  dict["place"] = layer.place;
  dict["kl_recovered"] = layer.recovered;
  dict["kl"] = layer.divergence;
  dict["kl_added"] = layer.added;
  dict["weights"] = weights;
  return dict;
}

nb::dict blameModel(const CompileOptions &options) {
  BlameSummary summary = unlocked([&] { return blame(options); });
  nb::list layers;
  for (const LayerBlame &layer : summary.layers)
    layers.append(describe(layer));
  nb::dict dict;
  dict["device"] = summary.device;
  dict["kl"] = summary.divergence;
  dict["kl_restored"] = summary.restored;
  dict["kl_floor"] = summary.floor;
  dict["perplexity"] = summary.isOfGraph
                           ? nb::object(nb::none())
                           : nb::object(nb::float_(summary.perplexity));
  dict["layers"] = layers;
  return dict;
}

/// JSON, as docs/check.schema.json describes it.
std::string checkModel(const CompileOptions &options) {
  CheckSummary found = unlocked([&] { return check(options); });
  return cli::describeCheck(found, options).dump();
}

std::string emit(const CompileOptions &options, const std::string &stage) {
  for (const StageName &name : stageNames)
    if (stage == name.name)
      return unlocked([&] { return emitStage(options, name.stage); });
  std::string names;
  for (const StageName &name : stageNames)
    names += std::string(names.empty() ? "" : ", ") + name.name;
  throw StatusError({StatusCode::InvalidArgument,
                     "stage \"" + stage + "\" is not one of " + names});
}

} // namespace
} // namespace qopt::python

NB_MODULE(_compiler, m) {
  m.doc() = "The compiler of qopt; use qopt.compile.";
  qopt::python::registerStatusError();
  qopt::python::bindOptions(m);
  m.def("compile", &qopt::python::compileModel, "options"_a,
        nb::sig("def compile(options: CompileOptions) -> "
                "dict[str, typing.Any]"));
  m.def("blame", &qopt::python::blameModel, "options"_a,
        nb::sig("def blame(options: CompileOptions) -> "
                "dict[str, typing.Any]"));
  m.def("check", &qopt::python::checkModel, "options"_a);
  m.def("emit", &qopt::python::emit, "options"_a, "stage"_a);
}
