// Reads the list `qopt.kernels`, number by number.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Schedule/SelectedKernels.h"

using namespace mlir;

namespace qopt::passes {

FailureOr<SmallVector<ir::KernelAttr>>
selectedKernels(Operation *op, const target::Target &target) {
  SmallVector<ir::KernelAttr> kernels;
  if (auto list = op->getAttrOfType<ArrayAttr>(ir::kernelsAttribute))
    for (auto kernel : list.getAsRange<ir::KernelAttr>())
      if (kernel.getArchitecture() == StringRef(target.name))
        kernels.push_back(kernel);
  if (kernels.empty())
    return op->emitError("no kernel was selected for ")
           << StringRef(target.name);
  return kernels;
}

bool readNumber(DictionaryAttr numbers, StringRef name, bool &field) {
  auto number = numbers.getAs<BoolAttr>(name);
  if (number)
    field = number.getValue();
  return bool(number);
}

bool readNumber(DictionaryAttr numbers, StringRef name, int &field) {
  auto number = numbers.getAs<IntegerAttr>(name);
  if (!number || isa<BoolAttr>(number) || !llvm::isInt<32>(number.getInt()))
    return false;
  field = int(number.getInt());
  return true;
}

bool readNumber(DictionaryAttr numbers, StringRef name,
                std::vector<int> &field) {
  auto list = numbers.getAs<DenseI64ArrayAttr>(name);
  if (!list || !llvm::all_of(list.asArrayRef(), llvm::isInt<32>))
    return false;
  field.assign(list.asArrayRef().begin(), list.asArrayRef().end());
  return true;
}

} // namespace qopt::passes
