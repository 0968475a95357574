// .npy files: what is written is read back, NumPy's own forms are understood,
// and a damaged file is an error whatever the damage.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/Npy.h"

#include "TemporaryFolder.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

std::vector<uint8_t> file(const std::string &dictionary,
                          const std::vector<uint8_t> &data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += {char(version), 0};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += char(dictionary.size() >> (8 * i) & 0xff);
  text += dictionary;
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

StatusCode codeOf(const std::string &dictionary, size_t dataBytes) {
  return io::parseNpy(file(dictionary, std::vector<uint8_t>(dataBytes)), "a")
      .status()
      .code();
}

TEST(NpyTest, WriterAndReaderAgree) {
  test::TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  const float data[6] = {1, -2, 3.5f, 0, 1e30f, -0.f};
  auto writer = io::NpyWriter::create(path, DType::F32, {2, 3});
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  const auto *bytes = reinterpret_cast<const uint8_t *>(data);
  ASSERT_TRUE((*writer)->append({bytes, 8}).ok());
  ASSERT_TRUE((*writer)->append({bytes + 8, 16}).ok());
  ASSERT_TRUE((*writer)->finish().ok());
  auto tensor = io::readNpy(path);
  ASSERT_TRUE(tensor.ok()) << tensor.status().message();
  EXPECT_EQ(tensor->shape(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(tensor->data(), data, sizeof data), 0);
  auto mapped = io::NpyFile::open(path);
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(std::memcmp(mapped->bytes().data(), data, sizeof data), 0);
}

TEST(NpyTest, EveryTypeGoesToAFile) {
  for (int code = 0; code <= int(DType::U2); ++code) {
    Tensor one("n", DType(code), {1});
    DType stored = io::toNumpyType(one.view()).type();
    std::string header = io::spellNpyHeader(stored, {1});
    std::vector<uint8_t> bytes(header.begin(), header.end());
    bytes.resize(bytes.size() + sizeOf(stored));
    auto read = io::parseNpyHeader(bytes, "a");
    ASSERT_TRUE(read.ok()) << spell(DType(code)) << read.status().message();
    EXPECT_EQ(read->type, stored) << spell(DType(code));
    // A type that NumPy has is itself there, but bf16, which it calls void.
    EXPECT_EQ(stored == DType(code),
              code <= int(DType::Bool) && DType(code) != DType::BF16);
  }
  EXPECT_EQ(sizeOf(DType(99)), 0u);
  EXPECT_STREQ(spell(DType(99)), "unknown");
}

TEST(NpyTest, NarrowTypesAreTheirValues) {
  // Codes as a file of ml_dtypes has them.
  auto codes = io::parseNpy(
      file("{'descr': '|V1', 'fortran_order': False, 'shape': (3,), }\n",
           {0x38, 0x80, 0x7e}),
      "a");
  ASSERT_TRUE(codes.ok()) << codes.status().message();
  EXPECT_EQ(codes->type(), DType::U8);
  auto values = [&](DType type) {
    TensorView view = codes->view();
    view.type = type;
    Tensor array = io::toNumpyType(view);
    EXPECT_EQ(array.type(), DType::F32);
    return std::vector<float>(array.as<float>(), array.as<float>() + 3);
  };
  EXPECT_EQ(values(DType::F8E4M3FN), (std::vector<float>{1, -0.f, 448}));
  EXPECT_EQ(values(DType::F8E5M2)[0], 0.5f);
  EXPECT_EQ(values(DType::F8E4M3FNUZ)[0], 0.5f);
  EXPECT_TRUE(std::isnan(values(DType::F8E4M3FNUZ)[1]));
  EXPECT_EQ(values(DType::F8E4M3FNUZ)[2], 224.f);
  EXPECT_EQ(values(DType::F8E5M2FNUZ)[2], 49152.f);
  EXPECT_EQ(values(DType::F8E8M0)[1], 2.f);
  Tensor ints("n", DType::I4, {2});
  ints.as<int8_t>()[0] = -8;
  ints.as<int8_t>()[1] = 7;
  Tensor wide = io::toNumpyType(ints.view());
  EXPECT_EQ(wide.type(), DType::I8);
  EXPECT_EQ(wide.as<int8_t>()[0], -8);
}

TEST(NpyTest, UnfinishedFileLeavesNothing) {
  test::TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  {
    auto writer = io::NpyWriter::create(path, DType::I32, {1});
  }
  EXPECT_EQ(io::readNpy(path).status().code(), StatusCode::NotFound);
}

TEST(NpyTest, ColumnMajorBecomesRowMajor) {
  auto bytes =
      file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n",
           {1, 4, 2, 5, 3, 6});
  auto tensor = io::parseNpy(bytes, "a");
  ASSERT_TRUE(tensor.ok());
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(tensor->as<uint8_t>()[i], i + 1);
}

TEST(NpyTest, EveryVersionAndShape) {
  for (int version : {1, 2, 3}) {
    auto scalar = io::parseNpy(
        file("{'descr': '<i8', 'fortran_order': False, 'shape': ()}\n",
             std::vector<uint8_t>(8, 1), version),
        "a");
    ASSERT_TRUE(scalar.ok());
    EXPECT_TRUE(scalar->shape().empty());
  }
  auto empty = io::parseNpy(
      file("{'shape': (0, 4), 'fortran_order': False, 'descr': '<f2'}", {}),
      "a");
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->elements(), 0);
}

TEST(NpyTest, DamageIsAnError) {
  const std::string good =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  EXPECT_EQ(codeOf(good, 8), StatusCode::Ok);
  EXPECT_EQ(codeOf(good, 7), StatusCode::BadModel);
  EXPECT_EQ(codeOf(good, 9), StatusCode::BadModel);
  for (const char *bad :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': <f4}",
        "{'descr': '<f4', 'fortran_order': 3, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'z': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(4611686018427387904, 4611686018427387904)}"})
    EXPECT_EQ(codeOf(bad, 8), StatusCode::BadModel) << bad;
  for (const char *bad : {">f4", "<c8", "|O", "<U3", "f4"})
    EXPECT_EQ(codeOf(std::string("{'descr': '") + bad +
                         "', 'fortran_order': False, 'shape': (2,)}",
                     8),
              StatusCode::Unsupported)
        << bad;
}

TEST(NpyTest, EveryPrefixIsAnError) {
  auto bytes =
      file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
           std::vector<uint8_t>(8));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(io::parseNpy({bytes.data(), size}, "a").status().code(),
              StatusCode::BadModel)
        << size;
}

TEST(NpyTest, BrainFloatsWiden) {
  uint16_t data[2] = {0x3f80, 0xc000};
  Tensor tensor = io::toNumpyType({"a", DType::BF16, {2}, data});
  EXPECT_EQ(tensor.type(), DType::F32);
  EXPECT_EQ(tensor.as<float>()[0], 1.f);
  EXPECT_EQ(tensor.as<float>()[1], -2.f);
}

} // namespace
