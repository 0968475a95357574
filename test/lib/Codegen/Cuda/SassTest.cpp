// The text of the disassembler becomes instructions, counts and loops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/Sass.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::codegen;

static constexpr const char *listing = R"(
	.section	.text.nest,"ax",@progbits
nest:
.text.nest:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   LDS.128 R4, [R2] ;
.L_x_1:
        /*0020*/                   LOP3.LUT R3, R4, 0xf000f, RZ, 0xc0, !PT ;
        /*0030*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0040*/                   HMMA.1688.F32.TF32 R8, R4, R6, R8 ;
        /*0050*/               @P0 BRA `(.L_x_1) ;
        /*0060*/              @!P1 BRA `(.L_x_0) ;
        /*0070*/                   EXIT ;
.L_x_2:
        /*0080*/                   BRA `(.L_x_2);
        /*0090*/                   NOP;
.L_x_3:
//--------------------- .text.flat ---
	.section	.text.flat,"ax",@progbits
.text.flat:
        /*0000*/               @P0 BRA `(.L_x_4) ;
        /*0010*/                   IADD3 R1, R1, 0x1, RZ ;
.L_x_4:
        /*0020*/                   EXIT ;
)";

TEST(Sass, instructionsAndCounts) {
  std::vector<SassKernel> kernels = parseSass(listing);
  ASSERT_EQ(kernels.size(), 2u);
  const SassKernel &nest = kernels[0];
  EXPECT_EQ(nest.symbol, "nest");
  ASSERT_EQ(nest.instructions.size(), 8u); // not the padding
  EXPECT_EQ(nest.instructions[1].opcode, "LDS.128");
  EXPECT_EQ(nest.instructions[6].predicate, "@!P1");
  EXPECT_EQ(nest.count().at("BRA"), 2);
  EXPECT_EQ(nest.count().at("LOP3"), 1);
}

TEST(Sass, loopsAndTheirNesting) {
  std::vector<SassKernel> kernels = parseSass(listing);
  const SassKernel &nest = kernels[0];
  ASSERT_EQ(nest.loops.size(), 2u);
  EXPECT_EQ(nest.loops[0].depth, 1);
  EXPECT_FALSE(nest.loops[0].innermost);
  EXPECT_EQ(nest.loops[1].depth, 2);
  EXPECT_TRUE(nest.loops[1].innermost);
  const SassLoop *main = nest.mainLoop("HMMA");
  ASSERT_TRUE(main);
  EXPECT_EQ(main->begin, 0x20u);
  EXPECT_EQ(main->end, 0x50u);
  EXPECT_EQ(nest.count(*main).at("HMMA"), 2);
  EXPECT_EQ(nest.halfProducts(*main), 1);
  EXPECT_EQ(nest.count(*main).count("LDS"), 0u);
  // A forward branch makes no loop.
  EXPECT_TRUE(kernels[1].loops.empty());
  EXPECT_EQ(kernels[1].mainLoop(""), nullptr);
}

TEST(Sass, realCode) {
  StatusOr<Ptxas> ptxas = Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  std::string ptx = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry spin(.param .u64 p, .param .u32 n) .maxntid 32 {
.reg .b64 %rd<2>;
.reg .b32 %r<4>;
.reg .pred %p<2>;
ld.param.u64 %rd1, [p];
ld.param.u32 %r1, [n];
again:
atom.global.add.u32 %r2, [%rd1], 1;
lop3.b32 %r3, %r2, %r1, 15, 0xea;
st.global.u32 [%rd1+8], %r3;
setp.lt.u32 %p1, %r2, %r1;
@%p1 bra again;
ret;
}
)";
  auto assemblies =
      ptxas->assemble({{ptx, &target::sm90a()}}, CodeCache(""), 1);
  ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
  StatusOr<std::string> text = disassemble(assemblies->front().cubin);
  if (!text && text.status().code() == StatusCode::NotFound)
    GTEST_SKIP() << text.status().message();
  ASSERT_TRUE(text.ok()) << text.status().message();
  std::vector<SassKernel> kernels = parseSass(*text);
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels[0].symbol, "spin");
  const SassLoop *loop = kernels[0].mainLoop("LOP3");
  ASSERT_TRUE(loop);
  EXPECT_GE(kernels[0].count(*loop).at("LOP3"), 1);
}
