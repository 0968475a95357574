// Reading of operands and attributes for the kernels, and the look-up in their
// table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace qopt::onnx {

StringRef Call::name() const { return operation->getName().stripDialect(); }

bool Call::hasAttr(StringRef name) const {
  return static_cast<bool>(operation->getAttr(name));
}

/// Properties that hold an attribute are found by getAttr too, under the name
/// of the record's argument.
int64_t Call::attr(StringRef name, int64_t standard) const {
  Attribute value = operation->getAttr(name);
  if (auto boolean = dyn_cast_or_null<BoolAttr>(value))
    return boolean.getValue() ? 1 : 0;
  if (auto integer = dyn_cast_or_null<IntegerAttr>(value))
    return integer.getType().isUnsignedInteger()
               ? static_cast<int64_t>(integer.getValue().getZExtValue())
               : integer.getValue().getSExtValue();
  return standard;
}

double Call::attrFloat(StringRef name, double standard) const {
  if (auto value = dyn_cast_or_null<FloatAttr>(operation->getAttr(name)))
    return value.getValueAsDouble();
  return standard;
}

StringRef Call::attrString(StringRef name, StringRef standard) const {
  if (auto value = dyn_cast_or_null<StringAttr>(operation->getAttr(name)))
    return value.getValue();
  return standard;
}

HostTensor::Shape Call::attrInts(StringRef name) const {
  HostTensor::Shape result;
  Attribute value = operation->getAttr(name);
  if (auto dense = dyn_cast_or_null<DenseI64ArrayAttr>(value))
    result.assign(dense.asArrayRef().begin(), dense.asArrayRef().end());
  else if (auto dense = dyn_cast_or_null<DenseI32ArrayAttr>(value))
    result.assign(dense.asArrayRef().begin(), dense.asArrayRef().end());
  else if (auto array = dyn_cast_or_null<ArrayAttr>(value))
    for (auto integer : array.getAsRange<IntegerAttr>())
      result.push_back(integer.getValue().getSExtValue());
  return result;
}

Element Call::element(unsigned result) const {
  if (result >= operation->getNumResults())
    return Element::None;
  Type type = operation->getResult(result).getType();
  return elementOf(getElementTypeOrSelf(type)).value_or(Element::None);
}

StatusOr<int64_t> Call::axis(int64_t value, int64_t rank) const {
  if (value < -rank || value >= rank)
    return fail("axis " + Twine(value) + " is out of range for rank " +
                Twine(rank));
  return value < 0 ? value + rank : value;
}

Status Call::admit(ArrayRef<int64_t> shape) const {
  int64_t bytes = std::max(1u, widthOf(element()));
  for (int64_t dim : shape) {
    if (dim < 0)
      return fail("a result dimension is negative (" + Twine(dim) + ")");
    if (llvm::MulOverflow(bytes, dim, bytes))
      return fail("the result is too large to count");
  }
  if (wantsData && bytes > limits.tensorBytes)
    return Status(StatusCode::OutOfResources,
                  "the result takes " + std::to_string(bytes) +
                      " bytes, more than the " +
                      std::to_string(limits.tensorBytes) +
                      " that an evaluation may use for a tensor");
  return {};
}

Status Call::fail(const Twine &message) {
  return Status(StatusCode::Unsupported, message.str());
}

const KernelEntry *findKernel(StringRef name) {
  static const llvm::StringMap<const KernelEntry *> table = [] {
    llvm::StringMap<const KernelEntry *> rows;
    for (ArrayRef<KernelEntry> family :
         {elementwiseKernels(), unaryKernels(), shapeKernels(), indexKernels(),
          scatterKernels(), reduceKernels(), productKernels(), normKernels(),
          quantKernels(), attentionKernels(), shapeOnlyKernels()})
      for (const KernelEntry &entry : family)
        rows[entry.name] = &entry;
    return rows;
  }();
  return table.lookup(name);
}

} // namespace qopt::onnx
