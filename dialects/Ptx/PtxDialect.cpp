// Registration of the dialect, and what the instructions' spellings share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ptx/PtxDialect.h"
#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt::ptx;

#include "dialects/Ptx/PtxDialect.cpp.inc"
#include "dialects/Ptx/PtxEnums.cpp.inc"
#include "dialects/Ptx/PtxInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Ptx/PtxAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Ptx/PtxOps.cpp.inc"

void PtxDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Ptx/PtxAttrs.cpp.inc"
      >();
}

void PtxDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Ptx/PtxOps.cpp.inc"
      >();
}

std::string qopt::ptx::spellVector(unsigned first, unsigned count) {
  std::string text = count == 1 ? "" : "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return text + (count == 1 ? "" : "}");
}

std::string qopt::ptx::spellBits(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return "b" + std::to_string(vector.getNumElements() *
                                vector.getElementTypeBitWidth());
  return "b" + std::to_string(type.getIntOrFloatBitWidth());
}

std::string qopt::ptx::spellSpace(Value address) {
  auto pointer = cast<LLVM::LLVMPointerType>(address.getType());
  return pointer.getAddressSpace() == 3 ? ".shared" : ".global";
}
