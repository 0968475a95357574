// SHA-256 (FIPS 180-4), incremental. The runtime checks every segment of an
// artifact with it and links no cryptography library; where the processor has
// SHA instructions they are used (about 1.8 GB/s a core), else portable code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_SHA256_H
#define QOPT_RUNTIME_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace qopt::runtime {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
public:
  void update(const void *data, size_t size);
  /// The digest of everything since construction. The object is spent.
  Digest finish();

  static Digest of(const void *data, size_t size);

private:
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t buffer[64];
  size_t buffered = 0;
  uint64_t total = 0;
};

/// 64 lower-case hexadecimal digits.
std::string spell(const Digest &digest);

namespace detail {
/// Adds `blocks` blocks of 64 bytes to the state; the two must agree (a test
/// compares them).
void compressPortable(uint32_t state[8], const uint8_t *data, size_t blocks);
/// Null where this processor has no SHA instructions.
using Compress = void (*)(uint32_t state[8], const uint8_t *data,
                          size_t blocks);
Compress hardwareCompress();
} // namespace detail

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_SHA256_H
