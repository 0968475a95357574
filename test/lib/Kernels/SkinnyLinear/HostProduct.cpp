// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostProduct.h"

#include "runtime/host/Linear.h"

using namespace qopt;
using namespace qopt::kernels::skinny_linear;

std::vector<float> qopt::kernels::skinny_linear::hostProduct(
    const Case &test, const Arrays &arrays, const std::vector<float> &x,
    const std::vector<host::LinearSumOrder> &orders) {
  const Problem &problem = test.problem;
  int64_t columns = problem.outputColumns(), first = 0;
  std::vector<float> y(size_t(test.tokens * columns));
  host::ThreadPool pool(1);
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    const Segment &segment = problem.segments[i];
    host::LinearArguments linear;
    linear.layout =
        *host::linearLayout(segment.weight, segment.rows, problem.columns);
    std::vector<uint8_t> weight(size_t(linear.layout.packedBytes()));
    host::packWeight(linear.layout, arrays.segments[i].rows(), weight.data());
    linear.weight = weight.data();
    linear.rows = test.tokens;
    linear.input = x.data();
    linear.inputStride = problem.columns;
    for (const Operand &operand : problem.operands)
      (operand.shape == OperandShape::Column ? linear.bias : linear.residual) =
          (operand.shape == OperandShape::Column ? arrays.bias
                                                 : arrays.residual)
              .data() +
          first;
    linear.residualStride = linear.outputStride = columns;
    linear.output = y.data() + first;
    linear.order = &orders[i];
    host::linear(linear, pool);
    first += segment.rows;
  }
  return decode(problem.output, encode(problem.output, y).data(),
                int64_t(y.size()));
}
