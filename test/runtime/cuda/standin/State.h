// What the stand-in knows: its settings, the calls, and every object that a
// program made. One lock guards all of it; nothing here is fast.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_CUDA_STANDIN_STATE_H
#define QOPT_TEST_RUNTIME_CUDA_STANDIN_STATE_H

#include "runtime/cuda/CudaApi.h"
#include "runtime/emulator/Emulator.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace qopt::standin {

using cuda::api::Result;

// Results of the driver that only it gives.
inline constexpr Result invalidValue = 1;
inline constexpr Result noDevice = 100;
inline constexpr Result invalidContext = 201;
inline constexpr Result invalidHandle = 400;
inline constexpr Result captureUnsupported = 900;
inline constexpr Result captureInvalidated = 901;

struct Settings {
  int version = 12040;
  int devices = 1;
  int major = 9, minor = 0;
  size_t memory = size_t(1) << 30;
  int shared = 0;
  emulator::LaunchOptions launch;
  unsigned schedules = 1;
  struct Failure {
    std::string call;
    int countdown;
    Result result;
  };
  std::vector<Failure> failures;
  int faultCountdown = 0;
  Result fault = 0;

  /// What a block may ask for, by the CUDA C++ Programming Guide's table of
  /// compute capabilities.
  int sharedPerBlock() const {
    if (shared)
      return shared;
    if (major == 8)
      return (minor == 0 || minor == 7 ? 163 : 99) << 10;
    return (major == 12 ? 99 : 227) << 10;
  }

  static Settings parse(const std::string &text);
};

struct Function {
  emulator::Kernel kernel;
  int dynamicShared = 48 << 10; ///< that it may use
};

struct LoadedModule {
  std::unique_ptr<emulator::Module> module;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

/// Something in a stream's order.
struct Node {
  std::function<Result()> work;
  bool kernel = false;
  bool early = false; ///< launched with the attribute for dependent launch
};

struct Graph {
  std::vector<Node> nodes;
};

/// Nothing happens before somebody waits: what relies on less is found.
struct Stream {
  int number = 0;
  std::vector<Node> pending;
  bool capturing = false;
  bool invalidated = false; ///< of a capture
  std::vector<Node> captured;
};

struct State {
  static State &get();

  std::recursive_mutex mutex;
  Settings settings;
  std::vector<std::unique_ptr<std::string>> calls;
  std::vector<std::string> traffic; ///< of kernels that ran
  Result lost = 0;                  ///< what every call answers after a fault
  emulator::Memory memory;
  std::map<uint64_t, size_t> allocations;
  size_t used = 0;
  std::map<void *, size_t> hostMemory;
  std::set<LoadedModule *> modules;
  std::set<Stream *> streams;
  std::set<Graph *> graphs, executables;
  int contexts = 0;
  int streamCount = 0;

  /// Writes the call down; its result where a setting or a fault decides it.
  Result record(const char *call, const std::string &details);
  /// Does what is pending.
  Result run(Stream &stream);
  Result runAll();
  Result runKernel(const std::function<Status()> &kernel);
  bool isPinned(const void *host, size_t bytes) const;

private:
  State();
  ~State();
};

/// Of the calling thread.
extern thread_local bool hasContext;
extern thread_local Stream *capturedStream;

} // namespace qopt::standin

#endif // QOPT_TEST_RUNTIME_CUDA_STANDIN_STATE_H
