// Masks, positions and rotary tables are recognised by what they compute. Each
// file below probes/ is one subgraph as an exporter wrote it; its attribute
// `expected` says what it means. Two results are a rotary table's cos and sin,
// one integer result is a position, everything else is a mask.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/Probe.h"
#include "dialects/AllDialects.h"
#include "mlir/Parser/Parser.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;
using namespace qopt::passes;

namespace {

template <typename Kind> std::string said(const StatusOr<Kind> &kind) {
  return kind ? describe(*kind) : "refused: " + kind.status().message();
}

std::string classify(func::FuncOp func) {
  Probe probe(func);
  Operation *end = func.front().getTerminator();
  if (end->getNumOperands() == 2)
    return said(classifyRotary(probe, end->getOperand(0), end->getOperand(1)));
  Value value = end->getOperand(0);
  if (getElementTypeOrSelf(value.getType()).isInteger(64))
    return said(classifyPositions(probe, value));
  return said(classifyMask(probe, value));
}

class ProbeTest : public testing::TestWithParam<std::string> {};

TEST_P(ProbeTest, recognises) {
  DialectRegistry registry;
  qopt::registerAllDialects(registry);
  MLIRContext context(registry);
  auto module = parseSourceFile<ModuleOp>(GetParam(), &context);
  ASSERT_TRUE(module);
  for (func::FuncOp func : module->getOps<func::FuncOp>()) {
    auto expected = func->getAttrOfType<StringAttr>("expected");
    EXPECT_EQ(classify(func), expected ? expected.getValue().str() : "");
  }
}

std::vector<std::string> files() {
  std::vector<std::string> names;
  const char *other = std::getenv("QOPT_PROBES");
  for (const auto &entry :
       std::filesystem::directory_iterator(other ? other : PROBE_FOLDER))
    names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Raise, ProbeTest, testing::ValuesIn(files()), [](const auto &info) {
      std::string name = std::filesystem::path(info.param).stem().string();
      for (char &c : name)
        c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

} // namespace
