// Activations are bound by memory or by their exponential; the formulas are
// chosen so that nothing cancels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Activation.h"
#include "runtime/host/Scratch.h"

#ifndef QOPT_RUNTIME_HOST_ACTIVATION_ONCE
#define QOPT_RUNTIME_HOST_ACTIVATION_ONCE
namespace qopt::host {
/// A row of a gated activation is computed in pieces, so that one token's work
/// can be shared; whole blocks of 32.
constexpr int64_t gatedChunk = 1024;
} // namespace qopt::host
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/Activation.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/QuantizeRow-inl.h"
#include "runtime/host/VectorMath-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// gelu_erf: max(x, 0) − |x|/2 · erfc(|x|/√2), which is exact at both ends.
HWY_INLINE FloatVector geluErf(FloatTag d, FloatVector x) {
  const auto a = hn::Abs(x);
  const auto tail = erfcOf(d, hn::Mul(a, hn::Set(d, 0.70710678f)));
  return hn::NegMulAdd(hn::Mul(a, hn::Set(d, 0.5f)), tail,
                       hn::Max(x, hn::Zero(d)));
}

/// gelu_tanh: (1 + tanh u) / 2 is σ(2u).
HWY_INLINE FloatVector geluTanh(FloatTag d, FloatVector x) {
  const auto cubic = hn::Mul(hn::Mul(x, x), hn::Set(d, 0.044715f));
  const auto u =
      hn::Mul(hn::MulAdd(x, cubic, x), hn::Set(d, 2 * 0.7978845608f));
  return hn::Mul(x, sigmoidOf(d, u));
}

/// f(x), where f gives NaN no particular value.
HWY_INLINE FloatVector orNaN(FloatVector x, FloatVector y) {
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

template <ActivationKind kind>
HWY_INLINE FloatVector apply(FloatTag d, FloatVector x) {
  if constexpr (kind == ActivationKind::Silu)
    return hn::Mul(x, sigmoidOf(d, x));
  else if constexpr (kind == ActivationKind::GeluErf)
    return geluErf(d, x);
  else if constexpr (kind == ActivationKind::GeluTanh)
    return geluTanh(d, x);
  else if constexpr (kind == ActivationKind::GeluQuick)
    return hn::Mul(x, sigmoidOf(d, hn::Mul(x, hn::Set(d, 1.702f))));
  else if constexpr (kind == ActivationKind::Relu)
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x); // NaN is not less
  else if constexpr (kind == ActivationKind::Tanh)
    return orNaN(x, tanhOf(d, x));
  else
    return orNaN(x, sigmoidOf(d, x));
}

/// kind(x) · up, or kind(x) where `up` is null.
template <ActivationKind kind>
void activateRow(const float *x, const float *up, float *y, int64_t count) {
  const FloatTag d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    auto v = apply<kind>(d, hn::LoadU(d, x + i));
    if (up)
      v = hn::Mul(v, hn::LoadU(d, up + i));
    hn::StoreU(v, d, y + i);
  }
  if (i < count) {
    auto v = apply<kind>(d, loadPartial(d, x + i, count - i));
    if (up)
      v = hn::Mul(v, loadPartial(d, up + i, count - i));
    storePartial(v, d, y + i, count - i);
  }
}

void activateSpan(ActivationKind kind, const float *x, const float *up,
                  float *y, int64_t count) {
  switch (kind) {
  case ActivationKind::Silu:
    return activateRow<ActivationKind::Silu>(x, up, y, count);
  case ActivationKind::GeluErf:
    return activateRow<ActivationKind::GeluErf>(x, up, y, count);
  case ActivationKind::GeluTanh:
    return activateRow<ActivationKind::GeluTanh>(x, up, y, count);
  case ActivationKind::GeluQuick:
    return activateRow<ActivationKind::GeluQuick>(x, up, y, count);
  case ActivationKind::Relu:
    return activateRow<ActivationKind::Relu>(x, up, y, count);
  case ActivationKind::Tanh:
    return activateRow<ActivationKind::Tanh>(x, up, y, count);
  case ActivationKind::Sigmoid:
    return activateRow<ActivationKind::Sigmoid>(x, up, y, count);
  }
}

/// Rows [begin, end) into records whose codes have one scale a row.
void gatedRows(const GatedActivationArguments &a, int64_t begin, int64_t end) {
  const QuantizedLayout record{a.columns, a.format.codes};
  float *buffer = static_cast<float *>(threadScratch(a.columns * 4));
  for (int64_t row = begin; row < end; ++row) {
    float *out = a.output ? a.output + row * a.columns : buffer;
    activateSpan(a.kind, a.gate + row * a.gateStride,
                 a.up ? a.up + row * a.upStride : nullptr, out, a.columns);
    quantizeRow(out, a.format, record,
                static_cast<uint8_t *>(a.quantized) + row * record.rowBytes());
  }
}

/// Blocks [begin, end) of the flat array of `chunk`-column pieces: a row is cut
/// so that one token's work can be shared.
void gatedPieces(const GatedActivationArguments &a, int64_t chunk,
                 int64_t begin, int64_t end) {
  const int64_t pieces = (a.columns + chunk - 1) / chunk;
  const QuantizedLayout record{a.columns};
  HWY_ALIGN float buffer[gatedChunk];
  for (int64_t piece = begin; piece < end; ++piece) {
    const int64_t row = piece / pieces, from = piece % pieces * chunk;
    const int64_t count = HWY_MIN(chunk, a.columns - from);
    float *out = a.output ? a.output + row * a.columns + from : buffer;
    activateSpan(a.kind, a.gate + row * a.gateStride + from,
                 a.up ? a.up + row * a.upStride + from : nullptr, out, count);
    if (a.quantized)
      quantizeSpan(out, count, record,
                   static_cast<uint8_t *>(a.quantized) +
                       row * record.rowBytes(),
                   from / blockColumns);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(activateSpan);
HWY_EXPORT(gatedPieces);
HWY_EXPORT(gatedRows);

void activation(ActivationKind kind, const float *input, float *output,
                int64_t count, ThreadPool &pool) {
  auto span = HWY_DYNAMIC_DISPATCH(activateSpan);
  pool.parallelFor(count, 8192, [&](int64_t begin, int64_t end) {
    span(kind, input + begin, nullptr, output + begin, end - begin);
  });
}

/// The gated kernel by the formula of GPUs.
static void gpuGatedActivation(const GatedActivationArguments &a,
                               ThreadPool &pool) {
  std::vector<float> kept;
  float *output = a.output;
  if (!output) {
    kept.resize(size_t(a.rows * a.columns));
    output = kept.data();
  }
  pool.parallelFor(a.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t i = 0; i < a.columns; ++i) {
        float y = gpuActivation(a.kind, a.gate[row * a.gateStride + i]);
        output[row * a.columns + i] = a.up ? y * a.up[row * a.upStride + i] : y;
      }
  });
  if (a.quantized)
    quantizeActivations(output, a.columns, a.rows, a.columns, a.format,
                        a.quantized, pool);
}

void gatedActivation(const GatedActivationArguments &arguments,
                     ThreadPool &pool) {
  if (arguments.gpuFormula)
    return gpuGatedActivation(arguments, pool);
  if (arguments.quantized && arguments.format.isRowWise()) {
    auto rows = HWY_DYNAMIC_DISPATCH(gatedRows);
    pool.parallelFor(
        arguments.rows, 8192 / arguments.columns + 1,
        [&](int64_t begin, int64_t end) { rows(arguments, begin, end); });
    return;
  }
  auto body = HWY_DYNAMIC_DISPATCH(gatedPieces);
  int64_t pieces = (arguments.columns + gatedChunk - 1) / gatedChunk;
  pool.parallelFor(arguments.rows * pieces, 8192 / gatedChunk,
                   [&](int64_t begin, int64_t end) {
                     body(arguments, gatedChunk, begin, end);
                   });
}

} // namespace qopt::host
#endif // HWY_ONCE
