// SHA-256: the portable compression function, the one with x86 SHA
// instructions, and the buffering around them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace qopt::runtime {
namespace {

// First 32 bits of the fractional parts of the cube roots of the first 64
// primes.
alignas(16) constexpr uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t loadBigEndian(const uint8_t *bytes) {
  return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 |
         uint32_t(bytes[2]) << 8 | uint32_t(bytes[3]);
}

void compressBlock(uint32_t state[8], const uint8_t *data) {
  uint32_t w[64];
  for (int t = 0; t < 16; ++t)
    w[t] = loadBigEndian(data + size_t(4) * t);
  for (int t = 16; t < 64; ++t) {
    uint32_t s0 =
        std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
    uint32_t s1 =
        std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int t = 0; t < 64; ++t) {
    uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + roundConstants[t] + w[t];
    uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

#if defined(__x86_64__)
// The instructions work on the halves (a b e f) and (c d g h) of the state,
// high lane first. Rounds go in sixteen groups of four; group i >= 4 first
// extends the message schedule from the four groups before it.
__attribute__((target("sha,sse4.1"))) void
compressWithShaInstructions(uint32_t state[8], const uint8_t *data,
                            size_t blocks) {
  const __m128i bigEndian =
      _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef =
      _mm_set_epi32(int(state[0]), int(state[1]), int(state[4]), int(state[5]));
  __m128i cdgh =
      _mm_set_epi32(int(state[2]), int(state[3]), int(state[6]), int(state[7]));
  for (; blocks > 0; --blocks, data += 64) {
    const __m128i abefBefore = abef, cdghBefore = cdgh;
    __m128i w[4];
#pragma clang loop unroll(full)
    for (int group = 0; group < 16; ++group) {
      __m128i &now = w[group % 4];
      if (group < 4) {
        now =
            _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(
                                 data + size_t(16) * group)),
                             bigEndian);
      } else {
        __m128i last = w[(group + 3) % 4], beforeLast = w[(group + 2) % 4];
        __m128i extended = _mm_sha256msg1_epu32(now, w[(group + 1) % 4]);
        extended =
            _mm_add_epi32(extended, _mm_alignr_epi8(last, beforeLast, 4));
        now = _mm_sha256msg2_epu32(extended, last);
      }
      __m128i k = _mm_load_si128(reinterpret_cast<const __m128i *>(
          roundConstants + size_t(4) * group));
      __m128i sum = _mm_add_epi32(now, k);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }
  state[0] = uint32_t(_mm_extract_epi32(abef, 3));
  state[1] = uint32_t(_mm_extract_epi32(abef, 2));
  state[4] = uint32_t(_mm_extract_epi32(abef, 1));
  state[5] = uint32_t(_mm_extract_epi32(abef, 0));
  state[2] = uint32_t(_mm_extract_epi32(cdgh, 3));
  state[3] = uint32_t(_mm_extract_epi32(cdgh, 2));
  state[6] = uint32_t(_mm_extract_epi32(cdgh, 1));
  state[7] = uint32_t(_mm_extract_epi32(cdgh, 0));
}

bool hasShaInstructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) &&
         __builtin_cpu_supports("sse4.1");
}
#endif

detail::Compress chooseCompress() {
  detail::Compress hardware = detail::hardwareCompress();
  return hardware ? hardware : detail::compressPortable;
}

void compress(uint32_t state[8], const uint8_t *data, size_t blocks) {
  static const detail::Compress chosen = chooseCompress();
  chosen(state, data, blocks);
}

} // namespace

void detail::compressPortable(uint32_t state[8], const uint8_t *data,
                              size_t blocks) {
  for (; blocks > 0; --blocks, data += 64)
    compressBlock(state, data);
}

detail::Compress detail::hardwareCompress() {
#if defined(__x86_64__)
  if (hasShaInstructions())
    return compressWithShaInstructions;
#endif
  return nullptr;
}

void Sha256::update(const void *data, size_t size) {
  const auto *bytes = static_cast<const uint8_t *>(data);
  total += size;
  if (buffered > 0) {
    size_t take = std::min(size, sizeof(buffer) - buffered);
    std::memcpy(buffer + buffered, bytes, take);
    buffered += take, bytes += take, size -= take;
    if (buffered < sizeof(buffer))
      return;
    compress(state, buffer, 1);
    buffered = 0;
  }
  compress(state, bytes, size / 64);
  buffered = size % 64;
  if (buffered > 0)
    std::memcpy(buffer, bytes + size - buffered, buffered);
}

Digest Sha256::finish() {
  uint64_t bits = total * 8;
  const uint8_t end[72] = {0x80};
  update(end, (buffered < 56 ? 56 : 120) - buffered);
  uint8_t length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = uint8_t(bits >> (56 - 8 * i));
  update(length, 8);
  Digest digest;
  for (int i = 0; i < 32; ++i)
    digest[i] = uint8_t(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Digest Sha256::of(const void *data, size_t size) {
  Sha256 hash;
  hash.update(data, size);
  return hash.finish();
}

std::string spell(const Digest &digest) {
  std::string text;
  for (uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

} // namespace qopt::runtime
