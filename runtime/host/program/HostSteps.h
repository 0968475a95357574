// One function for each kind of step: from the plan's table to a kernel call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PROGRAM_HOSTSTEPS_H
#define QOPT_RUNTIME_HOST_PROGRAM_HOSTSTEPS_H

#include "runtime/host/program/HostProgram.h"

namespace qopt::runtime {

// LinearSteps.cpp
BoundCommand bindLinear(StepBinder &binder, const plan::Linear &step);
BoundCommand bindEmbedding(StepBinder &binder, const plan::Embedding &step);
BoundCommand bindQuantizeActivations(StepBinder &binder,
                                     const plan::QuantizeActivations &step);
BoundCommand bindDequantize(StepBinder &binder, const plan::Dequantize &step);
BoundCommand bindFromCodes(StepBinder &binder, const plan::FromCodes &step);

// NormSteps.cpp
BoundCommand bindRmsNorm(StepBinder &binder, const plan::RmsNorm &step);
BoundCommand bindLayerNorm(StepBinder &binder, const plan::LayerNorm &step);
BoundCommand bindActivation(StepBinder &binder, const plan::Activation &step);
BoundCommand bindGatedActivation(StepBinder &binder,
                                 const plan::GatedActivation &step);

// AttentionSteps.cpp
BoundCommand bindRotary(StepBinder &binder, const plan::Rotary &step);
BoundCommand bindRotaryTable(StepBinder &binder, const plan::RotaryTable &step);
BoundCommand bindAttention(StepBinder &binder, const plan::Attention &step);
BoundCommand bindAttentionGradient(StepBinder &binder,
                                   const plan::AttentionGradient &step);
BoundCommand bindKvAppend(StepBinder &binder, const plan::KvAppend &step);
BoundCommand bindRotaryAppend(StepBinder &binder,
                              const plan::RotaryAppend &step);
BoundCommand bindCachedAttention(StepBinder &binder,
                                 const plan::CachedAttention &step);
BoundCommand bindPositions(StepBinder &binder, const plan::Positions &step);
BoundCommand bindSelectRows(StepBinder &binder, const plan::SelectRows &step);

// DataSteps.cpp
BoundCommand bindGenerated(StepBinder &binder, const plan::Generated &step);
BoundCommand bindCopy(StepBinder &binder, const plan::Copy &step);
BoundCommand bindCast(StepBinder &binder, const plan::Cast &step);
BoundCommand bindCheckIndices(StepBinder &binder,
                              const plan::CheckIndices &step);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_PROGRAM_HOSTSTEPS_H
