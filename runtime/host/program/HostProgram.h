// A bound function as a list of host kernel calls. Binding a step checks its
// operands against the kernel's rules, once, and fills in the kernel's argument
// struct; pointers into the arena and to the caller's tensors are remembered as
// patches and written when a launch brings other addresses than the last. A
// launch is then one virtual call for each step.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PROGRAM_HOSTPROGRAM_H
#define QOPT_RUNTIME_HOST_PROGRAM_HOSTPROGRAM_H

#include "runtime/Device.h"
#include "runtime/host/QuantizedActivations.h"

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace qopt::runtime {

/// What every kernel call may use.
struct HostCall {
  host::ThreadPool &pool;
  const DecoderState *state;
  /// What kvAppend leaves for the attention of its layer.
  uint16_t *stepRows;
};

/// One kernel call, ready.
class HostCommand {
public:
  virtual ~HostCommand() = default;
  virtual Status run(const HostCall &call) = 0;
};

/// The call of a kernel that takes its arguments and the pool, and cannot fail.
template <auto kernel, typename Arguments>
class KernelCommand : public HostCommand {
public:
  Arguments arguments = {};
  Status run(const HostCall &call) override {
    kernel(arguments, call.pool);
    return {};
  }
};

/// A pointer inside a command that depends on the launch.
struct PointerPatch {
  void *location; ///< of the pointer
  Slot slot;
  uint32_t index;
  int64_t offset;
};

/// Binds one step: reads operands, checks them, fills pointers. Errors name
/// step, operand, expected and got.
class StepBinder {
public:
  StepBinder(const BoundFunction &function, const plan::Step &step,
             const Device::ModuleLookup &modules,
             std::vector<PointerPatch> &patches)
      : function(function), step(step), modules(modules), patches(patches) {}

  const BoundFunction &function;
  const plan::Step &step;
  const Device::ModuleLookup &modules;

  const BoundValue &value(uint32_t id) const { return function.value(id); }
  /// Makes `field` point to the value, or so many bytes into it, now or with
  /// each launch.
  template <typename T> void point(T *&field, uint32_t id, int64_t bytes = 0) {
    setPointer(static_cast<void *>(&field), id, bytes);
  }
  /// As `point`, where an absent operand (-1) leaves null.
  template <typename T> void pointOptional(T *&field, int64_t id) {
    if (id >= 0)
      setPointer(static_cast<void *>(&field), uint32_t(id), 0);
  }

  Status fail(const std::string &what) const;
  /// How many elements such sizes make; -1, which no value has, where that is
  /// not countable.
  static int64_t product(std::initializer_list<int64_t> sizes);
  /// The operand is a plain tensor of this type and number of elements,
  /// contiguous.
  Status expect(const char *operand, uint32_t id, plan::DType type,
                int64_t elements) const;
  /// f32 rows of `columns`, contiguous or strided; `stride` receives the
  /// elements from row to row.
  Status expectRows(const char *operand, uint32_t id, int64_t rows,
                    int64_t columns, int64_t &stride) const;
  /// f32 or quantized rows, contiguous.
  Status expectResult(uint32_t id, int64_t rows, int64_t columns) const;
  /// Quantized values are codes without zero points.
  Status expectCodesOfValues(const BoundValue &result) const;

private:
  void setPointer(void *location, uint32_t id, int64_t bytes);
  std::vector<PointerPatch> &patches;
};

/// How a bound value is quantized; the device has its format (rowBytes).
host::ActivationFormat activationFormat(const BoundValue &value);

using BoundCommand = StatusOr<std::unique_ptr<HostCommand>>;

class HostProgram : public Program {
public:
  static StatusOr<std::unique_ptr<Program>>
  create(std::shared_ptr<const BoundFunction> function,
         const Device::ModuleLookup &modules, host::ThreadPool &pool);
  Status launch(const LaunchMemory &memory) override;

private:
  explicit HostProgram(host::ThreadPool &pool) : pool(pool) {}
  void patchPointers(const LaunchMemory &memory);
  Status show(size_t command, const LaunchMemory &memory) const;
  Status describeFailure(size_t command, const Status &status) const;

  host::ThreadPool &pool;
  std::shared_ptr<const BoundFunction> function;
  std::vector<std::unique_ptr<HostCommand>> commands;
  std::vector<PointerPatch> patches;
  std::vector<uint16_t> stepRows;
  std::vector<void *>
      lastAddresses; ///< arena, inputs, outputs of the last launch
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_PROGRAM_HOSTPROGRAM_H
