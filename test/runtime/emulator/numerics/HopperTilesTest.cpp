// Tiles whose results an H200 gave: mma.sync m16n8k{8,16,32} of every kind on
// seeded operands, four sets each: exponents close to each other, spread, over
// the whole range (subnormal numbers and overflow among them), and with
// infinities and NaN. A result is held as a hash of each of its rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Fp8Product.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <type_traits>

using namespace qopt::emulator::numerics;

// clang-format off
static const uint32_t measured[][16] = {
    // f16, k = 16
    {0x0cd4621e, 0xf4a63e59, 0xd613708a, 0xcec534bd, 0xd008329d, 0xcfc42b3c, 0x9416574b, 0xe47d2c5f, 0xb1f31b66, 0x28a5f30a, 0x1e7c8abe, 0xa64c161c, 0xfdcb32e2, 0x2a7104ea, 0xb8af9c81, 0xcce2e8f7},
    {0x6cb8c7a1, 0x9aa5b73f, 0xef629800, 0x0b93f832, 0x461957c0, 0x5955f58e, 0xf9365fb7, 0xdb297303, 0xb38a6f34, 0xd4e06587, 0xa41d7a2c, 0xc0863757, 0xbc485974, 0x5c10b6cb, 0x98081511, 0xe1c3639c},
    {0x36331780, 0x8d2d0e51, 0x9bfa579d, 0x35ddd365, 0x3beb4770, 0x2141650c, 0xfb016b3d, 0xa01bd9fd, 0x0b108a76, 0xd4784fa4, 0x1c846d1b, 0xb9686529, 0x06821100, 0x3ab25775, 0x191e88e0, 0x7a728647},
    {0xd7f13d24, 0xbb4e92f7, 0x9b742b95, 0x4a351fb5, 0x5eefdcd2, 0x3ca7bbe7, 0x1251fdf3, 0xaa88b795, 0x246e5793, 0xea929a71, 0x6b76c96b, 0xfc679e9c, 0xabc73787, 0x3173e042, 0xb0e4285d, 0x34ae27f1},
    // f16, k = 16, f16 accumulator
    {0x0f50d1b5, 0xd5d040ae, 0x81e321b3, 0x2ea1e5bb, 0x18226c1f, 0x88466ff1, 0xf136faf3, 0xc7c14d6d, 0x46296bb6, 0x47c58358, 0x53cf270a, 0x1bdcfd4c, 0xee3c928c, 0xedcda7b8, 0x61de00a9, 0x9d091d27},
    {0xb618480c, 0xf369a927, 0x87a6a911, 0xea5a62f7, 0x6dd57548, 0x2a8eaf2a, 0xab59f2a6, 0x32525a8a, 0xd7ea3508, 0x23304d5a, 0xef712378, 0x6a73d36d, 0xda74c74a, 0x79803a1b, 0x0a247482, 0x423278b0},
    {0x28f04df8, 0x2f6b3965, 0xbdc2d929, 0x80d68798, 0xf00e6fe6, 0x0a6f50d2, 0x29943965, 0x71083965, 0x4c7260ef, 0x1627b965, 0x36b13965, 0x125bb965, 0x91a42137, 0x1627b965, 0xecd1b965, 0xec7d82e9},
    {0x74446d2d, 0x35ea5e74, 0x2e2e10a3, 0x4146285d, 0xf0b93b72, 0xe6f326a5, 0xb5dac9be, 0x48157501, 0x0fd6290a, 0x7e02fb8a, 0xff91d5c3, 0x94acab33, 0x7cfa6f4f, 0x4146285d, 0xb178c447, 0x7e02fb8a},
    // bf16, k = 16
    {0xc170fead, 0x6f8b7e05, 0x19a2a205, 0x386a9bd3, 0x32de0367, 0x885c6a67, 0x6526c1ad, 0x0f20dced, 0xcb85f354, 0x3236aa3e, 0x4f2c1b4d, 0xba7c2723, 0xd9dec566, 0xb100132a, 0x0fcf2e85, 0x5a64fe5c},
    {0x581bf157, 0x09f3c8b6, 0x97eac9f8, 0x9ebddd98, 0x7c5b523f, 0x4fa9ce1f, 0xc805449f, 0x375f7560, 0x1e605927, 0x57e55330, 0xa11a6a1e, 0x206e3ce3, 0x8d1177ed, 0xb6711a9c, 0x8190097b, 0xfd33a47b},
    {0x13d503ef, 0x3ba7106d, 0xe3e17165, 0x2d483565, 0x2dee6369, 0xe3e17165, 0xe3e17165, 0x9eebf065, 0x74f80a94, 0x2644347b, 0x63e17165, 0x7d0c35a5, 0x9ab71212, 0x8243846f, 0x7a1db166, 0xe3e17165},
    {0x65bd8ab6, 0x1e3a0302, 0xcbf5c9d9, 0x93a62fc3, 0xf50425e6, 0xb0e4285d, 0xc699f7fc, 0x9c531635, 0xc1af0253, 0x3cfe6e3f, 0x0001eaea, 0x3c754d68, 0x762fe358, 0xf62fe358, 0xb0e4285d, 0x304c43de},
    // tf32, k = 8
    {0x4174ccf8, 0xbe847cf5, 0xc65ec737, 0x9f373338, 0x2f30025c, 0x9237d299, 0x8bb97cc3, 0x53b214d0, 0x9a0f02f4, 0x9e0f55cc, 0xba56c297, 0x94d703ce, 0x1b747d0c, 0x56e803c2, 0x9dd5c398, 0xf72b08e8},
    {0x672c78e7, 0xfd237266, 0xe7c34389, 0x5587d293, 0xfe89d4b3, 0xea68cd70, 0x5f771a03, 0x0c8ab3c5, 0xfe09b590, 0xe82a682c, 0xb649a78c, 0xdcddf904, 0xcf1960df, 0xf37925ad, 0xcaf974d4, 0xe6ac555b},
    {0xf0ff6873, 0xe3e17165, 0x359fb140, 0x6640e50f, 0xdb60e51c, 0xc8fb7e88, 0x08e67998, 0xcbb6f9dd, 0x51307f7a, 0x11c524b5, 0xe83a9bc5, 0x2be1daa9, 0xad3139e0, 0x3e187dce, 0x3a8982dd, 0xe3e17165},
    {0xb0e4285d, 0xedb61f9b, 0x584918ba, 0xb88361fa, 0xc9f4630c, 0x6ce783c3, 0x64e49220, 0xe3759caf, 0xc144e6ea, 0x5d7b7f28, 0xbd2dc6b2, 0x8fc40eb2, 0x8246afae, 0x4210a826, 0x596dc318, 0xb9abf6b9},
    // e4m3, k = 32
    {0xdf24573c, 0x0e6e24c9, 0xa3edf20f, 0x6fa38b03, 0x1d69d8d3, 0xfb818655, 0x3c1f4c46, 0x3c5465ee, 0xf5446fa3, 0x3b8be469, 0x727bbc6a, 0x5db0e75f, 0xc859a289, 0x053521d3, 0x5fef42f5, 0x9e240c91},
    {0x04dc95fc, 0xb363ec76, 0x6d356d9c, 0x408db77f, 0x504d30a3, 0x30919693, 0x0368cb0d, 0x783e46b3, 0x943bb7d9, 0x016a5e0a, 0xae04e66f, 0xfe36caa2, 0x5d89de7b, 0x61d07310, 0xc75f21ac, 0x236ed6e3},
    {0x2b7d56ec, 0x03aede2f, 0x78e83b85, 0xa1d06d87, 0xf77d93ef, 0x9ba077c7, 0x20a6da0e, 0x4a9cd342, 0xdf884c65, 0xa885d986, 0x1d429751, 0x46d6478a, 0xa8950ae7, 0xe2ec6c9b, 0xa4b5f5ad, 0x5e43c742},
    {0xb0e4285d, 0xb0e4285d, 0xb0e4285d, 0xb0e4285d, 0x8dd97ba8, 0x9d32c14e, 0x6032f984, 0xb0e4285d, 0xb0e4285d, 0xb0e4285d, 0xaff5f91a, 0x75b67d90, 0xb0e4285d, 0xb0e4285d, 0x0b41288b, 0x803288f7},
    // e5m2, k = 32
    {0x20e5786c, 0xec6d56a4, 0xbaf87a5f, 0x0f10a946, 0x27b26947, 0x4068428a, 0x9ee9cf4e, 0xc50ee307, 0xbbf61c3e, 0xe7d3e3bc, 0xb811116d, 0x7131df0b, 0x126c2549, 0x9527bf60, 0xf7f70529, 0xbca696d5},
    {0x8d53dc9f, 0x4dc68f95, 0xa42967b9, 0x2d293aa3, 0xa93270ed, 0x0944916a, 0x64cb44b6, 0xbd10a118, 0x632a90e4, 0xee0dcc3f, 0x2e052f7e, 0x6f95cc4c, 0x278a623b, 0xad690c41, 0xbcd1dbb0, 0x7a8c9447},
    {0xbe8667a2, 0x082b2e48, 0xece0d641, 0x1b429be5, 0x8eebefbf, 0xac15a8d0, 0x44cc477f, 0xbda09a56, 0x71c976b5, 0x7078a4a9, 0x58ad4f55, 0xb2386dd1, 0x91834804, 0xc07d8ac4, 0x33adb070, 0xf6b86462},
    {0x7dddf890, 0x5f8debb1, 0x6823e132, 0xe9c8231d, 0x9f141db6, 0x4841a8c3, 0x69c8231d, 0xcb31d5f6, 0xd5f75cc1, 0xb0e4285d, 0xe89f5433, 0x18404fac, 0x6ba90806, 0x8ca3aac6, 0xe9c8231d, 0x551544a1},
    // f16, k = 8
    {0x28b1a715, 0x16536ed5, 0xec5f4ce9, 0x65b9c9e3, 0x30461a21, 0x89a90bd3, 0x6e4432b0, 0xdec0b297, 0xf9381e5b, 0x6e093a04, 0xaca8bdb2, 0xa051796e, 0x04049101, 0x17ef4022, 0x3fc96352, 0x6c66d620},
    {0x88b87a7b, 0xb80fca9b, 0xb31c179e, 0xc330aaf0, 0xbfdc321d, 0xfc907563, 0x14ffaa6f, 0xa40d57b0, 0x984ea18d, 0xa8681a40, 0xa98acc1e, 0xeb22c1c8, 0xdde6ea60, 0x32e08ed6, 0x0d3b584a, 0x65fd84e8},
    {0x5bb39262, 0x59f8de01, 0x4940dd17, 0xbb0213ca, 0xe1ce31ad, 0x7ffa21ca, 0x874f51e4, 0xb01af8c8, 0x0be076b2, 0x975e1a95, 0xa2ec71ef, 0x4fe06d46, 0x9f8915e7, 0x59824e3f, 0x1ed2684c, 0x39b87908},
    {0xaa47f9fe, 0x07d4021b, 0xa490b525, 0xcdf8023b, 0x1c8a28d7, 0x45f3f76d, 0xd2accec8, 0x3cdd01d4, 0xa278a4ef, 0xfe3b6b83, 0x0e28bbff, 0xdb144630, 0x28745a7d, 0xba31ef8b, 0x0810fcf2, 0xf82628fa},
};
// clang-format on

static uint64_t bitsAt(uint64_t seed, uint64_t index) {
  uint64_t z = ((seed << 32) + index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

/// The operand at `index` of a set: exponents within ±spread of 1, every eighth
/// a zero, with `specials` every 64th an infinity or NaN.
template <typename Format>
static typename Format::Code operandAt(uint64_t seed, uint64_t index,
                                       int spread, bool specials) {
  using Code = typename Format::Code;
  constexpr unsigned fraction = Format::fractionBits;
  constexpr int fields = 1 << Format::exponentBits;
  const uint64_t z = bitsAt(seed, index);
  const int field =
      std::clamp(Format::bias + int(z >> 24 & 255) % (2 * spread + 1) - spread,
                 0, fields - 2);
  uint64_t code =
      uint64_t(field) << fraction | (z >> 1 & ((1u << fraction) - 1));
  if ((z >> 32 & 7) == 0)
    code = 0;
  if (specials && (z >> 36 & 63) == 0)
    code = Format::specials == Specials::NanOnly
               ? Format::nan
               : Format::infinity | ((z >> 42 & 3) == 0);
  return Code(code | (z & 1 ? Format::signBit : 0));
}

template <typename Format, int K, typename Accumulator>
static void compareWithHopper(int kind) {
  constexpr bool half = std::is_same_v<Accumulator, uint16_t>;
  using CFormat = std::conditional_t<half, Float16, Float32>;
  const int spreads[] = {1, 5, 1 << (Format::exponentBits - 1), 3};
  for (int set = 0; set < 4; ++set) {
    const uint64_t seed = uint64_t(kind * 4 + set);
    typename Format::Code a[16 * K], b[K * 8];
    Accumulator c[128], d[128];
    for (int i = 0; i < 16 * K; ++i)
      a[i] = operandAt<Format>(seed, i, spreads[set], set == 3);
    for (int i = 0; i < K * 8; ++i)
      b[i] = operandAt<Format>(seed, 1000 + i, spreads[set], set == 3);
    const int spread = std::min(2 * spreads[set], half ? 14 : 127);
    for (int i = 0; i < 128; ++i)
      c[i] = std::bit_cast<Accumulator>(
          operandAt<CFormat>(seed, 2000 + i, spread, set == 3));
    if constexpr (K == 32)
      multiplyRows<8, 32>(a, b, c, d, multiplyFp8Fragments<Format, Format>);
    else
      multiplyTile<Format, K>(a, b, c, d);
    for (int row = 0; row < 16; ++row) {
      uint32_t hash = 2166136261u;
      for (int j = 0; j < 8; ++j)
        hash = (hash ^ std::bit_cast<typename CFormat::Code>(d[row * 8 + j])) *
               16777619u;
      EXPECT_EQ(hash, measured[seed][row]) << "set " << set << ", row " << row;
    }
  }
}

TEST(HopperTiles, F16) { compareWithHopper<Float16, 16, float>(0); }
TEST(HopperTiles, F16Accumulator) {
  compareWithHopper<Float16, 16, uint16_t>(1);
}
TEST(HopperTiles, Bf16) { compareWithHopper<Bfloat16, 16, float>(2); }
TEST(HopperTiles, Tf32) { compareWithHopper<Tf32, 8, float>(3); }
TEST(HopperTiles, E4M3) { compareWithHopper<E4M3, 32, float>(4); }
TEST(HopperTiles, E5M2) { compareWithHopper<E5M2, 32, float>(5); }
TEST(HopperTiles, F16ShortK) { compareWithHopper<Float16, 8, float>(6); }
