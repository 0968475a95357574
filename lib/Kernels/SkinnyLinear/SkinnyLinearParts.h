// What is done ahead of a linear's product and behind it, as parts of its
// problem: the norm of x, and of y the tensors and steps of the epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPARTS_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPARTS_H

#include "lib/Kernels/Function.h"
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Quant/Element.h"

#include <string>
#include <vector>

namespace qopt::kernels::skinny_linear {

/// Whose codes int8 activations are. A model's own, those of QuantizeLinear or
/// DynamicQuantizeLinear, are bytes with one scale s and one zero point z for
/// all tokens. The zero point is taken off by the sums of the weight's rows,
/// which the kernel is given; all is exact in i32 until the scales, whose
/// product comes behind, as on the host:
///
///   y[m, n] = (Σk x[m, k] · c[n, k] − z · Σk c[n, k]) · (s · scale[n])
enum class Codes : uint8_t {
  OfTokens, ///< made of values, with one scale a token and no zero point
  Signed,   ///< the model's own, with a sign
  Unsigned, ///< without
};

inline bool isCentred(Codes codes) { return codes != Codes::OfTokens; }

/// What symbols call activations: f16, int8, int8_asym, uint8_asym.
inline std::string nameOf(quant::ElementType activation, Codes codes) {
  return std::string(codes == Codes::Unsigned ? "u" : "") +
         std::string(quant::elementOf(activation).name) +
         (isCentred(codes) ? "_asym" : "");
}

/// Which element of an operand belongs to y[m, n].
enum class OperandShape : uint8_t {
  Column,  ///< operand[n]: a bias
  Element, ///< operand[m, n]: a residual
};

/// A tensor that the epilogue reads.
struct Operand {
  OperandShape shape = OperandShape::Column;
  quant::ElementType type = quant::ElementType::F16;
  bool operator==(const Operand &) const = default;
};

/// x is normalised on its way to shared memory by the formula of the family
/// `norm`, in f32, rounded once to the activation's type.
struct Norm {
  float epsilon = 1e-5f;
  quant::ElementType scale = quant::ElementType::F16; ///< of the bias, too
  norm::Kind kind = norm::Kind::Rms;
  bool bias = false; ///< of a layer_norm
  bool operator==(const Norm &) const = default;
};

inline bool isLayerNorm(const Norm &norm) {
  return norm.kind == norm::Kind::Layer;
}

/// Bytes of the sums that so many warps exchange for a norm: of a layer_norm
/// those of x, then of squares.
inline int64_t normSumBytes(const Norm &norm, int64_t warps) {
  return (isLayerNorm(norm) ? 8 : 4) * warps;
}

/// What is done to every element behind bias and residual. Each step takes
/// values that are rounded to the output's type, as a launch of its own would.
struct Step {
  enum class Kind : uint8_t {
    Activate, ///< function(y)
    Scale,    ///< factor · y
    Add,      ///< y + the next operand
  };
  Kind kind = Kind::Activate;
  Function function = Function::Silu;
  float factor = 1;
  bool operator==(const Step &) const = default;
};

/// "_gelu_tanh_scale3F000000_add", for names of kernels.
std::string nameOf(const std::vector<Step> &steps);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARPARTS_H
