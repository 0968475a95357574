// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearArguments.h"

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
  if (!problem.norm.empty())
    list.push_back({Argument::Constant, "scale"});
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
