// A gather: one access a thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatherRows/GatherRowsGenerator.h"
#include "lib/Kernels/Builder/Elements.h"
#include "lib/Kernels/Builder/Fp8.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"

#include <bit>

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

  /// `width` codes from `column` on in their order: integers, indices of a code
  /// book, or bits of fp8.
  std::vector<Int> loadCodes(Int row, Int column) {
    int bits = int(quant::elementOf(problem.format.element).bits);
    Global start = argument(table).at(
        row, quant::bytesPerRow(problem.format, problem.columns));
    std::vector<Int> codes;
    if (schedule.width == 1) {
      codes.push_back(signedIf(loadField(start, column, bits), bits));
      return codes;
    }
    std::vector<Int> words =
        loadFields(start.at(column * int64_t(bits) >> int64_t(3), 1), bits);
    for (int i = 0; i < schedule.width; ++i) {
      int at = i * bits % 32;
      Int code = words[size_t(i * bits / 32)] >> int64_t(at);
      if (at + bits > 32) // it goes on in the next word
        code = code | (words[size_t(i * bits / 32) + 1] << int64_t(32 - at));
      codes.push_back(signedIf(code & ((int64_t(1) << bits) - 1), bits));
    }
    return codes;
  }

  /// All fields of `bits` bits that a thread has, which begin with a byte.
  std::vector<Int> loadFields(Global address, int bits) {
    int bytes = schedule.width * bits / 8;
    if (std::has_single_bit(unsigned(bytes)))
      return bytes <= 4 ? std::vector<Int>{loadBytes(k, address, bytes)}
                        : k.load(address, unsigned(bytes / 4));
    std::vector<Int> words; // rows begin anywhere
    for (int64_t i = 0; i < bytes; ++i) {
      Int byte = loadBytes(k, address.at(i), 1) << i % 4 * 8;
      if (i % 4)
        words.back() = words.back() | byte;
      else
        words.push_back(byte);
    }
    return words;
  }

  /// Field `index` of an array (BitFields.h); reads no byte without its bits.
  Int loadField(Global start, Int index, int bits) {
    Int bit = index * int64_t(bits);
    Int word = loadBytes(k, start.at(bit >> int64_t(3), 1), 1);
    if (8 % bits) // it may go on in the next byte
      word =
          word | (loadBytes(k, start.at((bit + (bits - 1)) >> int64_t(3), 1), 1)
                  << int64_t(8));
    return (word >> (bit & 7)) & ((int64_t(1) << bits) - 1);
  }

  /// A code with its sign, where codes have one.
  Int signedIf(Int code, int bits) {
    if (!problem.format.isSymmetric() || !element().isInteger())
      return code;
    // Up to the sign, and down again with it.
    return shiftSigned(code << int64_t(32 - bits), 32 - bits);
  }

  const quant::Element &element() {
    return quant::elementOf(problem.format.element);
  }

  /// What a code stands for.
  Real numberOf(Int code) {
    if (quant::isFp8(problem.format.element))
      return fp8ToReal(code, problem.format.element);
    if (element().numbers)
      return numberOf(code, 0, 8);
    if (!element().bookSize)
      return toReal(code);
    Int number = loadBytes(k, argument(zeros).at(code, 1), 1);
    return toReal(shiftSigned(number << int64_t(24), 24));
  }

  /// The number of the codes from `first` on that a code of four bits is,
  /// bit after bit.
  Real numberOf(Int code, int first, int bit) {
    if (!bit)
      return k.real(element().numbers[first]);
    return select((code & bit) == int64_t(bit),
                  numberOf(code, first + bit, bit / 2),
                  numberOf(code, first, bit / 2));
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

  Real zeroOf(Int row, Int column, ElementType scale) {
    Int group = groupOf(row, column);
    if (problem.format.hasScaleFields())
      return toReal(loadField(
          argument(zeros).at(
              row, quant::zeroBytesPerRow(problem.format, problem.columns)),
          column / problem.format.groupSize, quant::zeroBits(problem.format)));
    if (problem.format.zero == quant::ZeroType::U8)
      return toReal(loadBytes(k, argument(zeros).at(group, 1), 1));
    return k.loadReal(argument(zeros).at(group, scaleBytes()), typeOf(scale));
  }

  /// The power of two that a code of e8m0 is.
  Real powerOf(Int code) {
    return k.asReal(max(code << int64_t(23), k.constant(0x00400000)));
  }

  /// A row's f32 times a code of e4m3; rows begin at any byte.
  Real unitScaleOf(Int row, Int column) {
    const quant::Format &format = problem.format;
    Global start = argument(scales).at(
        row, quant::scaleBytesPerRow(format, problem.columns));
    Int unit = k.constant(0);
    for (int64_t i = 0; i < 4; ++i)
      unit = unit | loadBytes(k, start.at(i), 1) << i * 8;
    Int code = loadBytes(k, start.at(4).at(column / format.groupSize, 1), 1);
    return k.asReal(unit) * e4m3ToReal(code);
  }

  Real scaleOf(Int row, Int column, ElementType scale) {
    const quant::Format &format = problem.format;
    if (format.scale == quant::ScaleType::E8m0)
      return powerOf(
          loadBytes(k, argument(scales).at(groupOf(row, column), 1), 1));
    if (format.scale == quant::ScaleType::E4m3)
      return unitScaleOf(row, column);
    if (!format.hasScaleFields())
      return k.loadReal(argument(scales).at(groupOf(row, column), scaleBytes()),
                        typeOf(scale));
    // Rows of codes of scales begin at any byte.
    Global start = argument(scales).at(
        row, quant::scaleBytesPerRow(format, problem.columns));
    Global unit = start.at(column / quant::columnsPerUnit, 2);
    Int half =
        loadBytes(k, unit, 1) | (loadBytes(k, unit.at(1), 1) << int64_t(8));
    int bits = quant::scaleCodeBits(format);
    Int code =
        loadField(start.at(2 * quant::unitsPerRow(format, problem.columns)),
                  column / format.groupSize, bits);
    if (quant::hasSignedScales(format))
      code = shiftSigned(code << int64_t(32 - bits), 32 - bits);
    return k.lowHalf(half, typeOf(ElementType::F16)) * toReal(code);
  }

  int64_t scaleBytes() { return quant::bytesPerScale(problem.format); }

  Run loadValues(Int row, Int column) {
    const quant::Format &format = problem.format;
    if (format.isFloat()) {
      int64_t bytes = quant::elementOf(format.element).bits / 8;
      return loadRun(
          k, argument(table).at(row, problem.columns * bytes).at(column, bytes),
          typeOf(format.element), schedule.width);
    }
    ElementType scaleType =
        format.scale == quant::ScaleType::F16    ? ElementType::F16
        : format.scale == quant::ScaleType::BF16 ? ElementType::BF16
                                                 : ElementType::F32;
    Real scale = scaleOf(row, column, scaleType);
    Run run;
    for (Int code : loadCodes(row, column))
      run.push_back(numberOf(code));
    if (!format.isSymmetric()) {
      Real zero = zeroOf(row, column, scaleType);
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
  int zeros = quant::hasZeroArray(problem.format) ? add(table, "zeros") : -1;
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
