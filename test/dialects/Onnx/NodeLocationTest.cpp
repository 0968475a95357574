// A node's location says what the node was, through fusion too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace qopt::onnx;

namespace {

TEST(NodeLocation, SaysWhatTheNodeWas) {
  MLIRContext context;
  NodeOrigin origin{"attn_0", "Softmax", "", 13, {{"layer", "model.0"}}};
  Location location = nodeLocation(&context, origin);
  EXPECT_EQ(describeNode(location), "node \"attn_0\" (Softmax, opset 13)");
  auto read = nodeOrigin(location);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->metadata, origin.metadata);
}

TEST(NodeLocation, NamesOtherDomains) {
  NodeOrigin origin{"q", "MatMulNBits", "com.microsoft", 1, {}};
  EXPECT_EQ(describe(origin), "node \"q\" (MatMulNBits, com.microsoft 1)");
}

TEST(NodeLocation, NamesAreOneShortLine) {
  EXPECT_EQ(printableName("encoder.0/größe"), "encoder.0/größe");
  EXPECT_EQ(printableName("a\n\x1b[2Jb\x7f"), "a\\x0a\\x1b[2Jb\\x7f");
  EXPECT_EQ(printableName(std::string(120, 'x')), std::string(120, 'x'));
  EXPECT_EQ(printableName(std::string(121, 'x')),
            std::string(120, 'x') + "... (121 bytes)");
  // No character of two bytes is cut in two.
  std::string wide = "x";
  for (int i = 0; i < 100; ++i)
    wide += "é";
  EXPECT_EQ(printableName(wide), wide.substr(0, 119) + "... (201 bytes)");
  EXPECT_EQ(printableName(std::string(1 << 20, 'x')),
            std::string(120, 'x') + "... (1048576 bytes)");
  EXPECT_EQ(describe({"a\nb", "Add\t", "", 17, {}}),
            "node \"a\\x0ab\" (Add\\x09, opset 17)");
}

TEST(NodeLocation, MessagesKeepTheirLines) {
  EXPECT_EQ(printable("2 errors:\n  a\x1b\n\n  b"),
            "2 errors:\n  a\\x1b\n\n  b");
  EXPECT_EQ(printable("line\n"), "line\n");
  EXPECT_EQ(printable(std::string(3000, 'x') + "\ny"),
            std::string(2000, 'x') + "... (3000 bytes)\ny");
}

TEST(NodeLocation, OfFusedOpsIsTheFirstNode) {
  MLIRContext context;
  Location first = nodeLocation(&context, {"a", "Mul", "", 17, {}});
  Location second = nodeLocation(&context, {"b", "Add", "", 17, {}});
  Location unknown = UnknownLoc::get(&context);
  Location fused = FusedLoc::get(&context, {unknown, first, second});
  EXPECT_EQ(describeNode(fused), "node \"a\" (Mul, opset 17)");
}

TEST(NodeLocation, OtherLocationsAreNoNodes) {
  MLIRContext context;
  EXPECT_EQ(describeNode(UnknownLoc::get(&context)), "");
  auto name = NameLoc::get(StringAttr::get(&context, "weight"));
  EXPECT_FALSE(nodeOrigin(name));
}

} // namespace
