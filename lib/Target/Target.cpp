// The table of architectures, their names, and how many blocks an SM holds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Target.h"

#include <algorithm>
#include <string>

using namespace qopt;
using namespace qopt::target;

std::string_view target::spell(Basis basis) {
  switch (basis) {
  case Basis::Published:
    return "published";
  case Basis::Measured:
    return "measured";
  case Basis::Derived:
    return "derived";
  }
  return "unknown";
}

const std::vector<const Target *> &target::allTargets() {
  static const std::vector<const Target *> targets = {&sm80(), &sm90a()};
  return targets;
}

static int roundUp(int value, int unit) {
  return (value + unit - 1) / unit * unit;
}

int Target::blocksPerMultiprocessor(int threads, int registersPerThread,
                                    int sharedBytes) const {
  if (threads < 1 || threads > limits.threadsPerBlock ||
      registersPerThread > limits.registersPerThread ||
      sharedBytes > limits.sharedPerBlock)
    return 0;
  int warps = (threads + 31) / 32;
  int warpRegisters =
      roundUp(std::max(registersPerThread, 1) * 32, limits.registerUnit);
  int byThreads = limits.threadsPerSm / (warps * 32);
  int byRegisters = limits.registersPerSm / warpRegisters / warps;
  // Shared memory is handed out in units of 128 bytes.
  int byShared =
      limits.sharedPerSm / roundUp(sharedBytes + limits.sharedReserved, 128);
  return std::min({byThreads, byRegisters, byShared, limits.blocksPerSm});
}

static std::string knownNames() {
  std::string names;
  for (const Target *target : allTargets())
    names += (names.empty() ? "" : ", ") + std::string(target->name);
  return names;
}

static StatusOr<const Target *> parseArchitecture(std::string_view name) {
  for (const Target *target : allTargets())
    if (target->name == name)
      return target;
  return Status(StatusCode::InvalidArgument,
                "unknown architecture \"" + std::string(name) +
                    "\"; expected one or more of " + knownNames() +
                    ", separated by commas; sm_80 serves every GPU of compute "
                    "capability 8.0 or later, as PTX");
}

StatusOr<std::vector<const Target *>>
target::parseArchitectures(std::string_view text) {
  std::vector<const Target *> targets;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    StatusOr<const Target *> one =
        parseArchitecture(text.substr(begin, end - begin));
    if (!one)
      return one.status();
    if (std::find(targets.begin(), targets.end(), *one) != targets.end())
      return Status(StatusCode::InvalidArgument,
                    "architecture \"" + std::string((*one)->name) +
                        "\" is given twice; expected each once");
    targets.push_back(*one);
    begin = end + 1;
  }
  return targets;
}
