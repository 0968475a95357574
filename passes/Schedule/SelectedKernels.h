// Between the schedules of lib/Kernels and the list `qopt.kernels` of an op:
// the pass that selects kernels writes it, code generation reads it. Generic
// over families through Schedule::visitFields.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_SCHEDULE_SELECTEDKERNELS_H
#define QOPT_PASSES_SCHEDULE_SELECTEDKERNELS_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Target/Target.h"

#include <type_traits>
#include <vector>

namespace qopt::passes {

/// The kernels of `op` for a target, by rising `most`; where there are none,
/// an error at the op.
mlir::FailureOr<llvm::SmallVector<ir::KernelAttr>>
selectedKernels(mlir::Operation *op, const target::Target &target);

/// The numbers of a schedule as they stand in the IR.
template <typename Schedule>
mlir::DictionaryAttr numbersOf(const Schedule &schedule,
                               mlir::MLIRContext *context) {
  mlir::Builder builder(context);
  mlir::NamedAttrList numbers;
  Schedule::visitFields(schedule, [&](llvm::StringRef name, auto &field) {
    using Field = std::remove_cvref_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, bool>)
      numbers.set(name, builder.getBoolAttr(field));
    else if constexpr (std::is_integral_v<Field>)
      numbers.set(name, builder.getI64IntegerAttr(field));
    else
      numbers.set(name, builder.getDenseI64ArrayAttr(llvm::SmallVector<int64_t>(
                            field.begin(), field.end())));
  });
  return numbers.getDictionary(context);
}

// The number `name` of `numbers`; false where there is none of that kind.
bool readNumber(mlir::DictionaryAttr numbers, llvm::StringRef name,
                bool &field);
bool readNumber(mlir::DictionaryAttr numbers, llvm::StringRef name, int &field);
bool readNumber(mlir::DictionaryAttr numbers, llvm::StringRef name,
                std::vector<int> &field);

/// The schedule that `kernel` says; an error at `op` where its numbers are not
/// those of a Schedule.
template <typename Schedule>
mlir::FailureOr<Schedule> scheduleOf(mlir::Operation *op,
                                     ir::KernelAttr kernel) {
  Schedule schedule;
  size_t count = 0;
  bool complete = true;
  Schedule::visitFields(schedule, [&](llvm::StringRef name, auto &field) {
    ++count;
    complete &= readNumber(kernel.getSchedule(), name, field);
  });
  if (complete && count == kernel.getSchedule().size())
    return schedule;
  return op->emitError("its kernel ")
         << kernel << " has other numbers than a schedule of "
         << ir::stringifyKernelFamily(kernel.getFamily());
}

} // namespace qopt::passes

#endif // QOPT_PASSES_SCHEDULE_SELECTEDKERNELS_H
