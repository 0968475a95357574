// Generated code in artifacts: found, called over its whole range, and not
// mixed up between artifacts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "qopt/Session.h"

#include <fstream>
#include <gtest/gtest.h>

using namespace qopt;
using qopt::test::FunctionBuilder;

namespace {

class GeneratedTest : public ::testing::Test {
protected:
  static std::vector<uint8_t> codeOf(const std::string &kernel) {
    std::ifstream file(std::string(GENERATED_FOLDER "/libgenerated_") + kernel +
                           ".so",
                       std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// z = x op y for x, y [rows, 8], by the code object given.
  StatusOr<std::unique_ptr<Session>> session(const std::vector<uint8_t> &code,
                                             const std::string &symbol) {
    FunctionBuilder f("main", plan::FunctionKind::Graph);
    uint32_t rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "rows");
    uint32_t columns = f.constant(8);
    plan::GeneratedT step;
    for (const char *name : {"x", "y"})
      step.operands.push_back(f.value(plan::DType::F32, {rows, columns},
                                      plan::Storage::Input, name));
    step.outputs.push_back(
        f.value(plan::DType::F32, {rows, columns}, plan::Storage::Output, "z"));
    step.segment = f.code(code);
    step.symbol = symbol;
    step.indices = {columns};
    step.extent = rows;
    step.grain = 2;
    f.step(std::move(step), "elementwise");
    std::string path = folder.file("g" + std::to_string(files++) + ".qopt");
    QOPT_RETURN_IF_ERROR(f.write(path));
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      return artifact.status();
    return Session::create(*artifact, {.threads = 2});
  }

  static float run(Session &session, int64_t rows) {
    Tensor x("x", DType::F32, {rows, 8}), y("y", DType::F32, {rows, 8});
    for (int64_t i = 0; i < rows * 8; ++i)
      x.as<float>()[i] = 3, y.as<float>()[i] = 4;
    auto results = session.run({x.view(), y.view()});
    EXPECT_TRUE(results.ok()) << results.status().message();
    if (!results.ok())
      return -1;
    const float *z = (*results)[0].as<float>();
    for (int64_t i = 1; i < rows * 8; ++i)
      EXPECT_EQ(z[i], z[0]);
    return z[0];
  }

  qopt::test::TemporaryFolder folder;
  int files = 0;
};

TEST_F(GeneratedTest, TwoArtifactsKeepTheirOwnCode) {
  auto add = session(codeOf("add"), "kernel");
  auto multiply = session(codeOf("multiply"), "kernel");
  ASSERT_TRUE(add.ok()) << add.status().message();
  ASSERT_TRUE(multiply.ok()) << multiply.status().message();
  for (int64_t rows : {1, 2, 13, 100}) {
    EXPECT_EQ(run(**add, rows), 7.f);
    EXPECT_EQ(run(**multiply, rows), 12.f);
  }
}

TEST_F(GeneratedTest, AMissingKernelIsNamed) {
  auto created = session(codeOf("add"), "other");
  ASSERT_TRUE(created.ok());
  Tensor x("x", DType::F32, {1, 8}), y("y", DType::F32, {1, 8});
  auto results = (*created)->run({x.view(), y.view()});
  ASSERT_FALSE(results.ok());
  EXPECT_NE(results.status().message().find("\"other\""), std::string::npos);
  EXPECT_NE(results.status().message().find("elementwise"), std::string::npos);
}

TEST_F(GeneratedTest, WhatIsNoCodeIsAnErrorBeforeAnythingRuns) {
  auto created = session(std::vector<uint8_t>(100, 7), "kernel");
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.status().code(), StatusCode::BadArtifact);
}

} // namespace
