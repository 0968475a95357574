// The functions of HalfLanes.h, for one processor: a file that is compiled for
// it includes this behind numerics/Half.h, with `numerics` renamed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

namespace qopt::emulator {
namespace {

constexpr int halves = 64, halvesBytes = 128;

template <auto Function>
[[gnu::flatten]] void onPairs(const uint32_t *a, const uint32_t *b,
                              uint32_t *d) {
  uint16_t x[halves], y[halves], z[halves];
  std::memcpy(x, a, halvesBytes);
  std::memcpy(y, b, halvesBytes);
  for (int i = 0; i < halves; ++i)
    z[i] = Function(x[i], y[i]);
  std::memcpy(d, z, halvesBytes);
}

[[gnu::flatten]] void fusedPairs(const uint32_t *a, const uint32_t *b,
                                 const uint32_t *c, uint32_t *d) {
  uint16_t x[halves], y[halves], z[halves];
  std::memcpy(x, a, halvesBytes);
  std::memcpy(y, b, halvesBytes);
  std::memcpy(z, c, halvesBytes);
  for (int i = 0; i < halves; ++i)
    z[i] = numerics::fusedMultiplyAddHalf<numerics::Float16>(x[i], y[i], z[i]);
  std::memcpy(d, z, halvesBytes);
}

constexpr HalfLanes lanesOfThisTarget = {
    &onPairs<&numerics::addHalf<numerics::Float16>>,
    &onPairs<&numerics::multiplyHalf<numerics::Float16>>, &fusedPairs};

} // namespace
} // namespace qopt::emulator
