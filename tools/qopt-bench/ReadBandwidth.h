// The roof over decode speed: how fast this machine reads memory, with as many
// threads as the model has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTBENCH_READBANDWIDTH_H
#define QOPT_TOOLS_QOPTBENCH_READBANDWIDTH_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qopt::bench {

/// A buffer that is read from end to end, larger than what a model's step
/// leaves in the caches.
class ReadBandwidth {
public:
  ReadBandwidth(size_t bytes, int threads);

  /// Bytes per second of the fastest of `passes` passes.
  double measure(int passes) const;
  size_t bytes() const { return buffer.size() * sizeof(uint64_t); }

private:
  int threads;
  std::vector<uint64_t> buffer;
};

} // namespace qopt::bench

#endif // QOPT_TOOLS_QOPTBENCH_READBANDWIDTH_H
