// What the runtime asks of a device: memory, code, queues and programs. A
// program is a bound function made ready to launch: on the host a list of
// kernel calls with their pointers filled in, on a GPU a graph that was
// recorded for one bucket of sizes. Nothing here knows a model or a schedule.
// Devices are shared by sessions on several threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_DEVICE_H
#define QOPT_RUNTIME_DEVICE_H

#include "qopt/Sampling.h"
#include "qopt/Status.h"
#include "runtime/BoundFunction.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

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

/// The order of one session's work: a program starts when the one before it has
/// ended. Used by one thread at a time.
class DeviceQueue {
public:
  virtual ~DeviceQueue() = default;
  /// Waits for all of it.
  virtual Status synchronise() = 0;
};

/// Bytes that a launch works in.
struct WorkingMemory {
  size_t device = 0;
  size_t host = 0; ///< that copies go through
};

/// Bytes that a session will take, for what, and what makes them fewer.
struct MemoryPart {
  size_t bytes;
  std::string what;   ///< "KV cache (4096 positions)"
  std::string remedy; ///< "fewer cache tokens"; may be empty
};

/// How the token after one row of logits is chosen.
struct TokenChoice {
  SamplingOptions options;
  uint64_t index = 0; ///< of the draw
  /// A bit for each token of the vocabulary that prompt or text have; may be
  /// empty where there is no repetition penalty.
  std::span<const uint32_t> seen;

  /// Whether the largest logit decides.
  bool isGreedy() const {
    return options.repetitionPenalty == 1 &&
           (options.temperature == 0 || options.topK == 1);
  }
};

/// Bytes of a layer of the cache.
struct CacheSizes {
  int64_t page = 0; ///< of a page
  int64_t slot = 0; ///< of what it keeps of a sequence beside its pages
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
  /// [sequences]: a number of each, from −1 down, for what layers keep of a
  /// sequence beside its pages. Slot s has the memory from s · slot bytes on of
  /// a layer's pages, which is ahead of them.
  const int32_t *slots = nullptr;
  const int32_t *positions = nullptr; ///< [tokens]
  const int32_t *logitRows = nullptr; ///< [logit rows]: tokens that were asked
  /// Of what each sequence attends to besides: its positions, and its pages as
  /// above. Null in the function that fills them, whose pages they are.
  const int32_t *sourceLengths = nullptr; ///< [sequences]
  const int32_t *sourceTable = nullptr;   ///< [sequences, sourceTableStride]
  int64_t sourceTableStride = 0;
  int64_t pages = 0;             ///< in each layer
  std::span<void *const> layers; ///< each layer's pages, on the device
  /// [logit rows], where the tokens that follow are asked.
  std::span<const TokenChoice> choices;
};

/// Sees a value that a step has just written; `data` is its first byte.
using StepProbe = std::function<Status(
    const plan::Step &step, const BoundValue &value, const void *data)>;

/// Where a launch finds its data. The arena is the device's, zeroed before the
/// first launch and after a failed one; what the caller gives and gets lies in
/// host memory, and a device with memory of its own copies. What an output that
/// is null needs alone is not computed, where the plan says so.
struct LaunchMemory {
  DeviceQueue *queue = nullptr;
  void *arena = nullptr;   ///< WorkingMemory::device bytes
  void *staging = nullptr; ///< WorkingMemory::host bytes, of allocateHost
  std::span<void *const> inputs;
  std::span<void *const> outputs;
  const DecoderState *state = nullptr; ///< of a decoder
  const StepProbe *probe = nullptr;    ///< optional; of the host
};

class Program {
public:
  virtual ~Program() = default;
  /// Runs the program and waits for its results. Errors that depend on values,
  /// such as a token id outside the vocabulary, name the step. One launch at a
  /// time.
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
  virtual StatusOr<std::unique_ptr<DeviceQueue>> makeQueue() = 0;
  virtual StatusOr<std::shared_ptr<Module>>
  load(std::span<const uint8_t> code) = 0;

  /// Finds the module of a code segment.
  using ModuleLookup =
      std::function<StatusOr<std::shared_ptr<Module>>(uint32_t segment)>;
  /// The code of all steps. Unsupported where there is none for this device.
  virtual StatusOr<std::vector<std::shared_ptr<Module>>>
  loadCode(const plan::Function &function, const ModuleLookup &modules) = 0;

  /// Whether constants are copied to the device and working memory is better
  /// taken before the first step; else all of it is the system's.
  virtual bool hasOwnMemory() const = 0;
  /// OutOfResources lists the parts where they are more than what is free.
  virtual Status requireMemory(std::span<const MemoryPart> parts) = 0;
  /// Bytes that loadConstants would copy now.
  virtual size_t constantBytes(const ArtifactFile &file,
                               const plan::Function &function) = 0;
  /// The function's constants, on the device for as long as they are held.
  virtual StatusOr<std::vector<std::shared_ptr<DeviceMemory>>>
  loadConstants(const ArtifactFile &file, const plan::Function &function) = 0;
  virtual WorkingMemory workingMemory(const BoundFunction &function) const = 0;

  /// Checks every step's operands against its kernel's rules and resolves what
  /// can be resolved.
  virtual StatusOr<std::unique_ptr<Program>>
  prepare(std::shared_ptr<const BoundFunction> function,
          const ModuleLookup &modules) = 0;

  /// Bytes of a row of quantized activations in this device's layout.
  virtual QuantizedRowBytes quantizedRowBytes() const = 0;
  /// Unsupported for a geometry or format that has no kernel here.
  virtual StatusOr<CacheSizes> cacheSizes(const plan::CacheLayer &layer,
                                          int64_t page) const = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_DEVICE_H
