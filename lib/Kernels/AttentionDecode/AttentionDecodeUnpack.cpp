// From the codes of a cache to halves, exactly. A code is written into the
// mantissa of a number whose last bit is worth one (1024 in f16, 128 in bf16),
// and what the number is too large by is subtracted.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeBody.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

constexpr uint8_t andOr = 0xEA;  // (a & b) | c
constexpr uint8_t andXor = 0x6A; // (a & b) ^ c

/// The byte v + 128 stands in 1024 + v + 128. In bf16, with eight bits, its
/// lower seven do in 128 + …, and the eighth in −128 or −256: it turns what is
/// left of two's complement into the number.
std::array<Int, 2> attention_decode::unpackInt8(Kernel &k, Int word,
                                                Type type) {
  if (!type.isBF16()) {
    Int code = word ^ int64_t(int32_t(0x80808080));
    Int magic = k.constant(0x64646464);
    return {fmaHalves(k.prmt(code, magic, 0x4240), 1, -1152, type),
            fmaHalves(k.prmt(code, magic, 0x4341), 1, -1152, type)};
  }
  auto number = [&](Int bytes) {
    Int seven =
        k.lop3(bytes, k.constant(0x007f007f), k.constant(0x43004300), andOr);
    Int eighth = k.lop3(bytes, k.constant(0x00800080),
                        k.constant(int32_t(0xc300c300)), andOr);
    return k.addHalves(seven, eighth, type);
  };
  return {number(word), number(word >> 8)};
}

/// The nibble v + 8 (two's complement with its highest bit turned) stands in
/// 1024 + …, the one four bits higher in 1024 + 16 · …; in bf16 all are shifted
/// into 128 + ….
std::array<Int, 4> attention_decode::unpackInt4(Kernel &k, Int word,
                                                Type type) {
  std::array<Int, 4> numbers;
  Int low = k.constant(0x000f000f), high = k.constant(0x00f000f0);
  if (type.isBF16()) {
    Int magic = k.constant(0x43084308);
    for (int i = 0; i < 4; ++i)
      numbers[i] = fmaHalves(
          k.lop3(i ? word >> 4 * i : word, low, magic, andXor), 1, -136, type);
    return numbers;
  }
  for (int i = 0; i < 2; ++i) {
    Int here = i ? word >> 8 : word;
    numbers[2 * i] = fmaHalves(
        k.lop3(here, low, k.constant(0x64086408), andXor), 1, -1032, type);
    numbers[2 * i + 1] =
        fmaHalves(k.lop3(here, high, k.constant(0x64806480), andXor), 1.0 / 16,
                  -72, type);
  }
  return numbers;
}

/// As int4, with fields of two bits at the begin of each nibble of a byte:
/// those of its lower one in 1024 + v + 2, of its higher one in 1024 + 16 · (v
/// + 2); in bf16 in 128 + ….
std::array<Int, 4> attention_decode::unpackInt2(Kernel &k, Int word,
                                                Type type) {
  bool bf16 = type.isBF16();
  int64_t one = bf16 ? 0x43004300 : 0x64006400;
  double base = bf16 ? 128 : 1024;
  std::array<Int, 4> numbers;
  for (int i = 0; i < 2; ++i) {
    Int here = i ? word >> 8 : word;
    numbers[2 * i] = fmaHalves(k.lop3(here, k.constant(0x00030003),
                                      k.constant(one | 0x00020002), andXor),
                               1, -base - 2, type);
    numbers[2 * i + 1] = fmaHalves(k.lop3(here, k.constant(0x00300030),
                                          k.constant(one | 0x00200020), andXor),
                                   1.0 / 16, -base / 16 - 2, type);
  }
  return numbers;
}

/// The third bit of field i is bit 2i of each half of `thirds`.
std::array<Int, 4> attention_decode::unpackInt3(Kernel &k, Int word, Int thirds,
                                                Type type) {
  bool bf16 = type.isBF16();
  int64_t one = bf16 ? 0x43004300 : 0x64006400;
  std::array<Int, 4> numbers;
  for (int i = 0; i < 4; ++i) {
    Int third = i == 0 ? thirds << 2 : i == 1 ? thirds : thirds >> (2 * i - 2);
    Int upper = k.lop3(third, k.constant(0x00040004),
                       k.constant(one | 0x00040004), andXor);
    Int both =
        k.lop3(i ? word >> 4 * i : word, k.constant(0x00030003), upper, andXor);
    numbers[i] = fmaHalves(both, 1, bf16 ? -132 : -1028, type);
  }
  return numbers;
}
