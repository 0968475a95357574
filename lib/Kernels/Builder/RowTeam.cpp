// Rows in registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/RowTeam.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

RowTeam::RowTeam(Kernel &kernel, RowShape shape, int64_t columns)
    : k(kernel), shape(shape), columns(columns) {
  bool alone = shape.rowsPerBlock == 1;
  threadOfRow = alone ? k.thread() : k.lane();
  rowIndex = alone ? k.block() : k.block() * shape.rowsPerBlock + k.warp();
}

void RowTeam::inside(Int rows, llvm::function_ref<void()> body) {
  if (shape.rowsPerBlock == 1)
    return body(); // a block for each row
  k.when(rowIndex < rows, body);
}

Int RowTeam::column(int64_t step) const {
  return threadOfRow * shape.width + step * shape.threads * shape.width;
}

bool RowTeam::isWhole(int64_t step) const {
  return (step + 1) * shape.threads * shape.width <= columns;
}

Flag RowTeam::holds(int64_t step) const {
  return column(step) < k.constant(columns);
}

void RowTeam::where(int64_t step, llvm::function_ref<void()> body) {
  isWhole(step) ? body() : k.when(holds(step), body);
}

Run RowTeam::loadStep(Global address, Type type, int64_t step) {
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  auto load = [&] {
    return loadRun(k, address.at(column(step), bytes), type, shape.width);
  };
  if (isWhole(step))
    return load();
  Kernel::Values zeros(size_t(shape.width), k.real(0).value);
  Kernel::Values values = k.when(holds(step), zeros, [&](Kernel::Values) {
    Kernel::Values loaded;
    for (Real value : load())
      loaded.push_back(value.value);
    return loaded;
  });
  Run run;
  for (Value value : values)
    run.push_back({{&k, value}});
  return run;
}

RowPart RowTeam::load(Global address, Type type) {
  RowPart part;
  for (int64_t step = 0; step < steps(); ++step)
    part.push_back(loadStep(address, type, step));
  return part;
}

void RowTeam::store(Global address, const RowPart &part, Type type) {
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  for (int64_t step = 0; step < steps(); ++step)
    where(step, [&] {
      storeRun(k, address.at(column(step), bytes), part[size_t(step)], type);
    });
}

Real RowTeam::reduce(Real value, Reduction reduction) {
  return shape.rowsPerBlock > 1
             ? reduceWarp(k, value, reduction)
             : reduceBlock(k, value, reduction, shape.threads / 32);
}

void RowTeam::quantize(Global codes, Global scale, const RowPart &part) {
  Real most = k.real(0);
  for (const Run &run : part)
    for (Real value : run)
      most = largest(most, absolute(value));
  most = reduce(most, Reduction::Largest);
  CodeScale of = codeScaleOf(most);
  for (int64_t i = 0; i < steps(); ++i)
    where(i, [&] {
      std::vector<Int> words = encodeRun(k, part[size_t(i)], of.inverse);
      Global address = codes.at(column(i), 1);
      if (shape.width < 4)
        storeBytes(k, address, words.front(), shape.width);
      else
        storeWords(k, address, words);
    });
  k.when(threadOfRow == 0,
         [&] { k.storeReal(scale, of.step, k.builder().getF32Type()); });
}
