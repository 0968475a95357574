// Verifiers and spellings of the accesses that order others.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ptx/PtxOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qopt::ptx;

std::string LdAcquireOp::getInstruction() {
  return "ld.acquire." + stringifyScope(getScope()).str() +
         spellSpace(getAddress()) + "." + spellBits(getValue().getType()) +
         " $0, [$1];";
}

std::string StReleaseOp::getInstruction() {
  return "st.release." + stringifyScope(getScope()).str() +
         spellSpace(getAddress()) + "." + spellBits(getValue().getType()) +
         " [$0], $1;";
}

/// Whether PTX has `update` on values of `type`.
static LogicalResult verifyUpdate(Operation *op, Update update, Type type) {
  if (!isa<IntegerType>(type) && update != Update::add)
    return op->emitOpError("knows no ")
           << stringifyUpdate(update) << " of " << type << "; expected add";
  if (update == Update::inc && !type.isInteger(32))
    return op->emitOpError("counts i32, not ") << type;
  return success();
}

/// ".add.u32" and the like.
static std::string spellUpdate(Update update, Type type) {
  StringRef name = stringifyUpdate(update);
  bool isSigned = name.consume_back("_s"), isUnsigned = name.consume_back("_u");
  std::string text = "." + name.str();
  if (auto vector = dyn_cast<VectorType>(type))
    return text + (vector.getElementType().isBF16() ? ".noftz.bf16x2"
                                                    : ".noftz.f16x2");
  std::string bits = std::to_string(type.getIntOrFloatBitWidth());
  if (isa<FloatType>(type))
    return text + ".f" + bits;
  bool bitwise = update == Update::exch || update == Update::And ||
                 update == Update::Or || update == Update::Xor;
  (void)isUnsigned;
  return text + (bitwise ? ".b" : isSigned ? ".s" : ".u") + bits;
}

static std::string spellOrder(Order order, Scope scope) {
  return "." + stringifyOrder(order).str() + "." + stringifyScope(scope).str();
}

LogicalResult RedOp::verify() {
  if (getOrder() != Order::relaxed && getOrder() != Order::release) // (C1)
    return emitOpError("is ordered ")
           << stringifyOrder(getOrder())
           << "; expected relaxed or release, or ptx.atom";
  if (getUpdate() == Update::exch) // (C2)
    return emitOpError("exchanges nothing; expected ptx.atom or a store");
  return verifyUpdate(*this, getUpdate(), getValue().getType()); // (C2)
}

std::string RedOp::getInstruction() {
  return "red" + spellOrder(getOrder(), getScope()) + spellSpace(getAddress()) +
         spellUpdate(getUpdate(), getValue().getType()) + " [$0], $1;";
}

LogicalResult AtomOp::verify() {
  return verifyUpdate(*this, getUpdate(), getValue().getType()); // (C1)
}

std::string AtomOp::getInstruction() {
  return "atom" + spellOrder(getOrder(), getScope()) +
         spellSpace(getAddress()) +
         spellUpdate(getUpdate(), getValue().getType()) + " $0, [$1], $2;";
}

std::string MbarrierWaitOp::getInstruction() {
  return "{\n"
         ".reg .pred complete;\n"
         "retry:\n"
         "mbarrier.try_wait.parity.shared::cta.b64 complete, [$0], $1;\n"
         "@!complete bra retry;\n"
         "}";
}
