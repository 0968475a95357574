// Verifiers and spellings of the instructions on registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ptx/PtxOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qopt::ptx;

LogicalResult Lop3Op::verify() {
  if (getTable() > 255) // (C1)
    return emitOpError("the table is ")
           << static_cast<int32_t>(getTable()) << "; expected 0 to 255";
  return success();
}

std::string Lop3Op::getInstruction() {
  return "lop3.b32 $0, $1, $2, $3, " + std::to_string(getTable()) + ";";
}

static bool isBFloat(Type type) { return getElementTypeOrSelf(type).isBF16(); }

/// "f32", "f16x2" or "bf16x2" behind the words before.
static std::string spellPacked(StringRef name, StringRef flush, Type type) {
  std::string text = name.str() + ".approx";
  if (!isa<VectorType>(type))
    return text + flush.str() + ".f32 $0, $1;";
  return text + (isBFloat(type) ? flush.str() + ".bf16x2" : ".f16x2") +
         " $0, $1;";
}

std::string Ex2Op::getInstruction() {
  return spellPacked("ex2", ".ftz", getX().getType());
}
int Ex2Op::getRequiredCapability() {
  return isBFloat(getX().getType()) ? 90 : 75;
}
int Ex2Op::getRequiredPtxVersion() {
  return isBFloat(getX().getType()) ? 78 : 70;
}

std::string TanhOp::getInstruction() {
  return spellPacked("tanh", "", getX().getType());
}
int TanhOp::getRequiredCapability() {
  return isBFloat(getX().getType()) ? 90 : 75;
}
int TanhOp::getRequiredPtxVersion() {
  return isBFloat(getX().getType()) ? 78 : 70;
}

std::string Lg2Op::getInstruction() { return "lg2.approx.ftz.f32 $0, $1;"; }
std::string RcpOp::getInstruction() { return "rcp.approx.ftz.f32 $0, $1;"; }
std::string RsqrtOp::getInstruction() { return "rsqrt.approx.ftz.f32 $0, $1;"; }

std::string CvtRniS32Op::getInstruction() { return "cvt.rni.s32.f32 $0, $1;"; }

std::string CvtPackS8Op::getInstruction() {
  return "cvt.pack.sat.s8.s32.b32 $0, $1, $2, $3;";
}

LogicalResult MmaE4m3Op::verify() {
  if (getA().size() != 4 || getB().size() != 2 || getC().size() != 4) // (C1)
    return emitOpError("has ")
           << getA().size() << " words of a, " << getB().size() << " of b and "
           << getC().size() << " numbers of c; expected 4, 2 and 4";
  return success();
}

std::string MmaE4m3Op::getInstruction() {
  return "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 " +
         spellVector(0, 4) + ", " + spellVector(4, 4) + ", " +
         spellVector(8, 2) + ", " + spellVector(10, 4) + ";";
}
