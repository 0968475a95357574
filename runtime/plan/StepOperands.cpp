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

/// What the table below does not name reads x and writes y.
template <typename Unary> void collect(Collector &c, const Unary &step) {
  c.read(step.x());
  c.write(step.y());
}

template <typename Norm> void collectNorm(Collector &c, const Norm &norm) {
  c.read(norm.x());
  c.read(norm.scale());
  c.read(norm.residual());
  c.write(norm.sum());
  c.write(norm.y());
}

void collect(Collector &c, const plan::RmsNorm &norm) { collectNorm(c, norm); }

void collect(Collector &c, const plan::LayerNorm &norm) {
  c.read(norm.bias());
  collectNorm(c, norm);
}

void collect(Collector &c, const plan::Linear &linear) {
  c.read(linear.x());
  c.read(linear.weight());
  c.read(linear.bias());
  c.read(linear.residual());
  c.read(linear.share());
  c.write(linear.gathered());
  c.write(linear.y());
}

void collect(Collector &c, const plan::Embedding &embedding) {
  c.read(embedding.ids());
  c.read(embedding.weight());
  c.write(embedding.y());
}

void collect(Collector &c, const plan::FromCodes &step) {
  c.read(step.x());
  c.read(step.scale());
  c.read(step.zero());
  c.write(step.y());
}

void collect(Collector &c, const plan::Rotary &rotary) {
  c.read(rotary.cos());
  c.read(rotary.sin());
  c.read(rotary.x());
  c.write(rotary.y());
}

void collect(Collector &c, const plan::RotaryTable &table) {
  c.read(table.positions());
  c.read(table.inverse_frequencies());
  c.write(table.cos());
  c.write(table.sin());
}

void collect(Collector &c, const plan::Positions &positions) {
  c.write(positions.y());
}

void collect(Collector &c, const plan::GatedActivation &step) {
  c.read(step.gate());
  c.read(step.up());
  c.write(step.y());
}

void collect(Collector &c, const plan::Attention &attention) {
  c.read(attention.q());
  c.read(attention.k());
  c.read(attention.v());
  c.read(attention.mask());
  c.write(attention.y());
}

void collect(Collector &c, const plan::AttentionGradient &step) {
  for (uint32_t value :
       {step.q(), step.k(), step.v(), step.y(), step.gradient()})
    c.read(value);
  c.read(step.mask());
  for (uint32_t value :
       {step.q_gradient(), step.k_gradient(), step.v_gradient()})
    c.write(value);
}

void collect(Collector &c, const plan::KvAppend &append) {
  c.read(append.k());
  c.read(append.v());
}

void collect(Collector &c, const plan::RotaryAppend &step) {
  c.read(step.q());
  c.read(step.k());
  c.read(step.v());
  c.read(step.cos());
  c.read(step.sin());
  c.write(step.y());
}

void collect(Collector &c, const plan::CachedAttention &attention) {
  c.read(attention.q());
  c.read(attention.alibi_slopes());
  c.read(attention.distance_biases());
  c.read(attention.key_frequencies());
  c.write(attention.y());
}

void collect(Collector &c, const plan::CheckIndices &check) {
  c.read(check.x());
}

void collect(Collector &c, const plan::Generated &generated) {
  if (generated.operands())
    for (uint32_t value : *generated.operands())
      c.read(value);
  if (generated.outputs())
    for (uint32_t value : *generated.outputs())
      c.write(value);
}

void collect(Collector &c, const plan::Launch &launch) {
  if (!launch.arguments())
    return;
  for (const plan::Argument *argument : *launch.arguments())
    if (argument->kind() == plan::ArgumentKind::Value)
      argument->written() ? c.write(argument->index())
                          : c.read(argument->index());
}

template <typename Operation>
void collectIf(Collector &c, const plan::Step &step) {
  if (const auto *operation = step.operation_as<Operation>())
    collect(c, *operation);
}

template <typename... Operations>
void collectAny(Collector &c, const plan::Step &step) {
  static_assert(sizeof...(Operations) == size_t(plan::Operation::MAX),
                "an operation of the plan is missing, or named twice");
  (collectIf<Operations>(c, step), ...);
}

} // namespace

std::vector<StepOperand> operandsOf(const plan::Step &step) {
  Collector c;
  collectAny<plan::Linear, plan::Embedding, plan::RmsNorm, plan::LayerNorm,
             plan::QuantizeActivations, plan::Dequantize, plan::Rotary,
             plan::RotaryTable, plan::Positions, plan::SelectRows,
             plan::Activation, plan::GatedActivation, plan::Attention,
             plan::AttentionGradient, plan::KvAppend, plan::RotaryAppend,
             plan::CachedAttention, plan::Generated, plan::Launch, plan::Copy,
             plan::CheckIndices, plan::Cast, plan::FromCodes>(c, step);
  return std::move(c.operands);
}

std::string kernelName(plan::Operation operation) {
  std::string text;
  for (const char *c = plan::EnumNameOperation(operation); *c; ++c) {
    bool isUpper = *c >= 'A' && *c <= 'Z';
    if (isUpper && !text.empty())
      text += '_';
    text += isUpper ? char(*c - 'A' + 'a') : *c;
  }
  return text;
}

std::string describe(const plan::Step &step) {
  std::string text = kernelName(step.operation_type());
  if (const plan::Launch *launch = step.operation_as_Launch();
      launch && launch->check())
    text = kernelName(plan::Operation::CheckIndices);
  if (step.origin() && step.origin()->size() > 0)
    text += " of '" + step.origin()->str() + "'";
  return text;
}

} // namespace qopt::runtime
