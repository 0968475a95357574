// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-bench/WorkloadMemory.h"

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

/// A request's last token takes no position.
static int64_t longestSequence(const Workload &workload) {
  return std::max(workload.prompt,
                  workload.tokens ? workload.context + workload.tokens : 0);
}

runtime::ServedBatch servedBatch(const Workload &workload) {
  return {.sequences = workload.batch,
          .positions = longestSequence(workload),
          .stepTokens = std::min(EngineOptions().chunkTokens,
                                 workload.batch * workload.prompt)};
}

Status checkMemory(const Artifact &artifact, const Workload &workload) {
  StatusOr<std::shared_ptr<runtime::Device>> device =
      runtime::openDevice(artifact.model()->plan(), "", 1);
  if (!device.ok())
    return device.status();
  if ((*device)->hasOwnMemory())
    return {};
  auto parts = runtime::servingParts(artifact, servedBatch(workload));
  if (!parts.ok())
    return parts.status();
  (*parts)[0].remedy = "fewer sequences (--batch) or positions (--prompt, "
                       "--context, --tokens)";
  (*parts)[1].remedy = "fewer sequences (--batch)";
  return runtime::checkBudget("this machine", memoryLeft(), *parts);
}

} // namespace qopt::bench
