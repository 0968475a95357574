// An opened artifact with what its sessions share: the mapped file, and the
// code modules, each loaded once for a device for as long as a session holds
// it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_LOADEDMODEL_H
#define QOPT_RUNTIME_LOADEDMODEL_H

#include "runtime/Device.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace qopt::runtime {

class LoadedModel {
public:
  explicit LoadedModel(std::shared_ptr<const ArtifactFile> file)
      : artifact(std::move(file)) {}

  const std::shared_ptr<const ArtifactFile> &file() const { return artifact; }
  const plan::Plan &plan() const { return artifact->plan(); }

  /// The module of a code segment on `device`, which must outlive it.
  /// Thread-safe.
  StatusOr<std::shared_ptr<Module>> module(Device &device,
                                           uint32_t segment) const;

private:
  std::shared_ptr<const ArtifactFile> artifact;
  mutable std::mutex mutex;
  mutable std::map<std::pair<const Device *, uint32_t>, std::weak_ptr<Module>>
      modules;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_LOADEDMODEL_H
