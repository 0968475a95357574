// Verifiers and spellings of loads, stores and copies. The order of an access's
// modifiers is that of the PTX manual: .nc, first level, policy, vector, type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ptx/PtxOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace qopt::ptx;

/// What the words of a vector access must be.
static LogicalResult verifyWords(Operation *op, TypeRange words) {
  if (words.size() != 1 && words.size() != 2 && words.size() != 4)
    return op->emitOpError("has ")
           << words.size() << " words; expected 1, 2 or 4";
  if (!llvm::all_equal(words))
    return op->emitOpError("has words of different types");
  unsigned bits = 0;
  (void)StringRef(spellBits(words[0])).drop_front().getAsInteger(10, bits);
  if (bits * words.size() > 128)
    return op->emitOpError("has ")
           << bits * words.size() / 8 << " bytes; expected at most 16";
  return success();
}

static std::string spellFirstLevel(FirstLevel level) {
  return level == FirstLevel::evict_normal
             ? ""
             : ".L1::" + stringifyFirstLevel(level).str();
}

/// ".v4.b32" of the words of an access.
static std::string spellWords(TypeRange words) {
  std::string vector =
      words.size() == 1 ? "" : ".v" + std::to_string(words.size());
  return vector + "." + spellBits(words[0]);
}

static constexpr StringRef cacheHint = ".L2::cache_hint";

static std::string operand(unsigned index) {
  return ", $" + std::to_string(index);
}

LogicalResult CreatePolicyOp::verify() {
  double fraction = getFraction().convertToFloat();
  if (!(fraction > 0 && fraction <= 1)) // (C1)
    return emitOpError("the fraction is ")
           << fraction << "; expected more than 0 and at most 1";
  return success();
}

std::string CreatePolicyOp::getInstruction() {
  std::string bits;
  llvm::raw_string_ostream(bits) << llvm::format_hex_no_prefix(
      getFraction().bitcastToAPInt().getZExtValue(), 8, /*Upper=*/true);
  return "createpolicy.fractional.L2::" +
         stringifySecondLevel(getPriority()).str() + ".b64 $0, 0f" + bits + ";";
}

LogicalResult LdGlobalOp::verify() {
  return verifyWords(*this, getWords().getTypes()); // (C1)
}

std::string LdGlobalOp::getInstruction() {
  unsigned count = getWords().size();
  std::string text = "ld.global";
  if (getNc())
    text += ".nc";
  text += spellFirstLevel(getL1());
  if (getPolicy())
    text += cacheHint;
  text += spellWords(getWords().getTypes()) + " " + spellVector(0, count) +
          ", [$" + std::to_string(count) + "]";
  return text + (getPolicy() ? operand(count + 1) : "") + ";";
}

LogicalResult StGlobalOp::verify() {
  if (failed(verifyWords(*this, getWords().getTypes()))) // (C1)
    return failure();
  if (getL1() == FirstLevel::no_allocate) // (C2)
    return emitOpError("a store knows no no_allocate; expected evict_first or "
                       "another priority");
  return success();
}

std::string StGlobalOp::getInstruction() {
  unsigned first = getPolicy() ? 2 : 1, count = getWords().size();
  std::string text = "st.global" + spellFirstLevel(getL1());
  if (getPolicy())
    text += cacheHint;
  text +=
      spellWords(getWords().getTypes()) + " [$0], " + spellVector(first, count);
  return text + (getPolicy() ? operand(1) : "") + ";";
}

LogicalResult CpAsyncOp::verify() {
  if (getBytes() != 4 && getBytes() != 8 && getBytes() != 16) // (C1)
    return emitOpError("copies ")
           << getBytes() << " bytes; expected 4, 8 or 16";
  return success();
}

std::string CpAsyncOp::getInstruction() {
  // Only 16 bytes may pass by the first-level cache.
  std::string text = getBytes() == 16 ? "cp.async.cg" : "cp.async.ca";
  text += ".shared.global";
  if (getPolicy())
    text += cacheHint;
  text += " [$0], [$1], " + std::to_string(getBytes());
  unsigned next = 2;
  if (getPresent())
    text += operand(next++);
  if (getPolicy())
    text += operand(next);
  return text + ";";
}

std::string CpAsyncBulkOp::getInstruction() {
  std::string text =
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
  if (getPolicy())
    text += cacheHint;
  text += " [$0], [$1], $2, [$3]";
  return text + (getPolicy() ? operand(4) : "") + ";";
}
