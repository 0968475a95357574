// The longest sequence of a decoder: what was asked, at most what the model and
// its tables allow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/DecoderContext.h"
#include "dialects/QOpt/QOptOps.h"

using namespace mlir;

namespace qopt::driver {

/// The longest sequence where neither the user nor the model says one.
constexpr int64_t defaultContext = 2048;

/// The longest position that the tables of a decoder have rows for: look-ups by
/// position bound the context.
static int64_t tableContext(func::FuncOp step) {
  int64_t rows = 0;
  step.walk([&](ir::EmbeddingOp op) {
    if (!op.getIds().getDefiningOp<ir::PositionsOp>())
      return;
    int64_t table = op.getWeight().getType().getRows();
    rows = rows ? std::min(rows, table) : table;
  });
  return rows;
}

StatusOr<int64_t> contextOf(func::FuncOp step, const CompileOptions &options,
                            const Companions &companions) {
  int64_t limit = tableContext(step);
  if (companions.context && options.context > companions.context)
    return Status(StatusCode::Infeasible,
                  "a context of " + std::to_string(options.context) +
                      " was asked for; " + companions.contextSource + " " +
                      std::to_string(companions.context));
  int64_t context = options.context      ? options.context
                    : companions.context ? companions.context
                    : limit              ? limit
                                         : defaultContext;
  if (!limit || context <= limit)
    return context;
  if (!options.context)
    return limit;
  return Status(StatusCode::Infeasible,
                "a context of " + std::to_string(context) +
                    " was asked for; the model's position tables end at " +
                    std::to_string(limit));
}

func::FuncOp decoderStep(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr("qopt.decoder"))
      return func;
  return nullptr;
}

Status setContext(ModuleOp module, const CompileOptions &options,
                  const Companions &companions) {
  func::FuncOp step = decoderStep(module);
  if (!step)
    return Status();
  StatusOr<int64_t> context = contextOf(step, options, companions);
  if (!context.ok())
    return context.status();
  step->setAttr(ir::contextAttribute,
                Builder(step.getContext()).getI64IntegerAttr(*context));
  return Status();
}

} // namespace qopt::driver
