// A problem of skinny_linear as text, with random weights and activations, and
// what its result must be: the double product of the canonical codes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_CASE_H
#define QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_CASE_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"

#include <map>
#include <string>
#include <vector>

namespace qopt::kernels::skinny_linear {

/// One launch: "m=8 tokens=5 k=4096 rows=4096:int4_g128,1024:int8 act=f16
/// out=f16 sum norm epilogue=bias+residual arch=sm_90a"
/// (norm=layer, norm=layer_bias; so of the sum's), and `grid`, `slices`,
/// `stages`, `units`, … to change what the schedule chose.
struct Case {
  Problem problem;
  Schedule schedule;
  const target::Target *target = nullptr;
  int64_t tokens = 1;
  std::vector<std::string> epilogue; ///< bias, residual, silu, gated
  unsigned seed = 1;
  int exponent = 0; ///< f32 scales of groups are multiplied by 2^exponent
  /// Of a family that rounds each weight to the activation's type.
  bool roundedWeights = false;
};

using Options = std::map<std::string, std::string>;
Options parseOptions(const std::string &text);
int64_t number(const Options &options, const char *key, int64_t other);

StatusOr<Case> parseCase(const std::string &text);
/// A case without its schedule, for families that share the problem; whether it
/// is valid is not asked.
StatusOr<Case> parseLayer(const Options &options);

/// The MLIR function of a case's epilogue; empty where there is none.
std::string epilogueText(const Case &test);

/// Canonical storage of a segment.
struct Stored {
  std::vector<uint8_t> codes, scales, zeros;
  quant::StoredRows rows() const {
    return {codes.data(), scales.data(), zeros.data()};
  }
};

/// The arrays of a launch, as their bits; the values are those of the bits.
struct Arrays {
  std::vector<Stored> segments;
  std::vector<uint8_t> packed;
  std::vector<float> x, scale, shift, bias, residual; ///< shift: of the norm
  std::vector<float> sumScale, sumShift, summand; ///< of the sum ahead of it
  /// Of int8 activations: x = tokenScale · xCode.
  std::vector<int8_t> xCodes;
  std::vector<float> tokenScales;
};

Arrays makeArrays(const Case &test);

/// Values as the elements of `type`, and back.
std::vector<uint8_t> encode(quant::ElementType type,
                            const std::vector<float> &values);
std::vector<float> decode(quant::ElementType type, const uint8_t *bytes,
                          int64_t count);

/// residual + norm(x), both rounded, where the problem has a sum.
std::vector<float> sumOf(const Case &test, const Arrays &arrays);

/// y, and for each element by how much a correct kernel may differ.
struct Expected {
  std::vector<double> y, bound;
};
Expected expectedOf(const Case &test, const Arrays &arrays);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_CASE_H
