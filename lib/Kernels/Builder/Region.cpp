// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Region.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

Status kernels::isValidRegion(Block *block, size_t expected, size_t operands) {
  if (!block && expected == 1)
    return Status();
  size_t got = block ? block->getNumArguments() : 0;
  if (got == expected)
    return Status();
  return Status(StatusCode::InvalidArgument,
                "the epilogue of " + std::to_string(operands) +
                    " operands has " + std::to_string(got) +
                    " arguments; expected " + std::to_string(expected));
}

Real kernels::inlineRegion(Kernel &kernel, Block *block,
                           ArrayRef<Real> arguments) {
  if (!block)
    return arguments.front();
  IRMapping map;
  for (auto [argument, value] :
       llvm::zip_equal(block->getArguments(), arguments))
    map.map(argument, value.value);
  for (Operation &op : block->without_terminator())
    kernel.builder().clone(op, map);
  return {
      {&kernel, map.lookupOrDefault(block->getTerminator()->getOperand(0))}};
}

void kernels::fillSum(Block &block, size_t operands, OpBuilder builder,
                      Location loc) {
  Type real = builder.getF32Type();
  block.addArgument(real, loc);
  for (size_t i = 0; i < operands; ++i)
    block.addArgument(real, loc);
  builder.setInsertionPointToStart(&block);
  Value sum = block.getArgument(0);
  for (size_t i = 0; i < operands; ++i)
    sum = arith::AddFOp::create(builder, loc, sum, block.getArgument(1 + i));
  scf::YieldOp::create(builder, loc, sum);
}
