// Loads code modules on demand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/LoadedModel.h"

namespace qopt::runtime {

StatusOr<std::shared_ptr<Module>> LoadedModel::module(Device &device,
                                                      uint32_t segment) const {
  std::lock_guard lock(mutex);
  std::weak_ptr<Module> &known = modules[{&device, segment}];
  if (std::shared_ptr<Module> module = known.lock())
    return module;
  StatusOr<std::shared_ptr<Module>> loaded =
      device.load(artifact->segment(segment));
  if (!loaded.ok())
    return Status(loaded.status().code(),
                  "artifact '" + artifact->path() +
                      "': " + loaded.status().message());
  known = *loaded;
  return loaded;
}

} // namespace qopt::runtime
