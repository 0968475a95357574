// Runs one function for one session: holds its code and constants, keeps a
// program for each combination of sizes that came recently, and the queue and
// the working memory that they share. Not thread-safe; every session has its
// own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EXECUTOR_H
#define QOPT_RUNTIME_EXECUTOR_H

#include "runtime/LoadedModel.h"

#include <list>
#include <memory>
#include <span>
#include <vector>

namespace qopt::runtime {

class Executor {
public:
  /// `function` is an index into the plan.
  Executor(std::shared_ptr<const LoadedModel> model,
           std::shared_ptr<Device> device, uint32_t function);

  /// Loads the code of the function's steps, so that what cannot run here is
  /// said before anything else is loaded.
  Status loadCode();
  /// Makes the queue, and loads the constants where the device has its own
  /// memory.
  Status loadConstants();
  /// The most of what launches of these sizes work in.
  StatusOr<WorkingMemory>
  workingMemory(std::span<const SymbolInputs> sizes) const;
  /// Takes at least so much from now on, before the first launch that needs it.
  Status reserve(const WorkingMemory &memory);

  const plan::Function &function() const { return *planFunction; }
  const ArtifactFile &artifact() const { return *model->file(); }
  Device &device() const { return *target; }

  /// The function bound to these sizes; valid until the next call.
  StatusOr<const BoundFunction *> bind(const SymbolInputs &inputs);

  /// The same by itself, without a program: from any thread.
  StatusOr<std::shared_ptr<const BoundFunction>>
  sizesOf(const SymbolInputs &inputs) const;

  /// Launches what the last `bind` returned and waits for it. Queue and working
  /// memory are filled in here. After a failure the next launch starts anew.
  Status run(LaunchMemory memory);

  /// Bytes of working memory held.
  size_t memory() const {
    return (arena ? arena->size() : 0) + (staging ? staging->size() : 0);
  }

private:
  struct Entry {
    std::shared_ptr<const BoundFunction> bound;
    std::unique_ptr<Program> program;
    WorkingMemory memory;
  };
  /// A program of these sizes; a failure with an empty input names it.
  StatusOr<Entry> prepare(const SymbolInputs &inputs);
  StatusOr<Entry> prepareSizes(const SymbolInputs &inputs);
  Status growMemory();
  /// Drops what a failed launch may have left half done.
  void startAnew();

  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<Device> target;
  const plan::Function *planFunction;
  // In this order: programs end before what they work with.
  std::vector<std::shared_ptr<Module>> code;
  std::vector<std::shared_ptr<DeviceMemory>> constants;
  std::unique_ptr<DeviceQueue> queue;
  WorkingMemory needed;
  std::unique_ptr<DeviceMemory> arena, staging;
  std::list<Entry> entries; ///< most recent first
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_EXECUTOR_H
