// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Function.h"

using namespace qopt;
using namespace qopt::kernels;

std::string_view kernels::nameOf(Function function) {
  switch (function) {
  case Function::Silu:
    return "silu";
  case Function::GeluErf:
    return "gelu_erf";
  case Function::GeluTanh:
    return "gelu_tanh";
  case Function::GeluQuick:
    return "gelu_quick";
  case Function::Relu:
    return "relu";
  case Function::Tanh:
    return "tanh";
  case Function::Sigmoid:
    break;
  }
  return "sigmoid";
}
