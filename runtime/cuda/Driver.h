// What the GPU device needs of a driver, and no more: memory, modules, and
// streams of copies and launches, which may be recorded as a graph. The CUDA
// driver is one implementation (CudaLibrary.h), the emulator another
// (runtime/emulator/EmulatorDriver.h). A driver may be called from any thread,
// a stream from one at a time; errors name the driver's call and its code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_DRIVER_H
#define QOPT_RUNTIME_CUDA_DRIVER_H

#include "qopt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace qopt::cuda {

/// An address in the device's memory.
using Address = uint64_t;

/// What a device is.
struct DeviceFacts {
  std::string name; ///< "NVIDIA H200"
  int major = 0;    ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  size_t memory = 0;         ///< bytes, all of it
  size_t sharedPerBlock = 0; ///< bytes that a kernel may ask for

  /// "9.0"
  std::string capability() const {
    return std::to_string(major) + "." + std::to_string(minor);
  }
};

/// A kernel of a loaded module; owned by the module.
struct Function {
  void *handle = nullptr;
};

/// One launch. `arguments` points to one pointer for each parameter.
struct LaunchShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block = 1;
  uint32_t sharedBytes = 0;
  bool early = false; ///< may start before the launch ahead of it has ended

  int64_t blocks() const { return int64_t(grid[0]) * grid[1] * grid[2]; }
};

class DriverModule {
public:
  virtual ~DriverModule() = default;
  /// NotFound for a name that the module lacks.
  virtual StatusOr<Function> function(const std::string &name) = 0;
};

/// Launches that were recorded, with the arguments that they had then.
class DriverGraph {
public:
  virtual ~DriverGraph() = default;
};

/// Copies and launches that happen in the order of the calls; other streams do
/// not wait for them. Host memory of a copy must live until `synchronise`.
class DriverStream {
public:
  virtual ~DriverStream() = default;
  virtual Status copyIn(Address to, const void *from, size_t bytes) = 0;
  virtual Status copyOut(void *to, Address from, size_t bytes) = 0;
  virtual Status clear(Address address, size_t bytes) = 0;
  virtual Status launch(Function function, const LaunchShape &shape,
                        std::span<void *const> arguments) = 0;
  /// What follows is recorded, not run, until `endRecording`, which must come
  /// whatever fails in between.
  virtual Status beginRecording() = 0;
  virtual StatusOr<std::unique_ptr<DriverGraph>> endRecording() = 0;
  virtual Status launch(DriverGraph &graph) = 0;
  /// Waits for all of it; what failed meanwhile is said here.
  virtual Status synchronise() = 0;
};

class Driver {
public:
  virtual ~Driver() = default;
  /// "cuda" or "emulator"
  virtual const char *name() const = 0;
  virtual const DeviceFacts &facts() const = 0;

  /// Bytes that are free now.
  virtual StatusOr<size_t> freeMemory() = 0;
  virtual StatusOr<Address> allocate(size_t bytes) = 0;
  virtual void release(Address address) = 0;
  /// Host memory that copies are fast with, 4 KiB-aligned.
  virtual StatusOr<void *> allocateHost(size_t bytes) = 0;
  virtual void releaseHost(void *memory) = 0;
  virtual StatusOr<std::unique_ptr<DriverStream>> createStream() = 0;

  /// Whether machine code is run; else only PTX text.
  virtual bool runsMachineCode() const { return true; }
  /// `image`: an ELF cubin or PTX text.
  virtual StatusOr<std::unique_ptr<DriverModule>>
  load(std::span<const uint8_t> image) = 0;
  /// Whether a call has told an error after which no other works.
  virtual bool lost() const { return false; }
  /// Lets `function` use `bytes` of dynamic shared memory.
  virtual Status allowShared(Function function, uint32_t bytes) = 0;
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_DRIVER_H
