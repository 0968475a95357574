// A node's location says what the node was, through fusion too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
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
