// What the runtime asks of a device: memory, copies, code modules, and
// programs. A program is a bound function made ready to launch: on the host a
// list of kernel calls with their pointers filled in, on a GPU what will be a
// captured graph for one bucket of sizes. Nothing here knows a model or a
// schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_DEVICE_H
#define QOPT_RUNTIME_DEVICE_H

#include "qopt/Status.h"
#include "runtime/BoundFunction.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace qopt::runtime {

/// Loaded code; a device knows its own.
class Module {
public:
  virtual ~Module() = default;
};

/// Zeroed memory of a device, freed with the object. `data` is aligned to 256
/// bytes at least, on the host to 4 KiB; only the host's may be dereferenced.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  uint8_t *data() const { return address; }
  size_t size() const { return bytes; }

protected:
  uint8_t *address = nullptr;
  size_t bytes = 0;
};

/// The ragged batch of one decoder step, in host memory; it stays unchanged
/// until the launch is done. A sequence has new tokens
/// `tokenStarts[s]` … `tokenStarts[s+1]` at positions from `contextStarts[s]`
/// on; page `p` of its history is `pageTable[s * pageTableStride + p]`.
struct DecoderState {
  int64_t sequences = 0;
  const int32_t *tokenStarts = nullptr;   ///< [sequences + 1]
  const int32_t *contextStarts = nullptr; ///< [sequences]
  const int32_t *pageTable = nullptr;     ///< [sequences, pageTableStride]
  int64_t pageTableStride = 0;
  const int32_t *positions = nullptr; ///< [tokens]
  const int32_t *logitRows = nullptr; ///< [logit rows]: tokens that were asked
  int64_t pages = 0;                  ///< in each layer
  std::span<void *const> layers;      ///< each layer's pages, on the device
};

/// Where a launch finds its data. The arena is the device's, what the caller
/// gives and gets lies in host memory; a device with memory of its own copies.
struct LaunchMemory {
  void *arena = nullptr; ///< at least BoundFunction::arenaBytes()
  std::span<void *const> inputs;
  std::span<void *const> outputs;
  const DecoderState *state = nullptr; ///< of a decoder
};

class Program {
public:
  virtual ~Program() = default;
  /// Starts the program; the results are there after Device::synchronise.
  /// Errors that depend on values, such as a token id outside the vocabulary,
  /// name the step. One launch at a time.
  virtual Status launch(const LaunchMemory &memory) = 0;
};

class Device {
public:
  virtual ~Device() = default;
  /// "host", "cuda", "emulator"
  virtual const char *name() const = 0;
  virtual StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes) = 0;
  /// Host memory that copies to and from the device are fast with.
  virtual StatusOr<std::unique_ptr<DeviceMemory>>
  allocateHost(size_t bytes) = 0;
  virtual StatusOr<std::shared_ptr<Module>>
  load(std::span<const uint8_t> code) = 0;

  /// Finds the module of a code segment.
  using ModuleLookup =
      std::function<StatusOr<std::shared_ptr<Module>>(uint32_t segment)>;
  /// Checks every step's operands against its kernel's rules and resolves what
  /// can be resolved.
  virtual StatusOr<std::unique_ptr<Program>>
  prepare(std::shared_ptr<const BoundFunction> function,
          const ModuleLookup &modules) = 0;
  virtual Status synchronise() = 0;

  /// Bytes of a row of quantized activations in this device's layout.
  virtual QuantizedRowBytes quantizedRowBytes() const = 0;
  /// Bytes of one page of a cache layer; Unsupported for a geometry or format
  /// that has no kernel here.
  virtual StatusOr<int64_t> cachePageBytes(const plan::CacheLayer &layer,
                                           int64_t page) const = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_DEVICE_H
