// The devices by name, and which of them an artifact is for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_DEVICES_H
#define QOPT_RUNTIME_DEVICES_H

#include "runtime/Device.h"

#include <memory>
#include <string>

namespace qopt::runtime {

/// The device `name` ("host", "cuda", "cuda:1", "cuda,synchronous", "emulator",
/// "emulator,schedules=4"; empty: the one that the artifact was compiled for).
/// `synchronous` waits for each launch (LaunchMode in CudaDevice.h); the
/// emulator runs every launch under so many schedules, see Schedules.h. Devices
/// are shared: the same name and threads give the same one for as long as
/// somebody holds it. InvalidArgument for another name or one that does not run
/// the artifact's target, Unsupported where the machine lacks it.
StatusOr<std::shared_ptr<Device>>
openDevice(const plan::Plan &plan, const std::string &name, int threads);

/// Bytes of a cache layer in the layout of the artifact's target.
StatusOr<CacheSizes> cacheSizes(const plan::Plan &plan,
                                const plan::CacheLayer &layer);
/// Bytes that a step of a decoder works in beside its arena: on the host the
/// rows of latest positions (host/LatestPositions.h).
StatusOr<int64_t> bytesBesideArena(const plan::Plan &plan,
                                   const BoundFunction &step);
/// Bytes of a row of quantized activations on the artifact's target.
QuantizedRowBytes quantizedRowBytes(const plan::Plan &plan);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_DEVICES_H
