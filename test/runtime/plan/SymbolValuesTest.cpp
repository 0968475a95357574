// Sizes: every kind of expression has its value; overflow and division by zero
// are errors that name the expression.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/SymbolValues.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::runtime;

namespace {

class SymbolValues : public ::testing::Test {
protected:
  uint32_t add(plan::SymbolKind kind, uint32_t lhs, uint32_t rhs,
               int64_t value = 0, const char *name = "") {
    auto symbol = std::make_unique<plan::SymbolT>();
    symbol->kind = kind;
    symbol->lhs = lhs, symbol->rhs = rhs;
    symbol->value = value;
    symbol->name = name;
    function.symbols.push_back(std::move(symbol));
    return uint32_t(function.symbols.size() - 1);
  }
  uint32_t constant(int64_t value) {
    return add(plan::SymbolKind::Const, 0, 0, value);
  }
  const plan::Function &packed() {
    function.name = "f";
    builder.Clear();
    builder.Finish(plan::Function::Pack(builder, &function));
    return *flatbuffers::GetRoot<plan::Function>(builder.GetBufferPointer());
  }
  plan::FunctionT function;
  flatbuffers::FlatBufferBuilder builder;
};

TEST_F(SymbolValues, FollowTheirFormulas) {
  uint32_t seq = add(plan::SymbolKind::InputDim, 0, 1, 0, "seq");
  uint32_t minusSeven = constant(-7), three = constant(3);
  add(plan::SymbolKind::Add, seq, three);
  add(plan::SymbolKind::Sub, seq, three);
  add(plan::SymbolKind::Mul, seq, three);
  add(plan::SymbolKind::FloorDiv, minusSeven, three);
  add(plan::SymbolKind::CeilDiv, minusSeven, three);
  add(plan::SymbolKind::Mod, minusSeven, three);
  add(plan::SymbolKind::Min, seq, three);
  add(plan::SymbolKind::Max, seq, three);
  SymbolInputs inputs;
  inputs.inputShapes = {{2, 10}};
  auto values = evaluateSymbols(packed(), inputs);
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(*values,
            (std::vector<int64_t>{10, -7, 3, 13, 7, 30, -3, -2, 2, 3, 10}));
  EXPECT_EQ(spellSymbol(packed(), 5), "seq * 3");
}

// For the preset asan: without sanitizers an overflow on the way is not seen.
TEST_F(SymbolValues, TheSmallestNumberHasARemainder) {
  uint32_t smallest = constant(INT64_MIN), three = constant(3);
  add(plan::SymbolKind::Mod, smallest, three);
  add(plan::SymbolKind::CeilDiv, smallest, three);
  auto values = evaluateSymbols(packed(), {});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ((*values)[2], 1);
  EXPECT_EQ((*values)[3], INT64_MIN / 3);
}

TEST_F(SymbolValues, RefuseOverflowAndDivisionByZero) {
  uint32_t large = add(plan::SymbolKind::InputDim, 0, 0, 0, "batch");
  add(plan::SymbolKind::Mul, large, large);
  SymbolInputs inputs;
  inputs.inputShapes = {{int64_t(1) << 40}};
  auto values = evaluateSymbols(packed(), inputs);
  ASSERT_FALSE(values.ok());
  EXPECT_NE(values.status().message().find("'batch * batch'"),
            std::string::npos);
  function.symbols.back()->kind = plan::SymbolKind::Mod;
  inputs.inputShapes = {{0}};
  EXPECT_EQ(evaluateSymbols(packed(), inputs).status().message(),
            "a size is inferred by dividing by 'batch', which is 0; expected 1 "
            "or more");
}

} // namespace
