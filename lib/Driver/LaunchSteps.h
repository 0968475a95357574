// Puts together the plan's step of a GPU kernel: arguments in the kernel's
// order, one variant for each architecture and size.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_LAUNCHSTEPS_H
#define QOPT_LIB_DRIVER_LAUNCHSTEPS_H

#include "lib/Driver/CudaKernels.h"
#include "lib/Driver/PlanBuilder.h"

namespace qopt::driver {

/// The launch of one op. `size` is the symbol that variants are chosen by.
class LaunchStep {
public:
  explicit LaunchStep(uint32_t size) { launch.size = size; }

  void read(uint32_t value) { argument(plan::ArgumentKind::Value, value); }
  void write(uint32_t value) {
    argument(plan::ArgumentKind::Value, value);
    launch.arguments.back()->written = true;
  }
  /// An i32.
  void symbol(uint32_t symbol) { argument(plan::ArgumentKind::Symbol, symbol); }
  /// An i64.
  void longSymbol(uint32_t symbol) {
    argument(plan::ArgumentKind::Size, symbol);
  }
  void state(plan::ArgumentKind kind) { argument(kind, 0); }
  void cachePages(uint32_t layer) {
    argument(plan::ArgumentKind::CachePages, layer);
  }
  void counters() { argument(plan::ArgumentKind::Counters, 0); }
  /// Bytes that a variant needs of them.
  void atLeastCounters(int64_t bytes) {
    launch.counter_bytes =
        std::max<uint32_t>({launch.counter_bytes, uint32_t(bytes), 4u});
  }

  /// The kernel checks indices and writes what it finds to its next argument.
  void checksIndices(std::vector<uint32_t> limits, bool fromZero) {
    launch.check = std::make_unique<plan::IndexCheckT>();
    launch.check->limits = std::move(limits);
    launch.check->from_zero = fromZero;
    argument(plan::ArgumentKind::IndexReport, 0);
  }

  /// `most`: the largest size it serves, 0 any; smaller ones first.
  void variant(const target::Target &target, size_t index, uint64_t most,
               llvm::StringRef symbol, llvm::ArrayRef<uint32_t> grid,
               int64_t block, int64_t sharedBytes);

  /// The last variant has no dependency point: it starts when all is done.
  void waitsForPredecessors() { launch.variants.back()->early = false; }
  /// The step is a launch for sizes above `after`, at most `until`; 0: any.
  void only(uint64_t after, uint64_t until) {
    launch.after = after;
    launch.until = until;
  }

  plan::LaunchT take() { return std::move(launch); }

private:
  void argument(plan::ArgumentKind kind, uint32_t index) {
    auto argument = std::make_unique<plan::ArgumentT>();
    argument->kind = kind;
    argument->index = index;
    launch.arguments.push_back(std::move(argument));
  }

  plan::LaunchT launch;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_LAUNCHSTEPS_H
