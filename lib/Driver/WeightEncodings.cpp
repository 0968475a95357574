// Loops over codes. Both encodings are small next to the quantization of a
// float weight, and run once when an artifact is written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightEncodings.h"
#include "lib/Quant/Element.h"
#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::driver {

/// Unpacks `count` codes, without sign.
static std::vector<int16_t> unpack(const quant::Element &element,
                                   const uint8_t *bytes, int64_t count) {
  std::vector<int16_t> codes(static_cast<size_t>(count));
  element.unpackUnsigned(bytes, count, codes.data());
  return codes;
}

/// Code `i` of an array whose codes lie in whole bytes or divide them.
static int16_t codeAt(const uint8_t *codes, int64_t i, unsigned bits) {
  unsigned mask = (1u << bits) - 1;
  return int16_t(codes[i * bits / 8] >> i * bits % 8 & mask);
}

void decodeMatMulNBits(const EncodedWeight &source, CanonicalWeight &weight) {
  weight.allocate();
  const quant::Element &element = quant::elementOf(weight.format.element);
  int64_t blocks = quant::groupsPerRow(weight.format, weight.columns);
  int64_t from = blocks * weight.format.groupSize * element.bits / 8;
  int64_t to = quant::bytesPerRow(weight.format, weight.columns);
  // u − 2^(bits−1) in two's complement is u with its highest bit flipped.
  int flip = weight.format.isSymmetric() ? 1 << (element.bits - 1) : 0;
  for (int64_t r = 0; r < weight.rows; ++r) {
    std::vector<int16_t> codes =
        unpack(element, source.codes + r * from, weight.columns);
    for (int16_t &code : codes)
      code = int16_t(code ^ flip);
    element.pack(codes.data(), weight.columns, weight.codes() + r * to);
  }
  std::memcpy(weight.scales(), source.scales,
              quant::scaleBytes(weight.format, weight.rows, weight.columns));
  if (weight.format.isSymmetric())
    return;
  if (weight.format.zero == quant::ZeroType::Float) {
    std::memcpy(weight.zeros(), source.zeros,
                quant::zeroBytes(weight.format, weight.rows, weight.columns));
    return;
  }
  int64_t zeroRow = (blocks * element.bits + 7) / 8;
  for (int64_t r = 0; r < weight.rows; ++r)
    std::ranges::copy(unpack(element, source.zeros + r * zeroRow, blocks),
                      weight.zeros() + r * blocks);
}

void decodeDequantizeLinear(const EncodedWeight &source,
                            CanonicalWeight &weight) {
  weight.allocate();
  const quant::Element &element = quant::elementOf(weight.format.element);
  int64_t groups = quant::groupsPerRow(weight.format, weight.columns);
  int64_t to = quant::bytesPerRow(weight.format, weight.columns);
  int64_t scaleSize = quant::bytesPerScale(weight.format);
  std::vector<int16_t> codes(static_cast<size_t>(weight.columns));
  // u − 2^(bits−1) in two's complement is u with its highest bit flipped.
  int flip = source.isSigned && !weight.format.isSymmetric()
                 ? 1 << (element.bits - 1)
                 : 0;
  if (weight.format.hasTwoLevels()) // as they will be stored
    std::memcpy(weight.scales(), source.scales,
                quant::scaleBytes(weight.format, weight.rows, weight.columns));
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t c = 0; c < weight.columns; ++c) {
      int64_t i =
          source.transposed ? c * weight.rows + r : r * weight.columns + c;
      codes[size_t(c)] = int16_t(codeAt(source.codes, i, element.bits) ^ flip);
    }
    if (element.pack)
      element.pack(codes.data(), weight.columns, weight.codes() + r * to);
    else // fp8
      std::ranges::copy(codes, weight.codes() + r * to);
    bool hasAll = weight.format.granularity == quant::Granularity::Tensor;
    if (weight.format.hasTwoLevels() || (hasAll && r > 0))
      continue;
    for (int64_t g = 0; g < groups; ++g) {
      int64_t i = source.transposed ? g * weight.rows + r : r * groups + g;
      std::memcpy(weight.scales() + (r * groups + g) * scaleSize,
                  source.scales + i * scaleSize, scaleSize);
      if (!weight.format.isSymmetric())
        weight.zeros()[r * groups + g] =
            uint8_t(codeAt(source.zeros, i, element.bits) ^ flip);
    }
  }
}

} // namespace qopt::driver
