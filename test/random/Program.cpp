// The stages are those of lib/Driver/Compiler.cpp behind the stage raise.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Program.h"
#include "Interpreter.h"
#include "Numbers.h"
#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Host/HostCodegen.h"
#include "lib/Driver/ActivationOption.h"
#include "lib/Driver/ArtifactBuilder.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/DiagnosticCollector.h"
#include "lib/Driver/StageOptions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include "qopt/Session.h"
#include "runtime/Devices.h"
#include "runtime/RaggedDecoder.h"
#include "llvm/Support/FileSystem.h"

#include <algorithm>
#include <optional>

using namespace mlir;

namespace qopt::programs {

/// Positions that a sequence of a decoder may have.
static constexpr int64_t mostPositions = 512;

bool Outcome::isLike(const Outcome &other) const {
  if (kind != other.kind)
    return false;
  // Names and numbers change with the program.
  auto words = [](const std::string &text) {
    std::string result;
    for (char c : text.substr(0, 60))
      if (!std::isdigit(static_cast<unsigned char>(c)))
        result += c;
    return result;
  };
  return kind != Kind::Fails || words(message) == words(other.message);
}

static DialectRegistry makeRegistry() {
  DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerHostCodegen(registry);
  codegen::registerCudaCodegen(registry);
  return registry;
}

/// One program on its way.
class Machine::Check {
public:
  Check(Machine &machine, double slack)
      : machine(machine), slack(slack), diagnostics(*machine.context, summary) {
  }

  Status run(const std::string &text);
  Outcome outcome;

private:
  Status read(const std::string &text);
  Status runPasses(ModuleOp module,
                   llvm::function_ref<void(OpPassManager &)> add);
  Status compile();
  Precision precision() const;
  Status runGraph(std::shared_ptr<const Artifact> artifact);
  Status runDecoder(std::shared_ptr<const Artifact> artifact);
  Batch makeBatch(const std::vector<int64_t> &run, int64_t step,
                  int64_t vocabulary,
                  std::vector<runtime::CachedSequence> &cached,
                  std::vector<runtime::TokenSlice> &slices);
  StatusOr<Bounded> makeInput(const TensorSpec &spec, int64_t tokens,
                              Tensor &tensor);
  Status compare(std::span<const float> got, const Bounded &expected,
                 const std::string &where);

  Machine &machine;
  double slack;
  CompileSummary summary;
  driver::DiagnosticCollector diagnostics;
  OwningOpRef<ModuleOp> module, quantized;
  Settings settings;
  CompileOptions options;
  Numbers random{0};
};

Status Machine::Check::read(const std::string &text) {
  module = parseSourceString<ModuleOp>(text, machine.context.get());
  if (!module)
    return Status(StatusCode::BadModel, "the program is no module");
  auto words = (*module)->getAttrOfType<ArrayAttr>("random.options");
  auto runs = (*module)->getAttrOfType<ArrayAttr>("random.runs");
  auto seed = (*module)->getAttrOfType<IntegerAttr>("random.seed");
  if (!words || !runs || !seed)
    return Status(StatusCode::InvalidArgument,
                  "the module lacks random.options, random.runs or "
                  "random.seed; test/random/Settings.h says what they are");
  std::vector<std::string> options;
  for (Attribute word : words)
    if (auto string = dyn_cast<StringAttr>(word))
      options.push_back(string.str());
  auto parsed = Settings::parse(options);
  if (!parsed.ok())
    return parsed.status();
  settings = *parsed;
  random = Numbers(uint64_t(seed.getInt()));
  for (Attribute run : runs) {
    std::vector<int64_t> counts;
    if (auto list = dyn_cast<ArrayAttr>(run))
      for (Attribute count : list)
        counts.push_back(cast<IntegerAttr>(count).getInt());
    settings.runs.push_back(counts);
  }
  return {};
}

Status
Machine::Check::runPasses(ModuleOp module,
                          llvm::function_ref<void(OpPassManager &)> add) {
  PassManager manager(machine.context.get());
  add(manager);
  if (succeeded(manager.run(module)))
    return {};
  return diagnostics.status(StatusCode::Internal, "a pass failed");
}

Status Machine::Check::compile() {
  options = settings.options();
  options.output = machine.folder.file("program.qopt");
  QOPT_RETURN_IF_ERROR(driver::parseCacheOption(options).status());
  QOPT_RETURN_IF_ERROR(driver::parseActivationOption(options).status());
  QOPT_RETURN_IF_ERROR(runPasses(*module, [&](OpPassManager &manager) {
    passes::addQuantizeStage(manager, driver::askedFormats(options));
  }));
  quantized = module->clone();
  bool gpu = settings.target == Target::Cuda,
       follows = !gpu && !settings.sumOrder.empty();
  QOPT_RETURN_IF_ERROR(runPasses(*module, [&](OpPassManager &manager) {
    (gpu || follows ? passes::addCudaFuseStage : passes::addFuseStage)(manager);
    if (gpu)
      passes::addCudaScheduleStage(manager, options.architectures);
    else if (follows)
      passes::addOrderedScheduleStage(manager, options.sumOrder);
    else
      passes::addHostScheduleStage(manager);
    (gpu ? passes::addCudaLowerStage : passes::addLowerStage)(manager);
  }));
  Status built = driver::buildArtifact(*module, {options, driver::Companions()},
                                       {}, summary);
  return built.ok() ? built : diagnostics.status(built.code(), built.message());
}

Precision Machine::Check::precision() const {
  Precision result;
  result.gpu = settings.target == Target::Cuda || !settings.sumOrder.empty();
  auto activations = driver::parseActivationOption(options);
  if (activations->type != "f32") {
    result.half = activations->type == "f16";
    result.narrow = result.half ? 0x1p-11 : 0x1p-8;
  }
  return result;
}

static std::string numberText(double x) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

Status Machine::Check::compare(std::span<const float> got,
                               const Bounded &expected,
                               const std::string &where) {
  if (got.size() != expected.numbers.size())
    return Status(StatusCode::Internal,
                  where + ": " + std::to_string(got.size()) +
                      " numbers, expected " +
                      std::to_string(expected.numbers.size()));
  ++outcome.runs;
  double largest = 0, bounds = 0;
  int64_t bounded = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    Real x = expected.numbers[i];
    ++outcome.numbers;
    if (!std::isfinite(x.most())) {
      ++outcome.unbounded;
      continue;
    }
    ++bounded;
    largest = std::max(largest, std::abs(x.value));
    double bound = reach * x.error * slack,
           distance = std::abs(double(got[i]) - x.value),
           ratio = distance == 0 ? 0 : distance / bound;
    bounds += bound;
    if (std::isnan(ratio))
      ratio = std::numeric_limits<double>::infinity();
    if (ratio > 1 && ratio > outcome.worst) {
      outcome.kind = Outcome::Kind::Differs;
      auto columns = size_t(expected.columns());
      outcome.message = where + ", row " + std::to_string(i / columns) +
                        ", column " + std::to_string(i % columns) + ": got " +
                        numberText(got[i]) + ", expected " +
                        numberText(x.value) + " within " + numberText(bound);
    }
    outcome.worst = std::max(outcome.worst, ratio);
  }
  if (bounded && largest > 0)
    outcome.looseness.push_back(bounds / double(bounded) / largest);
  return {};
}

/// Random numbers for an input of a graph, as its name says: "positions" rise,
/// "ids…_below_N" are rows of a table.
StatusOr<Bounded> Machine::Check::makeInput(const TensorSpec &spec,
                                            int64_t tokens, Tensor &tensor) {
  Bounded input;
  input.shape = {tokens};
  if (spec.shape.size() > 1)
    input.shape.push_back(std::stoll(spec.shape[1]));
  tensor = Tensor(spec.name, spec.type, input.shape);
  int64_t first = random.below(64), below = 0;
  if (size_t at = spec.name.find("_below_"); at != std::string::npos)
    below = std::stoll(spec.name.substr(at + 7));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (spec.type == DType::I32) {
      int64_t value = below ? random.below(below) : first + i;
      tensor.as<int32_t>()[i] = int32_t(value);
      input.numbers.push_back({double(value), 0});
    } else {
      auto value = float(random.normal());
      tensor.as<float>()[i] = value;
      input.numbers.push_back({value, 0});
    }
  }
  return input;
}

Status Machine::Check::runGraph(std::shared_ptr<const Artifact> artifact) {
  auto session = Session::create(
      artifact,
      {.threads = 1,
       .device = settings.target == Target::Cuda ? "emulator" : "host"});
  if (!session.ok())
    return session.status();
  Interpreter reference(*quantized->getOps<func::FuncOp>().begin(),
                        precision());
  for (const std::vector<int64_t> &run : settings.runs) {
    int64_t tokens = run.empty() ? 1 : run.front();
    std::map<std::string, Bounded> inputs;
    std::vector<Tensor> tensors(artifact->inputs().size());
    std::vector<TensorView> views;
    for (size_t i = 0; i < tensors.size(); ++i) {
      auto input = makeInput(artifact->inputs()[i], tokens, tensors[i]);
      if (!input.ok())
        return input.status();
      inputs[artifact->inputs()[i].name] = std::move(*input);
      views.push_back(tensors[i].view());
    }
    auto expected = reference.run(inputs);
    if (!expected.ok())
      return expected.status();
    auto got = (*session)->run(views);
    if (!got.ok())
      return got.status();
    const Tensor &y = got->front();
    QOPT_RETURN_IF_ERROR(compare({y.as<float>(), size_t(y.elements())},
                                 *expected,
                                 std::to_string(tokens) + " tokens"));
  }
  return {};
}

/// A step with so many tokens of each sequence; of every second slice only the
/// last row is asked. `slices` refer to the batch.
Batch Machine::Check::makeBatch(const std::vector<int64_t> &run, int64_t step,
                                int64_t vocabulary,
                                std::vector<runtime::CachedSequence> &cached,
                                std::vector<runtime::TokenSlice> &slices) {
  Batch batch;
  for (int64_t count : run)
    for (int64_t t = 0; t < count; ++t)
      batch.tokens.push_back(int32_t(random.below(vocabulary)));
  int64_t first = 0;
  for (size_t i = 0; i < run.size(); ++i) {
    if (!run[i])
      continue;
    bool all = (step + int64_t(i)) % 2 == 0;
    for (int64_t t = all ? 0 : run[i] - 1; t < run[i]; ++t)
      batch.selected.push_back(first + t);
    batch.slices.push_back({int(i), cached[i].length, run[i]});
    slices.push_back(
        {&cached[i],
         std::span(batch.tokens).subspan(size_t(first), size_t(run[i])),
         all ? runtime::LogitRows::All : runtime::LogitRows::Last});
    first += run[i];
  }
  return batch;
}

Status Machine::Check::runDecoder(std::shared_ptr<const Artifact> artifact) {
  auto found = runtime::openDevice(
      artifact->model()->plan(),
      settings.target == Target::Cuda ? "emulator" : "host", 1);
  if (!found.ok())
    return found.status();
  machine.device = *found;
  size_t sequences = 0;
  int64_t most = 1;
  for (const std::vector<int64_t> &run : settings.runs) {
    int64_t total = 0;
    for (int64_t count : run)
      total += count;
    most = std::max(most, total);
    sequences = std::max(sequences, run.size());
  }
  auto decoder = runtime::RaggedDecoder::create(
      artifact->model(), machine.device, int64_t(sequences) * mostPositions,
      {most, int64_t(sequences)});
  if (!decoder.ok())
    return decoder.status();
  std::vector<runtime::CachedSequence> cached(sequences);
  for (runtime::CachedSequence &sequence : cached)
    if (!(*decoder)->open(sequence, mostPositions))
      return Status(StatusCode::Internal, "a sequence has no pages");
  Interpreter reference(*quantized->getOps<func::FuncOp>().begin(),
                        precision());
  int64_t step = 0;
  for (const std::vector<int64_t> &run : settings.runs) {
    std::vector<runtime::TokenSlice> slices;
    Batch batch =
        makeBatch(run, step, (*decoder)->vocabulary(), cached, slices);
    auto expected = reference.run(batch);
    if (!expected.ok())
      return expected.status();
    auto got = (*decoder)->step(slices);
    if (!got.ok())
      return got.status();
    QOPT_RETURN_IF_ERROR(
        compare(*got, *expected, "step " + std::to_string(step++)));
  }
  return {};
}

Status Machine::Check::run(const std::string &text) {
  QOPT_RETURN_IF_ERROR(machine.folder.made());
  QOPT_RETURN_IF_ERROR(read(text));
  QOPT_RETURN_IF_ERROR(compile());
  auto artifact = Artifact::open(options.output, {.trust = true});
  // A mapped file stays readable.
  (void)llvm::sys::fs::remove(options.output);
  if (!artifact.ok())
    return artifact.status();
  if (!machine.device) { // kept, so that programs share its threads
    auto device = runtime::openDevice(
        (*artifact)->model()->plan(),
        settings.target == Target::Cuda ? "emulator" : "host", 1);
    if (!device.ok())
      return device.status();
    machine.device = *device;
  }
  return (*artifact)->isDecoder() ? runDecoder(*artifact) : runGraph(*artifact);
}

Outcome Machine::check(const std::string &text, double slack) {
  constexpr int programsOfContext = 32;
  if (programs++ % programsOfContext == 0) {
    context = std::make_unique<MLIRContext>(makeRegistry(),
                                            MLIRContext::Threading::DISABLED);
    context->printOpOnDiagnostic(false);
  }
  Check check(*this, slack);
  if (Status status = check.run(text); !status.ok()) {
    check.outcome.kind = Outcome::Kind::Fails;
    check.outcome.message = status.message();
  }
  return check.outcome;
}

} // namespace qopt::programs
