// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"

#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "lib/Quant/Element.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using quant::ElementType;

StatusOr<gemm::Case> gemm::parseCase(const std::string &text) {
  skinny_linear::Options options = skinny_linear::parseOptions(text);
  auto layer = skinny_linear::parseLayer(options);
  if (!layer)
    return layer.status();
  Case test;
  test.layer = *layer;
  test.layer.roundedWeights = true;
  test.problem = {layer->problem};
  test.problem.tokens =
      skinny_linear::number(options, "m", bucketOf(layer->tokens));
  auto schedule = chooseSchedule(test.problem, *layer->target);
  if (!schedule)
    return schedule.status();
  test.schedule = *schedule;
  Schedule::visitFields(test.schedule, [&](const char *name, auto &member) {
    member = std::decay_t<decltype(member)>(
        skinny_linear::number(options, name, member));
  });
  QOPT_RETURN_IF_ERROR(
      isValid(test.problem, test.schedule, *test.layer.target));
  return test;
}

StatusOr<test::Compiled> gemm::compileCase(const Case &test) {
  mlir::OwningOpRef<mlir::ModuleOp> epilogue;
  return test::compile(
      [&](mlir::gpu::GPUModuleOp module) -> StatusOr<mlir::gpu::GPUFuncOp> {
        mlir::Block *block = nullptr;
        if (std::string text = epilogueText(test.layer); !text.empty()) {
          mlir::MLIRContext *context = module.getContext();
          context
              ->loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                            mlir::math::MathDialect>();
          epilogue = mlir::parseSourceString<mlir::ModuleOp>(text, context);
          if (!epilogue)
            return Status(StatusCode::Internal, "no epilogue");
          block = &(*epilogue->getOps<mlir::func::FuncOp>().begin())
                       .getBody()
                       .front();
        }
        auto built = buildKernel(module, test.problem, test.schedule,
                                 *test.layer.target, block);
        epilogue = {};
        return built;
      },
      *test.layer.target);
}

StatusOr<std::vector<uint8_t>>
gemm::runCase(const Case &test, const test::Compiled &kernel,
              const skinny_linear::Arrays &arrays, uint64_t seed,
              emulator::Statistics *statistics) {
  const Problem &problem = test.problem;
  int64_t tokens = test.layer.tokens;
  gemm::Launch sizes = launchOf(problem, test.schedule, tokens);
  int64_t elements = tokens * problem.outputColumns();
  std::vector<uint8_t> y(
      size_t(elements * quant::elementOf(problem.output).bits / 8));
  std::vector<float> workspace(
      size_t(std::max<int64_t>(sizes.workspaceBytes / 4, 1)));
  std::vector<uint32_t> counters(size_t(std::max<int64_t>(sizes.counters, 1)),
                                 0);
  bool codes = problem.activation == ElementType::Int8;
  std::vector<uint8_t> x =
      codes ? std::vector<uint8_t>()
            : skinny_linear::encode(problem.activation, arrays.x);
  ElementType other = codes ? ElementType::F16 : problem.activation;
  std::vector<uint8_t> bias = skinny_linear::encode(other, arrays.bias),
                       residual = skinny_linear::encode(other, arrays.residual);
  test::Launch launch;
  if (codes)
    launch.in(arrays.xCodes);
  else
    launch.in(x);
  launch.in(arrays.packed).out(y).out(workspace).inOut(counters);
  if (codes)
    launch.in(arrays.tokenScales);
  for (const Operand &operand : problem.operands)
    launch.in(operand.shape == OperandShape::Column ? bias : residual);
  launch.integer(int32_t(tokens));
  LaunchShape shape;
  shape.threads = test.schedule.threads();
  shape.sharedBytes = planOf(problem, test.schedule).sharedBytes;
  QOPT_RETURN_IF_ERROR(launch.run(kernel, shape, sizes.grid, seed, statistics));
  for (uint32_t counter : counters)
    if (counter)
      return Status(StatusCode::Internal, "a counter is not zero again");
  return y;
}
