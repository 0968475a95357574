// Loops over codes. Both encodings are small next to the quantization of a
// float weight, and run once when an artifact is written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightEncodings.h"
#include <cstring>

namespace qopt::driver {

static bool isInt4(const CanonicalWeight &weight) {
  return weight.format.element == quant::ElementType::Int4;
}

/// Element `i` of an array of nibbles or bytes.
static unsigned codeAt(const uint8_t *codes, int64_t i, bool nibbles) {
  return nibbles ? codes[i / 2] >> (i % 2 * 4) & 15 : codes[i];
}

static void storeCode(uint8_t *row, int64_t i, unsigned code, bool nibbles) {
  if (nibbles)
    row[i / 2] |= (code & 15) << (i % 2 * 4);
  else
    row[i] = static_cast<uint8_t>(code);
}

void decodeMatMulNBits(const EncodedWeight &source, CanonicalWeight &weight) {
  weight.allocate();
  bool nibbles = isInt4(weight);
  int64_t block = weight.format.groupSize;
  int64_t blocks = quant::groupsPerRow(weight.format, weight.columns);
  int64_t from = blocks * block / (nibbles ? 2 : 1);
  int64_t to = quant::bytesPerRow(weight.format, weight.columns);
  // u − 2^(bits−1) in two's complement is u with its highest bit flipped.
  unsigned flip = weight.format.isSymmetric() ? (nibbles ? 8 : 128) : 0;
  for (int64_t r = 0; r < weight.rows; ++r)
    for (int64_t c = 0; c < weight.columns; ++c)
      storeCode(weight.codes() + r * to, c,
                codeAt(source.codes + r * from, c, nibbles) ^ flip, nibbles);
  std::memcpy(weight.scales(), source.scales,
              quant::scaleBytes(weight.format, weight.rows, weight.columns));
  if (weight.format.isSymmetric())
    return;
  if (weight.format.zero == quant::ZeroType::Float) {
    std::memcpy(weight.zeros(), source.zeros,
                quant::zeroBytes(weight.format, weight.rows, weight.columns));
    return;
  }
  int64_t zeroRow = nibbles ? (blocks + 1) / 2 : blocks;
  for (int64_t r = 0; r < weight.rows; ++r)
    for (int64_t g = 0; g < blocks; ++g)
      weight.zeros()[r * blocks + g] =
          codeAt(source.zeros + r * zeroRow, g, nibbles);
}

void decodeDequantizeLinear(const EncodedWeight &source,
                            CanonicalWeight &weight) {
  weight.allocate();
  bool nibbles = isInt4(weight);
  int64_t groups = quant::groupsPerRow(weight.format, weight.columns);
  int64_t to = quant::bytesPerRow(weight.format, weight.columns);
  int64_t scaleSize = quant::bytesPerScale(weight.format);
  for (int64_t r = 0; r < weight.rows; ++r) {
    for (int64_t c = 0; c < weight.columns; ++c) {
      int64_t i =
          source.transposed ? c * weight.rows + r : r * weight.columns + c;
      storeCode(weight.codes() + r * to, c, codeAt(source.codes, i, nibbles),
                nibbles);
    }
    for (int64_t g = 0; g < groups; ++g) {
      int64_t i = source.transposed ? g * weight.rows + r : r * groups + g;
      std::memcpy(weight.scales() + (r * groups + g) * scaleSize,
                  source.scales + i * scaleSize, scaleSize);
      if (!weight.format.isSymmetric())
        weight.zeros()[r * groups + g] = codeAt(source.zeros, i, nibbles);
    }
  }
}

} // namespace qopt::driver
