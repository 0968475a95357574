// A constant's bytes are those of all its elements, whether the IR refers to a
// file, holds each element, or holds one for all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/StoredElements.h"
#include "dialects/Onnx/Evaluate/HostTensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;
using Bytes = std::vector<int>;

namespace {

class StoredElementsTest : public ::testing::Test {
protected:
  StoredElementsTest() { context.loadDialect<BuiltinDialect>(); }

  RankedTensorType tensor(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  ElementsAttr resource(RankedTensorType type, ArrayRef<char> bytes) {
    return DenseResourceElementsAttr::get(
        type, "bytes",
        HeapAsmResourceBlob::allocateAndCopyInferAlign<char>(bytes));
  }
  static Bytes bytesOf(ElementsAttr attribute) {
    auto stored = ir::StoredElements::of(attribute);
    if (!stored)
      return {-1};
    Bytes bytes;
    for (char byte : stored->bytes())
      bytes.push_back(uint8_t(byte));
    return bytes;
  }

  MLIRContext context;
  Builder b{&context};
};

TEST_F(StoredElementsTest, EachElementIsThere) {
  auto type = tensor({3}, b.getI16Type());
  auto each = DenseElementsAttr::get(type, ArrayRef<int16_t>{1, 2, 0x304});
  EXPECT_EQ(bytesOf(each), (Bytes{1, 0, 2, 0, 4, 3}));
  EXPECT_FALSE(ir::StoredElements::of(each)->areCopied());
  EXPECT_EQ(bytesOf(resource(type, {1, 0, 2, 0, 4, 3})),
            (Bytes{1, 0, 2, 0, 4, 3}));
}

TEST_F(StoredElementsTest, OneElementForAllIsRepeated) {
  // What the importer does with eight equal bytes of a file.
  std::vector<char> equal(8, char(0x88));
  auto codes = DenseElementsAttr::getFromRawBuffer(
      tensor({8}, b.getIntegerType(8, false)), equal);
  EXPECT_EQ(bytesOf(codes), Bytes(8, 0x88));
  auto halves = DenseElementsAttr::get(tensor({2, 1}, b.getF16Type()),
                                       b.getF16FloatAttr(0.5));
  EXPECT_EQ(bytesOf(halves), (Bytes{0, 0x38, 0, 0x38}));
  EXPECT_EQ(bytesOf(DenseElementsAttr::get(tensor({2, 0}, b.getF32Type()),
                                           ArrayRef<float>())),
            Bytes());
}

TEST_F(StoredElementsTest, BooleansTakeAByte) {
  auto type = tensor({9}, b.getI1Type());
  EXPECT_EQ(bytesOf(DenseElementsAttr::get(type, true)), Bytes(9, 1));
  EXPECT_EQ(bytesOf(DenseElementsAttr::get(
                type, ArrayRef<bool>{1, 0, 0, 1, 0, 0, 0, 0, 1})),
            (Bytes{1, 0, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(bytesOf(resource(type, {1, 0, 0, 1, 0, 0, 0, 0, 1})),
            (Bytes{1, 0, 0, 1, 0, 0, 0, 0, 1}));
}

TEST_F(StoredElementsTest, NarrowElementsArePacked) {
  auto nibble = [](int value) { return APInt(4, uint64_t(value)); };
  auto type = tensor({3}, b.getIntegerType(4));
  EXPECT_EQ(bytesOf(DenseElementsAttr::get(
                type, ArrayRef<APInt>{nibble(1), nibble(2), nibble(15)})),
            (Bytes{0x21, 0x0F}));
  EXPECT_EQ(bytesOf(DenseElementsAttr::get(type, nibble(7))),
            (Bytes{0x77, 0x07}));
  EXPECT_EQ(bytesOf(resource(type, {0x21, 0x0F})), (Bytes{0x21, 0x0F}));
  // A single one is packed too, and signed where its type is.
  auto single = onnx::HostTensor::ofAttr(
      resource(tensor({}, b.getIntegerType(4)), {0x0D}));
  ASSERT_TRUE(single.has_value());
  EXPECT_EQ(single->intAt(0), -3);
}

TEST_F(StoredElementsTest, BytesThatAreNotThereAreNotInvented) {
  auto type = tensor({4}, b.getF32Type());
  EXPECT_EQ(bytesOf(resource(type, {1, 2, 3, 4})), (Bytes{-1}));
  auto elided = DenseResourceElementsAttr::get(
      type, DenseResourceElementsHandle::getManagerInterface(&context).insert(
                "elided"));
  EXPECT_EQ(bytesOf(elided), (Bytes{-1}));
}

} // namespace
