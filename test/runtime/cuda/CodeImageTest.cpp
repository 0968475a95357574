// The images of a code segment come back as they went in, the best one for a
// device is chosen, and a damaged list is an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/CodeImage.h"

#include <gtest/gtest.h>
#include <string>

namespace qopt::cuda {
namespace {

std::span<const uint8_t> bytesOf(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

class CodeImageTest : public ::testing::Test {
protected:
  std::string ptx80 = "ptx 80", ptx90 = "ptx 90a", cubin80 = "cubin 80",
              cubin90 = "cubin 90a";
  std::vector<CodeImage> images = {
      {ImageKind::Ptx, 80, false, bytesOf(ptx80)},
      {ImageKind::Ptx, 90, true, bytesOf(ptx90)},
      {ImageKind::Cubin, 80, false, bytesOf(cubin80)},
      {ImageKind::Cubin, 90, true, bytesOf(cubin90)},
  };

  std::string chosen(int major, int minor) {
    StatusOr<CodeImage> image = chooseImage(images, major, minor);
    return image.ok() ? std::string(image->bytes.begin(), image->bytes.end())
                      : image.status().message();
  }
};

TEST_F(CodeImageTest, ComeBack) {
  std::vector<uint8_t> segment = writeCodeImages(images);
  auto read = readCodeImages(segment);
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_EQ(read->size(), images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ((*read)[i].spell(), images[i].spell());
    EXPECT_TRUE(std::equal(images[i].bytes.begin(), images[i].bytes.end(),
                           (*read)[i].bytes.begin(), (*read)[i].bytes.end()));
  }
}

TEST_F(CodeImageTest, MachineCodeOfTheDeviceComesFirst) {
  EXPECT_EQ(chosen(9, 0), "cubin 90a");
  EXPECT_EQ(chosen(8, 0), "cubin 80");
  EXPECT_EQ(chosen(8, 9), "cubin 80"); // of the same major number
}

TEST_F(CodeImageTest, LaterDevicesTakeText) {
  EXPECT_EQ(chosen(10, 0), "ptx 80"); // sm_90a runs nowhere else
}

TEST_F(CodeImageTest, NoneIsAnErrorThatListsThem) {
  EXPECT_EQ(chosen(7, 5),
            "it has no code for sm_75, only PTX for sm_80, PTX for sm_90a, "
            "cubin for sm_80, cubin for sm_90a; compile it again with --arch "
            "sm_75");
}

TEST_F(CodeImageTest, EveryCutIsFound) {
  std::vector<uint8_t> segment = writeCodeImages(images);
  for (size_t size = 0; size < segment.size(); ++size)
    EXPECT_FALSE(readCodeImages(std::span(segment).first(size)).ok()) << size;
}

} // namespace
} // namespace qopt::cuda
