// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearArguments.h"
#include "lib/Kernels/Builder/Functions.h"
#include "lib/Kernels/Builder/Region.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

Arguments::Arguments(const Problem &problem)
    : list({{Argument::Dependent, "x"},
            {Argument::Constant, "weights"},
            {Argument::Dependent, "y"},
            {Argument::Dependent, "workspace"},
            {Argument::Dependent, "counters"}}) {
  if (problem.readsCodes())
    list.push_back({Argument::Dependent, "scales"});
  if (isCentred(problem.codes)) {
    list.push_back({Argument::Dependent, "zero"});
    list.push_back({Argument::Constant, "row_sums"});
  }
  if (!problem.norm.empty())
    list.push_back({Argument::Constant, "scale"});
  if (!problem.norm.empty() && problem.norm.front().bias)
    list.push_back({Argument::Constant, "shift"});
  sumNorm = unsigned(list.size());
  if (problem.sum) {
    list.push_back({Argument::Constant, "sum_scale"});
    if (problem.sum->bias)
      list.push_back({Argument::Constant, "sum_shift"});
    residual = unsigned(list.size());
    list.push_back({Argument::Dependent, "residual"});
    list.push_back({Argument::Dependent, "sum"});
  }
  operands = unsigned(list.size());
  for (const Operand &operand : problem.operands)
    list.push_back({operand.shape == OperandShape::Column ? Argument::Constant
                                                          : Argument::Dependent,
                    "operand"});
  if (problem.append)
    append.emplace(*problem.append, list, Y);
  tokens = unsigned(list.size());
  list.push_back({Argument::Integer, "tokens"});
}

Real skinny_linear::centredValue(Kernel &kernel, const Problem &problem,
                                 Int sum, Int row, Real scale) {
  Int zero = loadBytes(kernel, kernel.pointer(Arguments::Zero), 1);
  if (problem.codes == Codes::Signed)
    zero = (zero ^ int64_t(0x80)) - int64_t(0x80);
  Int ofRow =
      kernel.load(kernel.pointer(Arguments::RowSums).at(row, 4), 1).front();
  Real ofCodes = kernel.loadReal(kernel.pointer(Arguments::Scales),
                                 kernel.builder().getF32Type());
  return toReal(sum - zero * ofRow) * (ofCodes * scale);
}

Real skinny_linear::finishElement(Kernel &kernel, const Problem &problem,
                                  mlir::Block *epilogue,
                                  llvm::ArrayRef<Real> values) {
  size_t next = 1 + problem.regionOperands();
  Real y = inlineRegion(kernel, epilogue, values.take_front(next));
  mlir::Type type = problem.output == quant::ElementType::F32
                        ? mlir::Type(kernel.builder().getF32Type())
                        : typeOf(kernel, problem.output);
  for (const Step &step : problem.steps) {
    y = roundRun(kernel, {y}, type).front();
    switch (step.kind) {
    case Step::Kind::Activate:
      y = activate(step.function, y);
      break;
    case Step::Kind::Scale:
      y = y * double(step.factor);
      break;
    case Step::Kind::Add:
      y = y + values[next++];
      break;
    }
  }
  return y;
}
