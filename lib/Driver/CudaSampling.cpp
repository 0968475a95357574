// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSampling.h"

#include "lib/Driver/KernelSummaries.h"
#include "lib/Driver/LaunchSteps.h"
#include "lib/Kernels/Argmax/ArgmaxGenerator.h"
#include "lib/Kernels/Sampling/SamplingGenerator.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/SelectedKernels.h"

using namespace mlir;
using namespace qopt::kernels;
using qopt::ir::KernelFamily;

namespace qopt::driver {
namespace {

class SamplingSteps {
public:
  SamplingSteps(plan::FunctionT &plan, func::ReturnOp end, CudaKernels &kernels)
      : plan(plan), end(end), kernels(kernels) {}

  Status add();

private:
  uint32_t symbol(plan::SymbolKind kind, uint32_t lhs = 0, uint32_t rhs = 0,
                  int64_t value = 0) {
    auto symbol = std::make_unique<plan::SymbolT>();
    symbol->kind = kind;
    symbol->lhs = lhs;
    symbol->rhs = rhs;
    symbol->value = value;
    plan.symbols.push_back(std::move(symbol));
    return uint32_t(plan.symbols.size() - 1);
  }
  /// `count` for each logit row.
  uint32_t perRow(int64_t count) {
    return symbol(plan::SymbolKind::Mul, rows,
                  symbol(plan::SymbolKind::Const, 0, 0, count));
  }
  uint32_t value(plan::DType type, uint32_t size, plan::Storage storage) {
    auto value = std::make_unique<plan::ValueT>();
    value->dtype = type;
    value->shape = {size};
    value->storage = storage;
    plan.values.push_back(std::move(value));
    return uint32_t(plan.values.size() - 1);
  }
  /// Makes the kernels of a family, one variant each; calls `each` with every
  /// schedule.
  template <typename Schedule, typename Problem>
  Status addVariants(LaunchStep &step, KernelFamily family,
                     const Problem &problem,
                     llvm::function_ref<void(const Schedule &)> each);
  void finish(LaunchStep step, plan::StepUse use);
  Status addArgmax(const argmax::Problem &problem);
  Status addDraw(const sampling::Problem &problem);

  plan::FunctionT &plan;
  func::ReturnOp end;
  CudaKernels &kernels;
  uint32_t rows = 0;   ///< symbol
  uint32_t logits = 0; ///< values
  uint32_t tokens = 0;
};

} // namespace

template <typename Schedule, typename Problem>
Status
SamplingSteps::addVariants(LaunchStep &step, KernelFamily family,
                           const Problem &problem,
                           llvm::function_ref<void(const Schedule &)> each) {
  Status broken(StatusCode::Internal, "a decoder's end has other kernels than "
                                      "those that choose tokens");
  for (size_t index = 0; index < kernels.targets(); ++index) {
    const target::Target &target = kernels.target(index);
    auto selected = passes::selectedKernels(end, target);
    if (failed(selected))
      return broken;
    for (ir::KernelAttr kernel : *selected) {
      if (kernel.getFamily() != family)
        continue;
      FailureOr<Schedule> schedule = passes::scheduleOf<Schedule>(end, kernel);
      if (failed(schedule))
        return broken;
      std::string symbol = symbolOf(problem, target);
      if (kernel.getMost())
        symbol += "_most_" + std::to_string(kernel.getMost());
      LaunchShape shape = launchOf(problem, *schedule);
      auto describe = [&] {
        KernelSummary summary;
        summary.threads = shape.threads;
        summary.sharedBytes = shape.sharedBytes;
        summary.why =
            reasonOf(kernel.getMost() ? chooseSchedule(problem, target)
                                      : chooseUncounted(problem, target),
                     kernel.getSchedule());
        summary.predicted = predictionOf(costOf(problem, *schedule, 1, target));
        return summary;
      };
      QOPT_RETURN_IF_ERROR(
          kernels.add(index, CudaKernels::selectedBy(kernel), symbol, describe,
                      [&](gpu::GPUModuleOp module) {
                        return buildKernel(module, problem, *schedule, target);
                      }));
      step.variant(target, index, uint64_t(kernel.getMost()), symbol,
                   {perRow(shape.blocksPerRow)}, shape.threads,
                   shape.sharedBytes);
      if (!kernel.getMost() && schedule->blocksPerRow > 1)
        return Status(StatusCode::Internal,
                      "a kernel that chooses tokens of any number of rows has "
                      "several blocks for each");
      step.atLeastCounters(4 * counters(*schedule, kernel.getMost()));
      each(*schedule);
    }
  }
  return {};
}

void SamplingSteps::finish(LaunchStep launch, plan::StepUse use) {
  auto step = std::make_unique<plan::StepT>();
  step->operation.Set(launch.take());
  step->origin =
      use == plan::StepUse::Greedy ? "the largest logit" : "sampling";
  step->use = use;
  plan.steps.push_back(std::move(step));
}

Status SamplingSteps::addArgmax(const argmax::Problem &problem) {
  LaunchStep step(rows);
  int64_t bytes = 4;
  QOPT_RETURN_IF_ERROR(addVariants<argmax::Schedule>(
      step, KernelFamily::Argmax, problem,
      [&](const argmax::Schedule &schedule) {
        bytes = std::max(bytes, argmax::workspaceBytes(schedule, 1));
      }));
  step.read(logits);
  step.write(tokens);
  step.write(value(plan::DType::U8, perRow(bytes), plan::Storage::Arena));
  step.counters();
  finish(std::move(step), plan::StepUse::Greedy);
  return {};
}

Status SamplingSteps::addDraw(const sampling::Problem &problem) {
  LaunchStep step(rows);
  QOPT_RETURN_IF_ERROR(
      addVariants<sampling::Schedule>(step, KernelFamily::Sampling, problem,
                                      [](const sampling::Schedule &) {}));
  step.read(logits);
  step.state(plan::ArgumentKind::SamplingRecords);
  step.state(plan::ArgumentKind::SeenTokens);
  step.write(tokens);
  step.write(value(plan::DType::U8,
                   perRow(sampling::workspaceBytes(problem, 1)),
                   plan::Storage::Arena));
  step.counters();
  finish(std::move(step), plan::StepUse::Sampling);
  return {};
}

Status SamplingSteps::add() {
  auto greedy = passes::problemOf(end);
  auto drawn = passes::samplingProblemOf(end);
  if (!greedy || !drawn)
    return Status(StatusCode::Internal, "a decoder's end has kernels that "
                                        "choose tokens, and no logits");
  rows = symbol(plan::SymbolKind::LogitRows);
  logits = plan.outputs[0];
  tokens = value(plan::DType::I32, rows, plan::Storage::Output);
  plan.values[tokens]->name = "tokens";
  plan.values[tokens]->index = 1;
  plan.outputs.push_back(tokens);
  QOPT_RETURN_IF_ERROR(addArgmax(*greedy));
  return addDraw(*drawn);
}

Status addSampling(plan::FunctionT &plan, func::FuncOp func,
                   CudaKernels &kernels, CompileSummary &summary) {
  auto end = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  if (end->hasAttr(ir::kernelsAttribute))
    return SamplingSteps(plan, end, kernels).add();
  if (func->hasAttr("qopt.decoder"))
    summary.remarks.push_back("tokens are chosen on the host: no kernel "
                              "chooses among so many");
  return {};
}

} // namespace qopt::driver
