// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Append.h"

#include "../CachePool.h"

#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

std::string AppendOptions::describe() const {
  std::string text = key + "," + value + " " + std::to_string(heads) + "x" +
                     std::to_string(keyHeads) + " heads of " +
                     std::to_string(size) + ", " + std::to_string(tokens) +
                     " tokens, " + std::string(target->name);
  text += codes ? ", codes" : "";
  text += norm ? layer ? ", layer norms" : ", norms" : "";
  text += rotary ? "" : ", not rotated";
  return text + (bias ? ", bias" : "");
}

rotary_append::Problem test::appendOf(const AppendOptions &options) {
  rotary_append::Problem append;
  append.heads = options.heads;
  append.cache.keyHeads = options.keyHeads;
  append.cache.keySize = append.cache.valueSize = options.size;
  append.cache.page = 16;
  append.cache.key = *quant::parseFormat(options.key);
  append.cache.value = *quant::parseFormat(options.value);
  append.pageTableStride = 3 + options.tokens / append.cache.page;
  append.pairs = options.pairs;
  if (options.rotary) {
    append.rotated = options.size / 4 * 4;
    append.queries = rotary_append::Queries::Elsewhere;
  }
  if (options.norm)
    append.norm = {1e-5f, options.activation,
                   options.layer ? norm::Kind::Layer : norm::Kind::Rms,
                   options.layer};
  append.activation = options.activation;
  int64_t keys = options.heads * options.size,
          values = keys + options.keyHeads * options.size,
          stride = values + options.keyHeads * options.size;
  append.query = {0, stride};
  append.key = {keys, stride};
  append.value = {values, stride};
  return append;
}

skinny_linear::Problem test::linearOf(const AppendOptions &options) {
  skinny_linear::Problem problem;
  problem.tokens = options.tokens;
  problem.columns = options.columns;
  problem.append = appendOf(options);
  problem.segments = {{problem.append->query.stride,
                       options.codes ? *quant::parseFormat("int8")
                                     : quant::floatFormat(options.activation)}};
  problem.activation = options.codes ? ElementType::Int8 : options.activation;
  problem.output = options.activation;
  if (options.bias)
    problem.operands = {
        {skinny_linear::OperandShape::Column, options.activation}};
  return problem;
}

Batch test::batchOf(const AppendOptions &options) {
  Batch batch;
  int64_t there = options.tokens - options.padding;
  for (int64_t i = 0; i <= options.sequences; ++i)
    batch.tokenStarts.push_back(int32_t(i * there / options.sequences));
  for (int64_t i = 0; i < options.sequences; ++i)
    batch.contextStarts.push_back(int32_t((7 + 23 * i) % 32));
  int64_t pages = options.sequences * appendOf(options).pageTableStride;
  for (auto page = int32_t(pages); page > 0;)
    batch.pageTable.push_back(--page);
  auto angles = size_t(options.tokens * appendOf(options).rotated / 2);
  batch.cos = normals(angles, 2);
  batch.sin = normals(angles, 3);
  auto scales = [&](int64_t heads, unsigned seed) {
    auto count = size_t((options.layer ? heads : 1) * options.size);
    return encode(options.activation, normals(count, seed));
  };
  if (options.norm) {
    batch.queryScale = scales(options.heads, 10);
    batch.keyScale = scales(options.keyHeads, 9);
  }
  return batch;
}

Results test::emptyResults(const AppendOptions &options, uint16_t fill) {
  rotary_append::Problem append = appendOf(options);
  Results results;
  results.y.assign(size_t(options.tokens * append.query.stride), fill);
  results.queries.assign(size_t(options.tokens * append.heads * options.size),
                         fill);
  results.pages.assign(size_t(options.sequences * append.pageTableStride *
                              append.cache.pageBytes()),
                       0xa5);
  return results;
}

void test::addBatch(Launch &launch, const AppendOptions &options, Batch &batch,
                    Results &results) {
  if (options.rotary)
    launch.inOut(results.queries);
  if (options.norm)
    launch.in(batch.queryScale).in(batch.keyScale);
  if (options.rotary)
    launch.in(batch.cos).in(batch.sin);
  launch.in(batch.tokenStarts).in(batch.contextStarts).in(batch.pageTable);
  launch.inOut(results.pages).integer(int32_t(options.sequences));
}

/// Codes of random numbers as they are stored.
static std::vector<uint8_t> codesOf(size_t count, unsigned seed) {
  std::vector<uint8_t> codes;
  for (float value : normals(count, seed, 40))
    codes.push_back(uint8_t(int8_t(std::clamp(value, -127.0f, 127.0f))));
  return codes;
}

static std::vector<uint8_t> bytesOf(ElementType type, size_t count,
                                    unsigned seed) {
  if (type == ElementType::Int8)
    return codesOf(count, seed);
  std::vector<uint16_t> halves = encode(type, normals(count, seed, 0.3f));
  std::vector<uint8_t> bytes(2 * count);
  std::memcpy(bytes.data(), halves.data(), bytes.size());
  return bytes;
}

/// Positive, of f32.
static std::vector<float> scalesOf(size_t count, unsigned seed) {
  std::vector<float> scales;
  for (float value : normals(count, seed, 0.002f))
    scales.push_back(std::fabs(value) + 0.001f);
  return scales;
}

static std::vector<uint8_t> packedOf(const skinny_linear::Problem &problem) {
  std::vector<uint8_t> weights =
      bytesOf(problem.segments[0].weight.element,
              size_t(problem.rows() * problem.columns), 5);
  std::vector<float> scales = scalesOf(size_t(problem.rows()), 6);
  std::vector<uint8_t> packed(size_t(skinny_linear::packedBytes(problem)));
  skinny_linear::packSegment(
      problem.segments[0], problem.columns, problem.paired,
      {weights.data(), reinterpret_cast<const uint8_t *>(scales.data()),
       nullptr},
      packed.data());
  return packed;
}

Status test::runLinear(const skinny_linear::Problem &problem,
                       const Compiled &kernel, const LinearKernel &linear,
                       int64_t tokens, std::vector<uint16_t> &y,
                       llvm::function_ref<void(Launch &)> addRest,
                       uint64_t seed) {
  std::vector<uint8_t> x =
      bytesOf(problem.activation, size_t(tokens * problem.columns), 4);
  std::vector<float> tokenScales = scalesOf(size_t(tokens), 7);
  std::vector<uint8_t> packed = packedOf(problem);
  std::vector<float> workspace(size_t(linear.workspaceBytes / 4 + 1));
  std::vector<uint32_t> counters(size_t(linear.counters + 1));
  std::vector<uint16_t> bias =
      encode(problem.output, normals(size_t(problem.rows()), 8));
  Launch launch;
  launch.in(x).in(packed).inOut(y).out(workspace).inOut(counters);
  if (problem.readsCodes())
    launch.in(tokenScales);
  if (problem.regionOperands())
    launch.in(bias);
  addRest(launch);
  launch.integer(int32_t(tokens));
  QOPT_RETURN_IF_ERROR(launch.run(kernel, linear.shape, 1, seed));
  bool zero = counters == std::vector<uint32_t>(counters.size());
  return zero ? Status()
              : Status(StatusCode::Internal, "a counter is not zero again");
}

void test::launchLinear(const skinny_linear::Problem &problem,
                        const LinearKernel &linear,
                        const target::Target &target, int64_t tokens,
                        std::vector<uint16_t> &y,
                        llvm::function_ref<void(Launch &)> addRest,
                        uint64_t seed) {
  auto kernel = compile(linear.build, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  assemble(*kernel, target);
  Status ran = runLinear(problem, *kernel, linear, tokens, y, addRest, seed);
  ASSERT_TRUE(ran.ok()) << ran.message();
}

std::string test::strayWriteOf(const AppendOptions &options, const Batch &batch,
                               const Results &results) {
  return strayWrite(appendOf(options),
                    {batch.tokenStarts, batch.contextStarts, batch.pageTable},
                    emptyResults(options, 0).pages, results.pages);
}

size_t test::movedStoresSeen(const AppendOptions &options,
                             const skinny_linear::Problem &problem,
                             const LinearKernel &linear) {
  auto kernel = compile(linear.build, *options.target);
  EXPECT_TRUE(kernel.ok()) << kernel.status().message();
  if (!kernel.ok())
    return 0;
  size_t seen = 0;
  for (const Compiled &defect : storesMoved(*kernel)) {
    Batch batch = batchOf(options);
    Results results = emptyResults(options, 0);
    Status ran = runLinear(
        problem, defect, linear, options.tokens, results.y,
        [&](Launch &launch) { addBatch(launch, options, batch, results); });
    seen += !ran.ok() || !strayWriteOf(options, batch, results).empty();
  }
  return seen;
}

void test::appendAlone(const AppendOptions &options, Batch &batch,
                       Results &results) {
  rotary_append::Problem append = appendOf(options);
  auto schedule = rotary_append::chooseSchedule(append, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compile(
      [&](mlir::gpu::GPUModuleOp module) {
        return rotary_append::buildKernel(module, append, *schedule,
                                          *options.target);
      },
      *options.target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  Launch launch;
  launch.in(results.y).same(0).same(0);
  addBatch(launch, options, batch, results);
  Status ran = launch.run(*kernel, launchOf(append, *schedule), options.tokens);
  ASSERT_TRUE(ran.ok()) << ran.message();
}
