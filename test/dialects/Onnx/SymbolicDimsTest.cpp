// Arithmetic on symbolic sizes: equal sizes are equal expressions, whatever way
// they were computed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/SymbolicDims.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace qopt::onnx;

namespace {

class SymbolicDimsTest : public testing::Test {
protected:
  MLIRContext context;
  SymbolicDims dims{&context};

  AffineExpr size(StringRef text) { return dims.parse(text); }
};

TEST_F(SymbolicDimsTest, DimensionNamesAreSumsOfNames) {
  EXPECT_EQ(size("past + length"), dims.add(size("length"), size("past")));
  EXPECT_EQ(size("past+length"), size("length +past"));
  EXPECT_EQ(size("2*(a + b)"), dims.add(size("2*a"), size("b + b")));
  EXPECT_EQ(size("a + 1 - 1"), size("a"));
  EXPECT_EQ(size("(4*a) // 4"), size("a"));
  EXPECT_EQ(size("12"), dims.constant(12));
}

TEST_F(SymbolicDimsTest, OtherTextIsOneName) {
  for (const char *text : {"Max(1, s0)", "a +", "", "(", "((((", "1a b", "a/0",
                           "99999999999999999999"}) {
    AffineExpr expr = size(text);
    ASSERT_TRUE(isa<AffineSymbolExpr>(expr)) << text;
    EXPECT_EQ(dims.spell(expr), text);
    EXPECT_EQ(expr, size(text));
  }
}

TEST_F(SymbolicDimsTest, DifferencesCancel) {
  AffineExpr total = size("past + length");
  EXPECT_EQ(dims.subtract(total, size("length")), size("past"));
  EXPECT_EQ(dims.subtract(total, total), dims.constant(0));
}

TEST_F(SymbolicDimsTest, TheSmallerOfTwoSizes) {
  AffineExpr a = size("a"), b = size("b");
  EXPECT_EQ(dims.minimum(a, size("a + b")), a);
  EXPECT_EQ(dims.maximum(a, size("a + b")), size("a + b"));
  AffineExpr smaller = dims.minimum(a, b);
  EXPECT_EQ(smaller, dims.minimum(a, b));
  EXPECT_EQ(dims.spell(smaller), "min(a, b)");
  // What was clamped to a is at most a.
  EXPECT_EQ(dims.maximum(a, smaller), a);
  EXPECT_EQ(dims.minimum(dims.maximum(a, b), a), a);
  // A difference of unrelated sizes may be negative: no symbol may stand for
  // the smaller of it and something.
  EXPECT_EQ(dims.minimum(dims.subtract(a, b), dims.constant(3)), AffineExpr());
}

TEST_F(SymbolicDimsTest, Broadcasting) {
  AffineExpr a = size("a");
  EXPECT_EQ(dims.broadcast(a, dims.constant(1)), a);
  EXPECT_EQ(dims.broadcast(dims.constant(1), a), a);
  EXPECT_EQ(dims.broadcast(a, dims.constant(8)), dims.constant(8));
  EXPECT_EQ(dims.broadcast(dims.constant(3), dims.constant(4)), AffineExpr());
  EXPECT_EQ(dims.broadcast(a, dims.minimum(a, dims.constant(96))), a);
}

TEST_F(SymbolicDimsTest, ExactQuotients) {
  AffineExpr batch = size("batch"), length = size("length");
  auto c = [&](int64_t value) { return dims.constant(value); };
  EXPECT_EQ(dims.exactQuotient({batch, length, c(512)}, {batch, length, c(8)}),
            c(64));
  EXPECT_EQ(dims.exactQuotient({batch, length, c(512)}, {c(512)}),
            dims.multiply(batch, length));
  EXPECT_EQ(dims.exactQuotient({dims.multiply(batch, length), c(64)},
                               {length, c(64)}),
            batch);
  EXPECT_EQ(dims.exactQuotient({size("4*a"), c(2)}, {c(8)}), size("a"));
  EXPECT_EQ(dims.exactQuotient({c(10)}, {c(4)}), AffineExpr());
  EXPECT_EQ(dims.exactQuotient({c(10)}, {c(0)}), AffineExpr());
  AffineExpr open = dims.exactQuotient({batch}, {length});
  ASSERT_TRUE(open);
  EXPECT_EQ(open, dims.exactQuotient({batch}, {length}));
}

TEST_F(SymbolicDimsTest, SpellingReadsBack) {
  for (const char *text : {"past + length", "2 * a + 3", "a - 1", "a * b"}) {
    std::string spelt = dims.spell(size(text));
    EXPECT_EQ(size(spelt), size(text)) << spelt;
  }
}

TEST_F(SymbolicDimsTest, ExpressionsDoNotGrowWithoutEnd) {
  AffineExpr product = size("a"), sum = size("a"), choice = size("a");
  for (int i = 0; i < 100; ++i) {
    product = dims.multiply(product, product);
    sum = dims.add(sum, sum);
    AffineExpr other = size("b" + std::to_string(i));
    choice = dims.maximum(dims.minimum(choice, other),
                          dims.subtract(choice, dims.constant(1)));
    if (choice)
      EXPECT_LE(dims.spell(choice).size(), 1000u);
    else
      choice = dims.fresh("choice");
  }
  EXPECT_FALSE(product);
  EXPECT_FALSE(sum);
  EXPECT_EQ(dims.minimum(product, size("a")), AffineExpr());
}

} // namespace
