// The one table of what each kernel's step reads and writes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/StepOperands.h"

namespace qopt::runtime {
namespace {

class Collector {
public:
  std::vector<StepOperand> operands;

  void read(int64_t value) { add(value, Access::Read); }
  void write(int64_t value) { add(value, Access::Write); }

private:
  void add(int64_t value, Access access) {
    if (value >= 0)
      operands.push_back({uint32_t(value), access});
  }
};

template <typename Norm> void collectNorm(Collector &c, const Norm &norm) {
  c.read(norm.x());
  c.read(norm.scale());
  c.read(norm.residual());
  c.write(norm.sum());
  c.write(norm.y());
}

template <typename Unary> void collectUnary(Collector &c, const Unary &step) {
  c.read(step.x());
  c.write(step.y());
}

void collectLinear(Collector &c, const plan::Linear &linear) {
  c.read(linear.x());
  c.read(linear.weight());
  c.read(linear.bias());
  c.read(linear.residual());
  c.write(linear.y());
}

void collectAttention(Collector &c, const plan::Attention &attention) {
  c.read(attention.q());
  c.read(attention.k());
  c.read(attention.v());
  c.read(attention.mask());
  c.write(attention.y());
}

void collectGenerated(Collector &c, const plan::Generated &generated) {
  if (generated.operands())
    for (uint32_t value : *generated.operands())
      c.read(value);
  if (generated.outputs())
    for (uint32_t value : *generated.outputs())
      c.write(value);
}

void collectLaunch(Collector &c, const plan::Launch &launch) {
  if (!launch.arguments())
    return;
  for (const plan::Argument *argument : *launch.arguments())
    if (argument->kind() == plan::ArgumentKind::Value)
      argument->written() ? c.write(argument->index())
                          : c.read(argument->index());
}

void collectRotaryAppend(Collector &c, const plan::RotaryAppend &step) {
  c.read(step.q());
  c.read(step.k());
  c.read(step.v());
  c.read(step.cos());
  c.read(step.sin());
  c.write(step.y());
}

} // namespace

std::vector<StepOperand> operandsOf(const plan::Step &step) {
  Collector c;
  switch (step.operation_type()) {
  case plan::Operation::NONE:
    break;
  case plan::Operation::Linear:
    collectLinear(c, *step.operation_as_Linear());
    break;
  case plan::Operation::Embedding:
    c.read(step.operation_as_Embedding()->ids());
    c.read(step.operation_as_Embedding()->weight());
    c.write(step.operation_as_Embedding()->y());
    break;
  case plan::Operation::RmsNorm:
    collectNorm(c, *step.operation_as_RmsNorm());
    break;
  case plan::Operation::LayerNorm:
    c.read(step.operation_as_LayerNorm()->bias());
    collectNorm(c, *step.operation_as_LayerNorm());
    break;
  case plan::Operation::QuantizeActivations:
    collectUnary(c, *step.operation_as_QuantizeActivations());
    break;
  case plan::Operation::Dequantize:
    collectUnary(c, *step.operation_as_Dequantize());
    break;
  case plan::Operation::Rotary:
    c.read(step.operation_as_Rotary()->cos());
    c.read(step.operation_as_Rotary()->sin());
    collectUnary(c, *step.operation_as_Rotary());
    break;
  case plan::Operation::RotaryTable:
    c.read(step.operation_as_RotaryTable()->positions());
    c.read(step.operation_as_RotaryTable()->inverse_frequencies());
    c.write(step.operation_as_RotaryTable()->cos());
    c.write(step.operation_as_RotaryTable()->sin());
    break;
  case plan::Operation::Positions:
    c.write(step.operation_as_Positions()->y());
    break;
  case plan::Operation::SelectRows:
    collectUnary(c, *step.operation_as_SelectRows());
    break;
  case plan::Operation::Activation:
    collectUnary(c, *step.operation_as_Activation());
    break;
  case plan::Operation::GatedActivation:
    c.read(step.operation_as_GatedActivation()->gate());
    c.read(step.operation_as_GatedActivation()->up());
    c.write(step.operation_as_GatedActivation()->y());
    break;
  case plan::Operation::Attention:
    collectAttention(c, *step.operation_as_Attention());
    break;
  case plan::Operation::KvAppend:
    c.read(step.operation_as_KvAppend()->k());
    c.read(step.operation_as_KvAppend()->v());
    break;
  case plan::Operation::RotaryAppend:
    collectRotaryAppend(c, *step.operation_as_RotaryAppend());
    break;
  case plan::Operation::CachedAttention:
    c.read(step.operation_as_CachedAttention()->q());
    c.read(step.operation_as_CachedAttention()->alibi_slopes());
    c.write(step.operation_as_CachedAttention()->y());
    break;
  case plan::Operation::Generated:
    collectGenerated(c, *step.operation_as_Generated());
    break;
  case plan::Operation::Launch:
    collectLaunch(c, *step.operation_as_Launch());
    break;
  case plan::Operation::Copy:
    collectUnary(c, *step.operation_as_Copy());
    break;
  case plan::Operation::CheckIndices:
    c.read(step.operation_as_CheckIndices()->x());
    break;
  case plan::Operation::Cast:
    collectUnary(c, *step.operation_as_Cast());
    break;
  }
  return std::move(c.operands);
}

std::string describe(const plan::Step &step) {
  std::string text = plan::EnumNameOperation(step.operation_type());
  if (const plan::Launch *launch = step.operation_as_Launch();
      launch && launch->check())
    text = plan::EnumNameOperation(plan::Operation::CheckIndices);
  if (step.origin() && step.origin()->size() > 0)
    text += " of '" + step.origin()->str() + "'";
  return text;
}

} // namespace qopt::runtime
