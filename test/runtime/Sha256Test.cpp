// SHA-256 gives the digests of FIPS 180-4's examples, in one piece and in many,
// with and without SHA instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Sha256.h"

#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace qopt::runtime;

static std::string hash(const std::string &text) {
  return spell(Sha256::of(text.data(), text.size()));
}

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(hash(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  std::mt19937 random(1);
  std::string text(5000, '\0');
  for (char &c : text)
    c = char(random());
  for (int trial = 0; trial < 50; ++trial) {
    Sha256 pieces;
    for (size_t at = 0; at < text.size();) {
      size_t take = std::min<size_t>(random() % 200, text.size() - at);
      pieces.update(text.data() + at, take);
      at += take;
    }
    EXPECT_EQ(spell(pieces.finish()), hash(text));
  }
}

TEST(Sha256, HardwareAndPortableCodeAgree) {
  detail::Compress hardware = detail::hardwareCompress();
  if (!hardware)
    GTEST_SKIP() << "this processor has no SHA instructions";
  std::mt19937 random(2);
  std::vector<uint8_t> data(64 * 9);
  for (uint8_t &byte : data)
    byte = uint8_t(random());
  uint32_t a[8], b[8];
  for (int i = 0; i < 8; ++i)
    a[i] = b[i] = uint32_t(random());
  hardware(a, data.data(), 9);
  detail::compressPortable(b, data.data(), 9);
  EXPECT_TRUE(std::equal(a, a + 8, b));
}
