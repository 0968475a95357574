// Asynchronous copies, matrices from shared memory and approximations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Fragments.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

static Value sharedPointer(Int address) {
  Kernel &kernel = *address.kernel;
  auto type =
      LLVM::LLVMPointerType::get(kernel.builder().getContext(), /*space=*/3);
  return LLVM::IntToPtrOp::create(kernel.builder(), kernel.loc(), type,
                                  address.value);
}

// Copies ----------------------------------------------------------------------

void kernels::copyAsync(Int destination, Global source, Int present,
                        unsigned bytes) {
  Kernel &kernel = *destination.kernel;
  ptx::CpAsyncOp::create(kernel.builder(), kernel.loc(),
                         sharedPointer(destination), source.value,
                         present.value, Value(), bytes);
}

void kernels::commitCopies(Kernel &kernel) {
  NVVM::CpAsyncCommitGroupOp::create(kernel.builder(), kernel.loc());
}

void kernels::waitForCopies(Kernel &kernel, unsigned pending) {
  NVVM::CpAsyncWaitGroupOp::create(kernel.builder(), kernel.loc(), pending);
}

// Fragments -------------------------------------------------------------------

std::vector<Int> kernels::loadTransposed(Int address, unsigned count) {
  Kernel &kernel = *address.kernel;
  OpBuilder &builder = kernel.builder();
  Type word = builder.getI32Type();
  Type type = count == 1
                  ? word
                  : Type(LLVM::LLVMStructType::getLiteral(
                        builder.getContext(), SmallVector<Type>(count, word)));
  auto shape = NVVM::LdStMatrixShapeAttr::get(builder.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(
      builder, kernel.loc(), type, sharedPointer(address), count,
      NVVM::MMALayout::col, shape, NVVM::LdStMatrixEltType::B16);
  if (count == 1)
    return {{{&kernel, loaded}}};
  std::vector<Int> words;
  for (int64_t i = 0; i < count; ++i)
    words.push_back({{&kernel, LLVM::ExtractValueOp::create(
                                   builder, kernel.loc(), loaded, i)}});
  return words;
}

Int kernels::fmaHalves(Int a, double b, double c, Type type) {
  Kernel &kernel = *a.kernel;
  OpBuilder &builder = kernel.builder();
  auto pair = VectorType::get(2, type);
  auto both = [&](double value) -> Value {
    return arith::ConstantOp::create(
        builder, kernel.loc(),
        DenseElementsAttr::get(pair, builder.getFloatAttr(type, value)));
  };
  Value halves = LLVM::BitcastOp::create(builder, kernel.loc(), pair, a.value);
  Value result =
      math::FmaOp::create(builder, kernel.loc(), halves, both(b), both(c));
  return {{&kernel, LLVM::BitcastOp::create(builder, kernel.loc(),
                                            builder.getI32Type(), result)}};
}

// Numbers ---------------------------------------------------------------------

Real kernels::maxFromLane(Real value, int distance) {
  Kernel &kernel = *value.kernel;
  Value other = NVVM::ShflOp::create(
      kernel.builder(), kernel.loc(), value.value.getType(),
      kernel.constant(-1).value, value.value, kernel.constant(distance).value,
      kernel.constant(31).value, NVVM::ShflKind::bfly, UnitAttr());
  return max(value, Real{{&kernel, other}});
}

Flag kernels::operator<(Real a, Real b) {
  Kernel &kernel = *a.kernel;
  return {{&kernel,
           arith::CmpFOp::create(kernel.builder(), kernel.loc(),
                                 arith::CmpFPredicate::OLT, a.value, b.value)}};
}

// Blocks ----------------------------------------------------------------------

template <typename OpTy> static Int special(Kernel &kernel) {
  return {{&kernel, OpTy::create(kernel.builder(), kernel.loc(),
                                 kernel.builder().getI32Type())}};
}

Int kernels::blockY(Kernel &kernel) {
  return special<NVVM::BlockIdYOp>(kernel);
}
Int kernels::blockZ(Kernel &kernel) {
  return special<NVVM::BlockIdZOp>(kernel);
}
Int kernels::blocksX(Kernel &kernel) {
  return special<NVVM::GridDimXOp>(kernel);
}
Int kernels::blocksY(Kernel &kernel) {
  return special<NVVM::GridDimYOp>(kernel);
}
