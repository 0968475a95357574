// write-artifacts FOLDER: artifacts built by hand, for tests of the tools that
// need no compiler: decoder.qopt and other.qopt (TinyDecoder with two seeds)
// and graph.qopt (y = rms_norm(x) of [batch, 8], and x in half precision).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionBuilder.h"
#include "TinyDecoder.h"

#include <cstdio>

using namespace qopt;

static Status writeGraph(const std::string &path) {
  test::FunctionBuilder f("main", plan::FunctionKind::Graph);
  uint32_t rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "batch");
  uint32_t columns = f.constant(8);
  uint32_t x =
      f.value(plan::DType::F32, {rows, columns}, plan::Storage::Input, "x");
  uint32_t y =
      f.value(plan::DType::F32, {rows, columns}, plan::Storage::Output, "y");
  uint32_t half =
      f.value(plan::DType::F16, {rows, columns}, plan::Storage::Output, "half");
  plan::RmsNormT norm;
  norm.x = x, norm.y = y, norm.scale = f.floats(std::vector<float>(8, 1.f));
  norm.epsilon = 1e-5f;
  f.step(std::move(norm), "norm");
  plan::CastT cast;
  cast.x = x, cast.y = half;
  f.step(std::move(cast), "cast");
  return f.write(path);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  std::string folder = argv[1];
  for (const Status &status :
       {test::TinyDecoder(1).write(folder + "/decoder.qopt"),
        test::TinyDecoder(2).write(folder + "/other.qopt"),
        writeGraph(folder + "/graph.qopt")})
    if (!status.ok()) {
      std::fprintf(stderr, "error: %s\n", status.message().c_str());
      return 1;
    }
  return 0;
}
