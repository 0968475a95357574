// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-bench/WorkloadMemory.h"

#include "runtime/BoundFunction.h"
#include "runtime/Devices.h"
#include "runtime/LoadedModel.h"
#include "runtime/MemoryBudget.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace qopt::bench {

/// The number that a file of the system holds behind `key`; the largest there
/// is where it holds none ("max").
static size_t readNumber(const char *path, const std::string &key = "") {
  std::ifstream file(path);
  size_t number = SIZE_MAX;
  std::string word;
  while (!key.empty() && file >> word && word != key)
    ;
  return file >> number ? number : SIZE_MAX;
}

/// What the system can still give, and no more than a container may have.
static size_t memoryLeft() {
  size_t left = readNumber("/proc/meminfo", "MemAvailable:");
  left = left == SIZE_MAX ? left : left * 1024;
  return std::min({left, readNumber("/sys/fs/cgroup/memory.max"),
                   readNumber("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

static size_t product(size_t a, size_t b) {
  size_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? SIZE_MAX / 8 : result;
}

/// A request's last token takes no position.
static int64_t longestSequence(const Workload &workload) {
  return std::max(workload.prompt,
                  workload.tokens ? workload.context + workload.tokens : 0);
}

int64_t cachePositions(const Artifact &artifact, const Workload &workload) {
  int64_t page = artifact.model()->plan().decoder()->page();
  return (longestSequence(workload) + page - 1) / page * page * workload.batch;
}

/// Of the larger of a step that reads prompts and one that writes a token for
/// each sequence.
static StatusOr<size_t> stepBytes(const Artifact &artifact,
                                  const Workload &workload,
                                  const runtime::Device &device) {
  const plan::Plan &plan = artifact.model()->plan();
  runtime::SymbolInputs sizes;
  sizes.sequences = sizes.logitRows = workload.batch;
  sizes.tokens =
      std::max(workload.batch, std::min(EngineOptions().chunkTokens,
                                        workload.batch * workload.prompt));
  auto bound = runtime::BoundFunction::bind(
      artifact.model()->file(),
      *plan.functions()->Get(plan.decoder()->function()), sizes,
      device.quantizedRowBytes());
  if (!bound.ok())
    return bound.status();
  return size_t((*bound)->arenaBytes()) +
         product(size_t(workload.batch),
                 size_t(artifact.decoder().vocabulary) * sizeof(float));
}

Status checkMemory(const Artifact &artifact, const Workload &workload) {
  StatusOr<std::shared_ptr<runtime::Device>> device =
      runtime::openDevice(artifact.model()->plan(), "", 1);
  if (!device.ok())
    return device.status();
  if ((*device)->hasOwnMemory())
    return {};
  StatusOr<size_t> steps = stepBytes(artifact, workload, **device);
  if (!steps.ok())
    return steps.status();
  auto positions = size_t(cachePositions(artifact, workload));
  return runtime::checkBudget(
      "this machine", memoryLeft(),
      std::vector<runtime::MemoryPart>{
          {product(positions, size_t(artifact.decoder().cacheBytesPerToken)),
           "KV cache of " + std::to_string(positions) + " positions",
           "fewer sequences (--batch) or positions (--prompt, --context, "
           "--tokens)"},
          {product(size_t(workload.batch) + 1,
                   size_t(artifact.decoder().cacheBytesPerSequence)),
           "latest keys of " + std::to_string(workload.batch) + " sequences",
           "fewer sequences (--batch)"},
          {*steps, "steps of " + std::to_string(workload.batch) + " sequences",
           ""},
          {product(positions, sizeof(int32_t)), "their tokens", ""}});
}

} // namespace qopt::bench
