// What the instructions of wmma share. Where a fragment keeps an element is not
// for a program to know; here the elements of a matrix, row by row (a B of less
// than bytes: column by column), lie one behind the other in lane 0's, lane
// 1's, … first register, then in the second registers, and so on. Where a
// fragment has room for more, the elements repeat.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_WMMA_H
#define QOPT_RUNTIME_EMULATOR_OPS_WMMA_H

#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/MatrixShape.h"

namespace qopt::emulator {

inline constexpr MatrixShape squareShape = {16, 16, 16},
                             tallShape = {32, 8, 16}, wideShape = {8, 32, 16},
                             singleShape = {16, 16, 8}, doubleShape = {8, 8, 4},
                             nibbleShape = {8, 8, 32}, bitShape = {8, 8, 128};

/// Registers of a fragment.
inline size_t countOf(const ptx::Operand &operand) {
  return operand.kind == ptx::Operand::Vector ? operand.elements.size() : 1;
}

/// wmma.mma
bool decodeWmmaProduct(Decoder &decoder, MatrixShape shape);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_WMMA_H
