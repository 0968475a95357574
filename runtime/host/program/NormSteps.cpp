// Steps on rows: normalisation and activation functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Activation.h"
#include "runtime/host/Norm.h"
#include "runtime/host/program/HostSteps.h"
#include "runtime/host/program/SumOrders.h"

namespace qopt::runtime {
namespace {

static_assert(uint8_t(plan::ActivationKind::GeluErf) ==
                  uint8_t(host::ActivationKind::GeluErf) &&
              uint8_t(plan::ActivationKind::GeluQuick) ==
                  uint8_t(host::ActivationKind::GeluQuick) &&
              uint8_t(plan::ActivationKind::MAX) ==
                  uint8_t(host::ActivationKind::Sigmoid));

/// What both norms share. The number of columns is that of a head's scale.
template <typename Step, typename Command>
Status fillNorm(StepBinder &binder, const Step &step, Command &command) {
  host::NormArguments &arguments = command.arguments;
  const BoundValue &x = binder.value(step.x());
  int64_t scales = binder.value(step.scale()).elements;
  arguments.heads = step.heads();
  if (scales == 0 || arguments.heads == 0 || scales % arguments.heads != 0 ||
      x.elements % scales != 0)
    return binder.fail("its scale does not fit its input");
  arguments.columns = scales / arguments.heads;
  arguments.rows = x.elements / arguments.columns;
  arguments.epsilon = step.epsilon();
  QOPT_RETURN_IF_ERROR(
      binder.expect("its input", step.x(), plan::DType::F32, x.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its scale", step.scale(), plan::DType::F32, scales));
  if ((step.residual() >= 0) != (step.sum() >= 0))
    return binder.fail("a residual and its sum come together");
  if (step.residual() >= 0)
    QOPT_RETURN_IF_ERROR(binder.expect("its residual",
                                       uint32_t(step.residual()),
                                       plan::DType::F32, x.elements));
  if (step.sum() >= 0)
    QOPT_RETURN_IF_ERROR(binder.expect("its sum", uint32_t(step.sum()),
                                       plan::DType::F32, x.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expectResult(step.y(), arguments.rows, arguments.columns));
  binder.point(arguments.input, step.x());
  binder.point(arguments.scale, step.scale());
  binder.pointOptional(arguments.residual, step.residual());
  binder.pointOptional(arguments.sum, step.sum());
  arguments.format = activationFormat(binder.value(step.y()));
  if (binder.value(step.y()).quantized)
    binder.point(arguments.quantized, step.y());
  else
    binder.point(arguments.output, step.y());
  QOPT_RETURN_IF_ERROR(chooseOrder(binder, step.orders(), arguments.rows,
                                   command.order, arguments.order));
  if (arguments.order)
    if (Status status = isValid(*arguments.order); !status.ok())
      return binder.fail(status.message());
  return {};
}

class ActivationCommand : public HostCommand {
public:
  host::ActivationKind kind = host::ActivationKind::Silu;
  const float *input = nullptr;
  float *output = nullptr;
  int64_t count = 0;
  Status run(const HostCall &call) override {
    host::activation(kind, input, output, count, call.pool);
    return {};
  }
};

} // namespace

BoundCommand bindRmsNorm(StepBinder &binder, const plan::RmsNorm &step) {
  using Command =
      OrderedCommand<host::rmsNorm, host::NormArguments, host::NormSumOrder>;
  auto command = std::make_unique<Command>();
  QOPT_RETURN_IF_ERROR(fillNorm(binder, step, *command));
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindLayerNorm(StepBinder &binder, const plan::LayerNorm &step) {
  using Command =
      OrderedCommand<host::layerNorm, host::NormArguments, host::NormSumOrder>;
  auto command = std::make_unique<Command>();
  QOPT_RETURN_IF_ERROR(fillNorm(binder, step, *command));
  if (step.bias() >= 0)
    QOPT_RETURN_IF_ERROR(
        binder.expect("its bias", uint32_t(step.bias()), plan::DType::F32,
                      command->arguments.heads * command->arguments.columns));
  binder.pointOptional(command->arguments.bias, step.bias());
  return std::unique_ptr<HostCommand>(std::move(command));
}

/// The gated kernel without a factor: it writes whole rows of codes, and knows
/// the formula of GPUs.
static BoundCommand bindActivationRows(StepBinder &binder,
                                       const plan::Activation &step) {
  using Command =
      KernelCommand<host::gatedActivation, host::GatedActivationArguments>;
  auto command = std::make_unique<Command>();
  host::GatedActivationArguments &arguments = command->arguments;
  const BoundValue &y = binder.value(step.y());
  arguments.kind = host::ActivationKind(step.kind());
  arguments.rows = y.rows();
  arguments.columns = y.columns();
  arguments.format = activationFormat(y);
  QOPT_RETURN_IF_ERROR(
      binder.expectResult(step.y(), arguments.rows, arguments.columns));
  QOPT_RETURN_IF_ERROR(binder.expectRows("its input", step.x(), arguments.rows,
                                         arguments.columns,
                                         arguments.gateStride));
  arguments.gpuFormula = step.gpu_formula();
  binder.point(arguments.gate, step.x());
  if (y.quantized)
    binder.point(arguments.quantized, step.y());
  else
    binder.point(arguments.output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindActivation(StepBinder &binder, const plan::Activation &step) {
  if (binder.value(step.y()).quantized || step.gpu_formula())
    return bindActivationRows(binder, step);
  auto command = std::make_unique<ActivationCommand>();
  command->kind = host::ActivationKind(step.kind());
  command->count = binder.value(step.x()).elements;
  QOPT_RETURN_IF_ERROR(
      binder.expect("its input", step.x(), plan::DType::F32, command->count));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::F32, command->count));
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindGatedActivation(StepBinder &binder,
                                 const plan::GatedActivation &step) {
  using Command =
      KernelCommand<host::gatedActivation, host::GatedActivationArguments>;
  auto command = std::make_unique<Command>();
  host::GatedActivationArguments &arguments = command->arguments;
  const BoundValue &y = binder.value(step.y());
  arguments.kind = host::ActivationKind(step.kind());
  arguments.rows = y.rows();
  arguments.columns = y.columns();
  arguments.format = activationFormat(y);
  arguments.gpuFormula = step.gpu_formula();
  QOPT_RETURN_IF_ERROR(
      binder.expectResult(step.y(), arguments.rows, arguments.columns));
  if (step.up() >= 0) {
    QOPT_RETURN_IF_ERROR(binder.expectRows("its gate", step.gate(),
                                           arguments.rows, arguments.columns,
                                           arguments.gateStride));
    QOPT_RETURN_IF_ERROR(binder.expectRows("its factor", uint32_t(step.up()),
                                           arguments.rows, arguments.columns,
                                           arguments.upStride));
    binder.point(arguments.gate, step.gate());
    binder.point(arguments.up, uint32_t(step.up()));
  } else {
    int64_t both = 2 * arguments.columns;
    QOPT_RETURN_IF_ERROR(binder.expectRows(
        "its gate", step.gate(), arguments.rows, both, arguments.gateStride));
    arguments.upStride = arguments.gateStride;
    binder.point(arguments.gate, step.gate());
    binder.point(arguments.up, step.gate(), arguments.columns * 4);
  }
  if (y.quantized)
    binder.point(arguments.quantized, step.y());
  else
    binder.point(arguments.output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

} // namespace qopt::runtime
