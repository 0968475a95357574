// Runs PTX kernels on the processor: the public face of the emulator. A module
// is parsed once, its kernels are launched on device memory that a Memory
// object owns, and a launch gives back what it counted or the first finding of
// its checks. A launch that fails leaves module and memory usable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_EMULATOR_H
#define QOPT_RUNTIME_EMULATOR_EMULATOR_H

#include "runtime/emulator/Finding.h"
#include "runtime/emulator/Memory.h"
#include "runtime/emulator/Statistics.h"
#include "runtime/emulator/ptx/Type.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::emulator {

struct Program;

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
};

/// What a launch watches for. Bounds are always checked: they protect the
/// emulator itself.
struct Checks {
  bool alignment = true;
  bool initialised = true; ///< reads of bytes and registers nobody wrote
  bool races = true;       ///< in shared and global memory
  bool barriers = true;    ///< divergence at barriers
  bool copies = true;      ///< asynchronous copies nobody waited for

  static Checks all() { return {}; }
  static Checks none() { return {false, false, false, false, false}; }
  bool any() const {
    return alignment || initialised || races || barriers || copies;
  }
};

struct LaunchOptions {
  Checks checks;
  /// Decides which warp and which of the diverged lanes run next. The same seed
  /// on one thread gives the same run.
  uint64_t seed = 0;
  unsigned threads = 0; ///< 0: one for each core
  /// Blocks that are on the device at one time, so that blocks which wait for
  /// each other make progress; later blocks start when one has ended.
  unsigned residentBlocks = 264;
  /// Of a warp, then the watchdog ends the launch; 0: none.
  uint64_t maximumInstructions = uint64_t(1) << 28;
  unsigned maximumFindings = 1;
  bool countMemory = false; ///< sectors and bank conflicts in the statistics
  /// Takes what printf of the kernel writes, a call at a time; null: standard
  /// output does.
  std::function<void(std::string_view)> print;
};

/// A kernel of a module; valid as long as the module.
class Kernel {
public:
  Kernel() = default;
  explicit Kernel(const Program *program) : program(program) {}

  const std::string &name() const;
  size_t parameters() const;
  size_t parameterBytes(size_t index) const;
  const std::string &parameterName(size_t index) const;
  ptx::Type parameterType(size_t index) const;
  size_t parameterOffset(size_t index) const;
  size_t argumentBytes() const; ///< of all, with the gaps of alignment
  size_t staticSharedBytes() const;
  const Program &code() const { return *program; }

private:
  const Program *program = nullptr;
};

/// A module's kernels, and its variables in device memory.
class Module {
public:
  /// Parses PTX text and places its .global and .const variables in `memory`,
  /// which must outlive the module.
  static StatusOr<std::unique_ptr<Module>> parse(std::string ptx,
                                                 Memory &memory);
  ~Module();
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;

  std::vector<std::string> kernelNames() const;
  /// Decodes at the first call for a name. An instruction that the emulator
  /// lacks is an Unsupported error that names it and its line.
  StatusOr<Kernel> kernel(const std::string &name);
  /// Device address of a variable of the module.
  StatusOr<uint64_t> variable(const std::string &name) const;

private:
  struct State;
  explicit Module(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Runs a kernel over a grid and waits for its end. `arguments`: the parameter
/// buffer, argumentBytes() long. Findings are a GateFailed error whose message
/// is the report; `findings` receives them one by one.
StatusOr<Statistics> launch(const Kernel &kernel, Extent grid, Extent block,
                            size_t dynamicSharedBytes,
                            std::span<const uint8_t> arguments, Memory &memory,
                            const LaunchOptions &options = {},
                            std::vector<Finding> *findings = nullptr);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_EMULATOR_H
