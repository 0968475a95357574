// Runs one function for one session: keeps a program for each combination of
// sizes that came recently, and the arena that they share. Not thread-safe;
// every session has its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EXECUTOR_H
#define QOPT_RUNTIME_EXECUTOR_H

#include "runtime/LoadedModel.h"

#include <list>
#include <memory>

namespace qopt::runtime {

class Executor {
public:
  /// `function` is an index into the plan.
  Executor(std::shared_ptr<const LoadedModel> model,
           std::shared_ptr<Device> device, uint32_t function);

  /// Loads the code that the function's steps call, so that what cannot run
  /// here is said before anything runs.
  Status loadCode();

  const plan::Function &function() const { return *planFunction; }
  Device &device() const { return *target; }

  /// The function bound to these sizes; valid until the next call.
  StatusOr<const BoundFunction *> bind(const SymbolInputs &inputs);

  /// Launches what the last `bind` returned and waits for it. `arena` is filled
  /// in here.
  Status run(LaunchMemory memory);

  /// Bytes of working memory held.
  size_t memory() const { return arena ? arena->size() : 0; }

private:
  struct Entry {
    std::shared_ptr<const BoundFunction> bound;
    std::unique_ptr<Program> program;
  };
  /// A program of these sizes; a failure with an empty input names it.
  StatusOr<Entry> prepare(const SymbolInputs &inputs);
  StatusOr<Entry> prepareSizes(const SymbolInputs &inputs);

  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<Device> target;
  const plan::Function *planFunction;
  std::list<Entry> entries; ///< most recent first
  std::unique_ptr<DeviceMemory> arena;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_EXECUTOR_H
