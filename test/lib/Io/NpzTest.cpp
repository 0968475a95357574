// .npz files: round trip, and no damage of any byte or length gets through or
// crashes. That NumPy reads and writes the same is tested in test_run.py.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/Npz.h"

#include "TemporaryFolder.h"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

using namespace qopt;

namespace {

std::vector<char> bytesOf(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write(const std::string &path, const std::vector<char> &bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), std::streamsize(bytes.size()));
}

class NpzTest : public ::testing::Test {
protected:
  void SetUp() override {
    Status status = io::writeNpz(path, {{"first", DType::F32, {2, 2}, floats},
                                        {"second", DType::I64, {1}, &number},
                                        {"empty", DType::U8, {0, 3}, nullptr}});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  test::TemporaryFolder folder;
  std::string path = folder.file("a.npz"), damaged = folder.file("b.npz");
  float floats[4] = {1, 2, 3, 4};
  int64_t number = -7;
};

TEST_F(NpzTest, RoundTrip) {
  auto tensors = io::readNpz(path);
  ASSERT_TRUE(tensors.ok()) << tensors.status().message();
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name(), "first");
  EXPECT_EQ(std::memcmp((*tensors)[0].data(), floats, sizeof floats), 0);
  EXPECT_EQ((*tensors)[1].as<int64_t>()[0], -7);
  EXPECT_EQ((*tensors)[2].shape(), (std::vector<int64_t>{0, 3}));
}

TEST_F(NpzTest, SameArraysSameBytes) {
  std::vector<char> before = bytesOf(path);
  SetUp();
  EXPECT_EQ(bytesOf(path), before);
}

TEST_F(NpzTest, EveryCutIsAnError) {
  std::vector<char> whole = bytesOf(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    write(damaged, {whole.begin(), whole.begin() + std::ptrdiff_t(size)});
    EXPECT_FALSE(io::readNpz(damaged).ok()) << size;
  }
}

// One bit of every byte. A bit of an unused field (a time, an attribute) may
// flip unseen, but never a value.
TEST_F(NpzTest, NoFlippedBitChangesAValue) {
  std::vector<char> whole = bytesOf(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::vector<char> bytes = whole;
    bytes[at] = char(bytes[at] ^ (1 << at % 8));
    write(damaged, bytes);
    auto tensors = io::readNpz(damaged);
    if (!tensors.ok())
      continue;
    for (const Tensor &tensor : *tensors) {
      if (tensor.name() == "first") {
        EXPECT_EQ(std::memcmp(tensor.data(), floats, sizeof floats), 0);
      }
      if (tensor.name() == "second") {
        EXPECT_EQ(tensor.as<int64_t>()[0], -7);
      }
    }
  }
}

TEST_F(NpzTest, UnwritableFolder) {
  EXPECT_EQ(io::writeNpz(folder.file("no/such/a.npz"), {}).code(),
            StatusCode::Unwritable);
}

} // namespace
