// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/LaunchSteps.h"

using namespace mlir;

namespace qopt::driver {

void LaunchStep::variant(const target::Target &target, size_t index,
                         uint64_t most, StringRef symbol,
                         ArrayRef<uint32_t> grid, int64_t block,
                         int64_t sharedBytes) {
  auto variant = std::make_unique<plan::VariantT>();
  variant->architecture = uint32_t(target.capability);
  variant->specific = target.name.ends_with("a");
  variant->most = most;
  variant->segment = uint32_t(index); // CudaKernels::write gives the segment
  variant->symbol = symbol.str();
  variant->grid.assign(grid.begin(), grid.end());
  variant->block = uint32_t(block);
  variant->shared_bytes = uint32_t(sharedBytes);
  variant->early = target.features.dependentLaunch;
  launch.variants.push_back(std::move(variant));
}

} // namespace qopt::driver
