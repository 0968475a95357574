// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ModelCheck.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/ServedMemory.h"
#include "lib/Driver/Validation.h"
#include "llvm/ADT/StringSet.h"
#include <fstream>

using namespace mlir;

namespace qopt::driver {

namespace {

/// Names of the nodes that operations of a module come from.
struct NodeNames {
  llvm::StringSet<> families, generic;

  void add(Operation *op) {
    llvm::StringSet<> &names = isa<ir::GeneratedOp>(op) ? generic : families;
    Location(op->getLoc())->walk([&](Location inner) {
      if (auto name = dyn_cast<NameLoc>(inner))
        insert(onnx::printableName(name.getName().str()), names);
      return WalkResult::advance();
    });
  }

private:
  /// A node of a function has the names of the calls around it ahead of its
  /// own.
  static void insert(StringRef name, llvm::StringSet<> &names) {
    for (names.insert(name); name.contains('/');)
      names.insert(name = name.split('/').second);
  }
};

} // namespace

/// The operations that stand for kernels, in the functions of the model; those
/// of generated kernels are no nodes of it.
static NodeNames namesIn(ModuleOp module) {
  NodeNames names;
  for (auto function : module.getOps<func::FuncOp>())
    function.walk([&](Operation *op) {
      if (isa_and_nonnull<ir::QOptDialect>(op->getDialect()) &&
          !isa<ir::WeightOp, ir::PackWeightOp, ir::QuantizeWeightOp,
               ir::ConcatWeightsOp>(op))
        names.add(op);
    });
  return names;
}

void describeImport(const import::ImportReport &report, ModuleOp module,
                    CheckSummary &summary) {
  NodeNames names = module ? namesIn(module) : NodeNames();
  for (const import::OperatorUse &use : report.operators) {
    OperatorCheck check{use.op, use.domain, use.opset};
    check.nodes = int64_t(use.nodes.size());
    check.isSupported = use.isKnown;
    for (const std::string &node :
         module ? use.nodes : std::vector<std::string>())
      ++(names.families.contains(node)  ? check.families
         : names.generic.contains(node) ? check.generic
                                        : check.absorbed);
    summary.operators.push_back(std::move(check));
  }
  for (const import::MissingFile &missing : report.missing) {
    summary.absent.push_back({missing.file, missing.bytes, missing.tensors});
    summary.compilation.warnings.push_back(
        missing.reason + "; " + std::to_string(missing.tensors) +
        " tensors need " + std::to_string(missing.bytes) + " bytes of it");
  }
}

/// A problem of no node. Messages say what is wrong, then, behind a semicolon,
/// what was expected or what to do.
static CheckProblem problemOf(StatusCode code, const std::string &text) {
  CheckProblem problem;
  problem.code = code;
  size_t line = text.find('\n');
  std::string first = text.substr(0, line);
  size_t end = first.find("; ");
  problem.reason = first.substr(0, end);
  if (end != std::string::npos)
    problem.nextStep = first.substr(end + 2);
  if (line != std::string::npos)
    problem.reason += text.substr(line);
  return problem;
}

static CheckProblem problemOf(const import::OperatorUse &use) {
  CheckProblem problem;
  problem.code = StatusCode::Unsupported;
  problem.node = use.nodes.front();
  problem.op = use.op;
  problem.domain = use.domain;
  problem.opset = use.opset;
  problem.reason = "the operator is not supported";
  if (!use.reason.empty())
    problem.reason += ", " + use.reason;
  if (use.nodes.size() > 1)
    problem.reason += " (" + std::to_string(use.nodes.size()) + " nodes)";
  problem.nextStep = "export the model without it; docs/operators.md lists "
                     "what is read";
  return problem;
}

void addProblems(const Status &failure, const import::ImportReport &report,
                 const std::vector<DiagnosticCollector::Error> &errors,
                 CheckSummary &summary) {
  size_t before = summary.problems.size();
  for (const std::string &opset : report.opsets)
    summary.problems.push_back(problemOf(failure.code(), opset));
  for (const import::OperatorUse &use : report.operators)
    if (!use.isKnown && !use.nodes.empty())
      summary.problems.push_back(problemOf(use));
  for (const DiagnosticCollector::Error &error : errors) {
    StringRef text = error.text;
    if (error.origin)
      text.consume_front(onnx::describe(*error.origin) + ": ");
    CheckProblem problem = problemOf(failure.code(), text.str());
    if (error.origin) {
      problem.node = onnx::printableName(error.origin->name);
      problem.op = onnx::printableName(error.origin->opType);
      problem.domain = error.origin->domain.empty()
                           ? ""
                           : onnx::printableName(error.origin->domain);
      problem.opset = error.origin->opset;
    }
    summary.problems.push_back(std::move(problem));
  }
  if (summary.problems.size() == before)
    summary.problems.push_back(problemOf(failure.code(), failure.message()));
}

Status describeServing(const std::string &path, const CompileOptions &options,
                       const calibrate::CalibrationSamples *samples,
                       CheckSummary &summary) {
  auto artifact = openSized(path);
  if (!artifact.ok())
    return artifact.status();
  summary.serving = {
      {"weights and constants", uint64_t(runtime::constantBytes(**artifact))}};
  summary.batch = options.batch;
  if (!(*artifact)->isDecoder()) {
    if (!samples)
      return Status();
    auto work = graphWorkBytes(**artifact, options, *samples);
    if (!work.ok())
      return work.status();
    summary.serving.push_back(
        {"work on " + std::to_string(options.batch) + " samples",
         uint64_t(*work)});
    return Status();
  }
  runtime::ServedBatch batch = servedBatch(options, **artifact);
  summary.context = batch.positions;
  auto parts = runtime::servingParts(**artifact, batch);
  if (!parts.ok())
    return parts.status();
  for (const runtime::MemoryPart &part : *parts)
    summary.serving.push_back({part.what, uint64_t(part.bytes)});
  return Status();
}

std::vector<std::string> uncheckedOptions(const CompileOptions &options) {
  std::vector<std::string> unchecked;
  auto add = [&](bool isGiven, const char *option) {
    if (isGiven)
      unchecked.push_back(option);
  };
  add(!options.calibrate.empty(), "--calibrate");
  add(!options.maxLatency.empty(), "--max-latency");
  add(options.moves > 0, "--moves");
  add(options.tune > 0, "--tune");
  add(!options.validate.empty(), "--validate");
  add(options.mostDivergence.has_value(), "--max-kl");
  add(options.mostPerplexityIncrease.has_value(), "--max-perplexity-increase");
  add(options.leastSameTop.has_value(), "--min-top1");
  add(options.mostError.has_value(), "--max-error");
  return unchecked;
}

uint64_t peakBytes() {
  // What getrusage says may be that of the program before exec.
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmHWM:")
    ;
  uint64_t kibibytes = 0;
  status >> kibibytes;
  return kibibytes * 1024;
}

} // namespace qopt::driver
