// A gather: one access a thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatherRows/GatherRowsGenerator.h"
#include "lib/Kernels/Builder/Elements.h"
#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gather_rows;
using quant::ElementType;
using quant::Granularity;

namespace {
struct Body {
  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  int table = 1, scales = -1, zeros = -1, result = -1;

  Type typeOf(ElementType type) { return kernels::typeOf(k, type); }
  Global argument(int index) { return k.pointer(unsigned(index)); }

  /// `width` codes from `column` on in their order: integers, or bits of fp8.
  std::vector<Int> loadCodes(Int row, Int column) {
    bool narrow = problem.format.element == ElementType::Int4;
    int bits = narrow ? 4 : 8;
    Global address =
        argument(table)
            .at(row, quant::bytesPerRow(problem.format, problem.columns))
            .at(narrow ? column >> int64_t(1) : column, 1);
    int bytes = schedule.width * bits / 8;
    std::vector<Int> words;
    if (bytes <= 4)
      words.push_back(loadBytes(k, address, bytes ? bytes : 1));
    else
      words = k.load(address, unsigned(bytes / 4));
    if (!bytes) // one nibble: the lower one is the even column's
      words[0] = words[0] >> ((column & 1) << int64_t(2));
    std::vector<Int> codes;
    for (int i = 0; i < schedule.width; ++i)
      codes.push_back(
          extract(words[size_t(i * bits / 32)], i * bits % 32, bits));
    return codes;
  }

  Int extract(Int word, int at, int bits) {
    if (!problem.format.isSymmetric() || isFp8())
      return (word >> int64_t(at)) & ((int64_t(1) << bits) - 1);
    // Up to the sign, and down again with it.
    return shiftSigned(word << int64_t(32 - bits - at), 32 - bits);
  }

  /// Number of the scale of (row, column).
  Int groupOf(Int row, Int column) {
    if (problem.format.granularity == Granularity::Tensor)
      return k.constant(0);
    if (problem.format.granularity == Granularity::Channel)
      return row;
    return row * quant::groupsPerRow(problem.format, problem.columns) +
           column / problem.format.groupSize;
  }

  Real zeroOf(Int group, ElementType scale) {
    if (problem.format.zero == quant::ZeroType::U8)
      return toReal(loadBytes(k, argument(zeros).at(group, 1), 1));
    return k.loadReal(argument(zeros).at(group, scaleBytes()), typeOf(scale));
  }

  bool isFp8() { return problem.format.element == ElementType::Fp8E4m3; }

  int64_t scaleBytes() { return quant::bytesPerScale(problem.format); }

  Run loadValues(Int row, Int column) {
    const quant::Format &format = problem.format;
    if (format.isFloat()) {
      int64_t bytes = quant::elementOf(format.element).bits / 8;
      return loadRun(
          k, argument(table).at(row, problem.columns * bytes).at(column, bytes),
          typeOf(format.element), schedule.width);
    }
    ElementType scaleType = format.scale == quant::ScaleType::F16
                                ? ElementType::F16
                                : ElementType::F32;
    Int group = groupOf(row, column);
    Real scale =
        k.loadReal(argument(scales).at(group, scaleBytes()), typeOf(scaleType));
    Run run;
    for (Int code : loadCodes(row, column))
      run.push_back(isFp8() ? e4m3ToReal(code) : toReal(code));
    if (!format.isSymmetric()) {
      Real zero = zeroOf(group, scaleType);
      for (Real &value : run)
        value = value - zero;
    }
    for (Real &value : run)
      value = value * scale;
    return run;
  }

  void build(Int rows) {
    LaunchShape launch = launchOf(problem, schedule);
    Int block = k.block();
    Int index = launch.blocksPerRow == 1 ? block : block / launch.blocksPerRow;
    Int piece =
        launch.blocksPerRow == 1 ? k.constant(0) : block % launch.blocksPerRow;
    Int column = (piece * schedule.threads + k.thread()) * schedule.width;
    k.waitForPredecessor();
    k.when(column < k.constant(problem.columns), [&] {
      Int row = k.load(argument(0).at(index, 4), 1).front();
      Run run(size_t(schedule.width), k.real(NAN));
      Kernel::Values values;
      for (Real value : run)
        values.push_back(value.value);
      values = k.when(belowUnsigned(row, rows), values, [&](Kernel::Values) {
        Kernel::Values loaded;
        for (Real value : loadValues(row, column))
          loaded.push_back(value.value);
        return loaded;
      });
      for (size_t i = 0; i < run.size(); ++i)
        run[i].value = values[i];
      int64_t bytes = quant::elementOf(problem.output).bits / 8;
      storeRun(
          k,
          argument(result).at(index, problem.columns * bytes).at(column, bytes),
          run, typeOf(problem.output));
    });
  }
};
} // namespace

StatusOr<gpu::GPUFuncOp>
gather_rows::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                         const Schedule &schedule,
                         const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  bool weight = problem.table == Table::Weight;
  auto table = weight ? Argument::Constant : Argument::Dependent;
  std::vector<Argument> arguments = {{Argument::Dependent, "ids"},
                                     {table, "table"}};
  auto add = [&](Argument::Kind kind, std::string name) {
    arguments.push_back({kind, std::move(name)});
    return int(arguments.size()) - 1;
  };
  int scales = problem.format.isFloat() ? -1 : add(table, "scales");
  int zeros = problem.format.isSymmetric() ? -1 : add(table, "zeros");
  int result = add(Argument::Dependent, "result");
  if (!weight)
    add(Argument::Integer, "rows");
  Kernel kernel(module, symbolOf(problem, target), arguments,
                {schedule.threads}, target);
  kernel.launchSuccessor();
  Int rows = weight ? kernel.constant(problem.rows)
                    : kernel.integer(unsigned(arguments.size()) - 1);
  Body{kernel, problem, schedule, 1, scales, zeros, result}.build(rows);
  return kernel.finish();
}
