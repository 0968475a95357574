// Steps on weights: linear layers, embeddings, and the quantization of
// activations between them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include "runtime/host/Embedding.h"
#include "runtime/host/Linear.h"
#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/RoutedLinear.h"
#include "runtime/host/program/HostSteps.h"
#include "runtime/host/program/SumOrders.h"
#include "runtime/plan/PlanFormat.h"

namespace qopt::runtime {
namespace {

Status expectWeight(const StepBinder &binder, uint32_t id, int64_t bytes) {
  const BoundValue &weight = binder.value(id);
  if (weight.slot != Slot::Constant || weight.bytes != bytes)
    return binder.fail("its weight has " + std::to_string(weight.bytes) +
                       " bytes; expected a constant of " +
                       std::to_string(bytes));
  return {};
}

class EmbeddingCommand : public HostCommand {
public:
  host::EmbeddingArguments arguments;
  Status run(const HostCall &call) override {
    int64_t bad = host::embedding(arguments, call.pool);
    if (bad < 0)
      return {};
    int64_t id = arguments.ids ? arguments.ids[bad] : arguments.wideIds[bad];
    return Status(StatusCode::InvalidArgument,
                  "id " + std::to_string(id) + " at index " +
                      std::to_string(bad) + " is outside the table of " +
                      std::to_string(arguments.rows) + " rows");
  }
};

class QuantizeCommand : public HostCommand {
public:
  const float *input = nullptr;
  void *output = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;
  host::ActivationFormat format;
  Status run(const HostCall &call) override {
    host::quantizeActivations(input, stride, rows, columns, format, output,
                              call.pool);
    return {};
  }
};

class FromCodesCommand : public HostCommand {
public:
  host::ModelCodes input;
  void *output = nullptr;
  int64_t rows = 0, columns = 0;
  Status run(const HostCall &call) override {
    host::centredActivations(input, rows, columns, output, call.pool);
    return {};
  }
};

class DequantizeCommand : public HostCommand {
public:
  const void *input = nullptr;
  float *output = nullptr;
  int64_t rows = 0, columns = 0;
  host::ActivationCodes codes = host::ActivationCodes::Int8Blocks;
  Status run(const HostCall &call) override {
    host::dequantizeActivations(input, rows, columns, codes, output, call.pool);
    return {};
  }
};

/// What the layout of a linear's weight is; an error for other layouts.
StatusOr<host::LinearLayout> layoutOf(const StepBinder &binder,
                                      const plan::Linear &step) {
  StatusOr<host::LinearLayout> layout =
      host::linearLayout(toFormat(*step.format()), step.n(), step.k());
  bool hasSums = step.layout() == plan::WeightLayout::HostTiledSums;
  if (layout.ok() && hasSums)
    layout = layout->withRowSums();
  if (!hasSums && step.layout() != plan::WeightLayout::HostTiled)
    return binder.fail("its weight must have the layout host_tiled or "
                       "host_tiled_sums");
  return layout.ok() ? layout : binder.fail(layout.status().message());
}

/// The codes that x, quantized, is made of are those that the weight reads.
Status expectCodes(const StepBinder &binder, const plan::Linear &step,
                   const host::LinearLayout &layout) {
  const BoundValue &x = binder.value(step.x());
  const host::ActivationCodes codes = activationFormat(x).codes;
  if (!host::readsCodes(layout.format, codes))
    return binder.fail("its activations are " + quant::spell(x.activation) +
                       ", which no linear reads with a weight of " +
                       quant::spell(layout.format));
  bool isCentred = codes == host::ActivationCodes::Int8Centred;
  if (isCentred && !layout.hasRowSums)
    return binder.fail("its activations have zero points; expected a weight "
                       "with the layout host_tiled_sums");
  if ((isCentred || codes == host::ActivationCodes::Int8Rows) &&
      x.columns() > quant::longestInt8Sum)
    return binder.fail("its input has " + std::to_string(x.columns()) +
                       " columns; expected up to " +
                       std::to_string(quant::longestInt8Sum) +
                       " of int8 with one scale a row");
  if (x.elements > 0 && x.columns() != step.k())
    return binder.fail("its input has " + std::to_string(x.columns()) +
                       " columns; expected " + std::to_string(step.k()));
  return {};
}

} // namespace

/// All arguments but the order; `step.gathered` is not among them.
static Status bindArguments(StepBinder &binder, const plan::Linear &step,
                            host::LinearArguments &arguments) {
  StatusOr<host::LinearLayout> layout = layoutOf(binder, step);
  QOPT_RETURN_IF_ERROR(layout.status());
  QOPT_RETURN_IF_ERROR(
      expectWeight(binder, step.weight(), layout->packedBytes()));
  const BoundValue &x = binder.value(step.x());
  arguments.layout = *layout;
  arguments.rows = x.elements / step.k();
  if (x.quantized) {
    arguments.codes = activationFormat(x).codes;
    QOPT_RETURN_IF_ERROR(expectCodes(binder, step, *layout));
    binder.point(arguments.quantized, step.x());
  } else {
    QOPT_RETURN_IF_ERROR(binder.expectRows("its input", step.x(),
                                           arguments.rows, step.k(),
                                           arguments.inputStride));
    binder.point(arguments.input, step.x());
  }
  binder.point(arguments.weight, step.weight());
  if (step.bias() >= 0)
    QOPT_RETURN_IF_ERROR(binder.expect("its bias", uint32_t(step.bias()),
                                       plan::DType::F32, step.n()));
  binder.pointOptional(arguments.bias, step.bias());
  if (step.residual() >= 0)
    QOPT_RETURN_IF_ERROR(
        binder.expectRows("its residual", uint32_t(step.residual()),
                          arguments.rows, step.n(), arguments.residualStride));
  binder.pointOptional(arguments.residual, step.residual());
  QOPT_RETURN_IF_ERROR(binder.expectRows("its result", step.y(), arguments.rows,
                                         step.n(), arguments.outputStride));
  binder.point(arguments.output, step.y());
  return {};
}

static BoundCommand bindRoutedLinear(StepBinder &binder,
                                     const plan::Linear &step) {
  if (step.residual() >= 0 || step.gathered() < 0 ||
      (step.orders() && step.orders()->size()))
    return binder.fail("it has a share; expected no residual, no order of "
                       "sums, and a place for gathered rows");
  auto command = std::make_unique<
      KernelCommand<host::routedLinear, host::RoutedLinearArguments>>();
  host::RoutedLinearArguments &arguments = command->arguments;
  QOPT_RETURN_IF_ERROR(bindArguments(binder, step, arguments.linear));
  int64_t rows = arguments.linear.rows;
  QOPT_RETURN_IF_ERROR(binder.expectRows("its share", uint32_t(step.share()),
                                         rows, 1, arguments.shareStride));
  const BoundValue &x = binder.value(step.x());
  const BoundValue &gathered = binder.value(uint32_t(step.gathered()));
  if (!x.quantized)
    QOPT_RETURN_IF_ERROR(binder.expect("its gathered rows",
                                       uint32_t(step.gathered()),
                                       plan::DType::F32, x.elements));
  else if (!gathered.quantized || gathered.elements != x.elements ||
           gathered.columns() != x.columns() ||
           activationFormat(gathered).codes != arguments.linear.codes)
    return binder.fail("its gathered rows are not like its input");
  binder.point(arguments.share, uint32_t(step.share()));
  binder.point(arguments.gathered, uint32_t(step.gathered()));
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindLinear(StepBinder &binder, const plan::Linear &step) {
  if (step.share() >= 0)
    return bindRoutedLinear(binder, step);
  using Command =
      OrderedCommand<host::linear, host::LinearArguments, host::LinearSumOrder>;
  auto command = std::make_unique<Command>();
  host::LinearArguments &arguments = command->arguments;
  QOPT_RETURN_IF_ERROR(bindArguments(binder, step, arguments));
  if (!binder.value(step.x()).quantized) {
    QOPT_RETURN_IF_ERROR(chooseOrder(binder, step.orders(), arguments.rows,
                                     command->order, arguments.order));
    if (arguments.order)
      if (Status status = isValid(*arguments.order, arguments.layout);
          !status.ok())
        return binder.fail(status.message());
  }
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindEmbedding(StepBinder &binder, const plan::Embedding &step) {
  auto command = std::make_unique<EmbeddingCommand>();
  host::EmbeddingArguments &arguments = command->arguments;
  arguments.format = toFormat(*step.format());
  arguments.rows = step.rows();
  arguments.columns = step.columns();
  const BoundValue &weight = binder.value(step.weight());
  if (step.layout() == plan::WeightLayout::HostTiled) {
    StatusOr<host::LinearLayout> layout =
        host::linearLayout(arguments.format, step.rows(), step.columns());
    if (!layout.ok())
      return binder.fail(layout.status().message());
    QOPT_RETURN_IF_ERROR(
        expectWeight(binder, step.weight(), layout->packedBytes()));
    arguments.packed = weight.address;
  } else {
    CanonicalLayout layout =
        canonicalLayout(arguments.format, step.rows(), step.columns());
    QOPT_RETURN_IF_ERROR(expectWeight(binder, step.weight(), layout.bytes));
    arguments.stored = {weight.address, weight.address + layout.scales,
                        weight.address + layout.zeros};
  }
  const BoundValue &ids = binder.value(step.ids());
  arguments.count = ids.elements;
  bool wide = ids.type == plan::DType::I64;
  QOPT_RETURN_IF_ERROR(binder.expect("its ids", step.ids(),
                                     wide ? plan::DType::I64 : plan::DType::I32,
                                     ids.elements));
  if (wide)
    binder.point(arguments.wideIds, step.ids());
  else
    binder.point(arguments.ids, step.ids());
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::F32,
                    binder.product({ids.elements, int64_t(step.columns())})));
  binder.point(arguments.output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindQuantizeActivations(StepBinder &binder,
                                     const plan::QuantizeActivations &step) {
  auto command = std::make_unique<QuantizeCommand>();
  const BoundValue &y = binder.value(step.y());
  if (!y.quantized)
    return binder.fail("its result must be quantized");
  QOPT_RETURN_IF_ERROR(binder.expectCodesOfValues(y));
  command->rows = y.rows();
  command->columns = y.columns();
  command->format = activationFormat(y);
  QOPT_RETURN_IF_ERROR(binder.expectRows("its input", step.x(), command->rows,
                                         command->columns, command->stride));
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindFromCodes(StepBinder &binder, const plan::FromCodes &step) {
  auto command = std::make_unique<FromCodesCommand>();
  const BoundValue &y = binder.value(step.y());
  if (!y.quantized ||
      activationFormat(y).codes != host::ActivationCodes::Int8Centred)
    return binder.fail("its result must be quantized, with zero points");
  command->rows = y.rows();
  command->columns = y.columns();
  plan::DType type = binder.value(step.x()).type;
  command->input.areUnsigned = type == plan::DType::U8;
  if (!command->input.areUnsigned && type != plan::DType::I8)
    return binder.fail("its codes must be i8 or u8");
  QOPT_RETURN_IF_ERROR(binder.expect("its input", step.x(), type, y.elements));
  QOPT_RETURN_IF_ERROR(
      binder.expect("its scale", step.scale(), plan::DType::F32, 1));
  QOPT_RETURN_IF_ERROR(binder.expect("its zero point", step.zero(), type, 1));
  binder.point(command->input.codes, step.x());
  binder.point(command->input.scale, step.scale());
  binder.point(command->input.zero, step.zero());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

BoundCommand bindDequantize(StepBinder &binder, const plan::Dequantize &step) {
  auto command = std::make_unique<DequantizeCommand>();
  const BoundValue &x = binder.value(step.x());
  if (!x.quantized)
    return binder.fail("its input must be quantized");
  command->rows = x.rows();
  command->columns = x.columns();
  command->codes = activationFormat(x).codes;
  QOPT_RETURN_IF_ERROR(
      binder.expect("its result", step.y(), plan::DType::F32, x.elements));
  binder.point(command->input, step.x());
  binder.point(command->output, step.y());
  return std::unique_ptr<HostCommand>(std::move(command));
}

} // namespace qopt::runtime
