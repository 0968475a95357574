// The kernels of attention_decode and attention_prefill assemble for every
// architecture without spills, local memory or advisories, and within the
// registers that their blocks an SM leave.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"
#include "Case.h"

#include "lib/Codegen/Cuda/Ptxas.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels::attention_decode;

/// Those that need most registers, in all formats.
static const char *const shapes[] = {
    "heads=32 kv=8 d=128 page=64 sequences=1:4000",
    "heads=8 kv=1 d=256 page=64 sequences=1:4000 window=1024 softcap=50",
    "heads=32 kv=8 d=128 page=64 sequences=512:0 prefill",
    "heads=8 kv=1 d=256 page=64 sequences=512:0 prefill window=1024",
};

/// Smaller heads: of these each format has one, in turns.
static const char *const smallShapes[] = {
    "heads=32 kv=8 d=64 page=64 sequences=4:4000",
    "heads=8 kv=8 d=80 page=64 sequences=8:4000 slopes sinks",
    "heads=8 kv=8 d=8 page=16 sequences=64:0 prefill",
};

static const char *const formats[] = {
    "key=f16 value=f16",
    "key=int8 value=int8",
    "key=int4 value=int4",
    "key=int8 value=int4 act=bf16",
    "key=fp8_e4m3 value=fp8_e4m3",
    "key=fp8_e4m3 value=fp8_e4m3 act=bf16",
    "key=int4_asym_g32_zf value=int4",
    "key=int8_g64 value=int8 act=bf16",
    "key=int4_asym_g32_zf value=int4_asym_g32_zf",
    "key=int3_asym_g32_zf value=int3_asym_g32_zf",
    "key=int2_asym_g32_zf value=int2_asym_g32_zf",
    "key=int8_g64 value=int8_asym_g32_zf act=bf16",
    "key=int2_asym_g32_zf value=int2_asym_g32_zf act=bf16",
    "key=int4_asym_g32_zf value=int4_asym_g32_zf recent=32",
    "key=int2_asym_g32_zf value=int2_asym_g32_zf recent=32 first=16",
};

/// Heads of other sizes than tiles, and those whose queries lie in shared
/// memory, in the formats that need most of each.
static const char *const sizes[] = {
    "heads=6 kv=3 d=4 sequences=512:0 prefill key=f16 value=f16",
    "heads=6 kv=3 d=20 sequences=1:4000 key=int4 value=int4 act=bf16",
    "heads=6 kv=3 d=100 sequences=512:0 prefill key=fp8_e4m3 value=int8",
    "heads=8 kv=1 d=160 sequences=8:4000 key=int8_g64 value=int8 act=bf16",
    "heads=8 kv=1 d=224 sequences=512:0 prefill key=int8_g64 value=int8 "
    "act=bf16",
    "heads=8 kv=1 d=256 sequences=1:4000 key=int4_asym_g32_zf value=int8",
    "heads=8 kv=1 d=320 sequences=1:4000 key=int8 value=int8 act=bf16",
    "heads=8 kv=1 d=320 sequences=512:0 prefill key=int8_g64 value=int8 "
    "act=bf16",
    "heads=8 kv=1 d=512 sequences=1:4000 key=f16 value=f16",
    "heads=8 kv=1 d=512 sequences=1:4000 window=1024 softcap=50 "
    "key=int8_asym_g64_zf value=fp8_e4m3 act=bf16",
    "heads=8 kv=1 d=512 sequences=512:0 prefill slopes key=int4_asym_g32_zf "
    "value=int4",
    "heads=6 kv=3 d=5 sequences=512:0 prefill key=int4 value=int4",
    "heads=8 kv=1 d=255 sequences=1:4000 key=int8 value=int8 act=bf16",
    "heads=8 kv=1 d=127 sequences=512:0 prefill key=int4_asym_g32_zf "
    "value=fp8_e4m3",
    "heads=8 kv=1 d=576 sequences=1:4000 key=int8_asym_g64_zf value=fp8_e4m3 "
    "act=bf16",
    "heads=8 kv=1 d=1023 sequences=512:0 prefill key=int8 value=int8 act=bf16",
    "heads=8 kv=1 d=1024 sequences=1:4000 window=1024 softcap=50 key=f16 "
    "value=f16",
    "heads=8 kv=1 d=1024 sequences=512:0 prefill slopes key=int4_asym_g32_zf "
    "value=int4",
};

/// Caches of bf16 take the registers of f16, small pages those of large ones:
/// each in the shapes that need most.
static const char *const others[] = {
    "heads=8 kv=1 d=256 page=64 sequences=1:4000 window=1024 softcap=50 "
    "key=bf16 value=bf16 act=bf16",
    "heads=32 kv=8 d=128 page=64 sequences=512:0 prefill "
    "key=bf16 value=bf16 act=bf16",
    "heads=32 kv=8 d=128 page=16 sequences=1:4000 key=f16 value=f16",
    "heads=32 kv=8 d=128 page=16 sequences=1:4000 key=int4 value=int4",
};

/// All of the above, without their architectures.
static std::vector<std::string> cases() {
  std::vector<std::string> all(std::begin(others), std::end(others));
  for (const char *size : sizes)
    all.push_back(std::string(size) + " page=64");
  auto add = [&](const char *shape, const char *format) {
    all.push_back(std::string(shape) + " " + format);
    // Pages of whole groups.
    if (all.back().find("_g") != std::string::npos)
      all.back() += " page=64";
  };
  for (const char *shape : shapes)
    for (const char *format : formats)
      add(shape, format);
  for (size_t i = 0; i < std::size(formats); ++i) {
    // Groups of values divide the first shape's heads.
    std::string_view value = formats[i];
    value.remove_prefix(value.find("value="));
    bool inGroups = value.find("_g") != std::string_view::npos;
    add(smallShapes[inGroups ? 0 : i % std::size(smallShapes)], formats[i]);
  }
  return all;
}

TEST(AttentionAssembled, withoutSpills) {
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  std::vector<codegen::AssemblyJob> jobs;
  for (const std::string &shape : cases())
    for (const target::Target *target : target::allTargets()) {
      std::string text = shape + " arch=" + std::string(target->name);
      auto test = parseCase(text);
      ASSERT_TRUE(test.ok()) << text << ": " << test.status().message();
      auto ptx = buildPtx(*test);
      ASSERT_TRUE(ptx.ok()) << text << ": " << ptx.status().message();
      jobs.push_back({*ptx, target});
    }
  auto assembled = ptxas->assemble(jobs, codegen::CodeCache::ofUser(), 2);
  ASSERT_TRUE(assembled.ok()) << assembled.status().message();
  for (const codegen::Assembly &assembly : *assembled) {
    Status status =
        codegen::requireClean(assembly.kernels, [](auto) { return true; });
    EXPECT_TRUE(status.ok()) << status.message();
  }
}
