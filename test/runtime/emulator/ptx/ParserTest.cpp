// PTX text becomes the module that it describes, and damaged text an error that
// names its line.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ptx/Module.h"

#include <gtest/gtest.h>

namespace qopt::emulator::ptx {
namespace {

const std::string head = ".version 8.3\n.target sm_90a\n.address_size 64\n";

TEST(Parser, KernelWithScopesAndLabels) {
  Module module;
  Status status = parse(head + R"(
.global .align 4 .b8 table[8] = {1, 2, 3, 4, 5, 6, 7, 0xff};
.visible .entry add(.param .u64 .ptr .global .align 4 a, .param .u32 n)
.maxntid 128, 1, 1
.minnctapersm 2
{
  .reg .b32 %r<4>;
  .reg .pred %p;
  .loc 1 2 3
  ld.param.u32 %r1, [n];
  // As inline PTX opens, without blanks.
  {.reg.b32 %r1;
    mov.u32 %r1, -5;
    @!%p bra inner;
inner:
  }
  setp.lt.s32 %p, %r1, 0x10;
  mov.f32 %r2, 0f3F800000;
  ret;
}
)",
                        module);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(module.functions.size(), 1u);
  const Function &function = module.functions[0];
  EXPECT_TRUE(function.entry);
  EXPECT_EQ(function.maximumThreads[0], 128u);
  ASSERT_EQ(function.body.size(), 6u);
  // The inner %r1 is a register of its own.
  EXPECT_NE(function.body[1].operands[0].index,
            function.body[0].operands[0].index);
  EXPECT_EQ(int64_t(function.body[1].operands[1].bits), -5);
  EXPECT_TRUE(function.body[2].guardNegated);
  EXPECT_EQ(function.body[2].operands[0].kind, Operand::Label);
  EXPECT_EQ(function.body[2].operands[0].index, 3u);
  EXPECT_EQ(function.body[3].operands[1].index,
            function.body[0].operands[0].index);
  EXPECT_EQ(function.body[3].opcode, "setp");
  EXPECT_EQ(function.body[3].line, 20u);
  EXPECT_EQ(function.body[4].operands[1].bits, 0x3f800000u);
  EXPECT_EQ(module.variables[0].initial.back(), 0xff);
}

TEST(Parser, AddressesAndVectors) {
  Module module;
  Status status = parse(head + R"(
.extern .shared .align 16 .b8 dynamic[];
.entry k(.param .u64 a)
{
  .reg .b64 %rd<2>;
  .reg .b32 %r<5>;
  ld.global.v4.u32 {%r1, %r2, %r3, _}, [%rd1+-16];
  st.shared.u32 [dynamic+8], %r1;
  shfl.sync.bfly.b32 %r2|_, %r1, 1, 31, -1;
}
)",
                        module);
  ASSERT_TRUE(status.ok()) << status.message();
  const Function &function = module.functions[0];
  const Operand &vector = function.body[0].operands[0];
  ASSERT_EQ(vector.elements.size(), 4u);
  EXPECT_EQ(vector.elements[3].kind, Operand::Sink);
  EXPECT_EQ(function.body[0].operands[1].offset, -16);
  EXPECT_EQ(function.body[1].operands[0].elements[0].kind, Operand::Variable);
  EXPECT_EQ(function.body[2].operands[0].elements.size(), 2u);
}

void expectError(const std::string &body, const std::string &message) {
  Module module;
  Status status = parse(head + body, module);
  ASSERT_FALSE(status.ok()) << body;
  EXPECT_EQ(status.message(), message);
}

TEST(Parser, ErrorsNameLineAndWord) {
  expectError(".entry k()\n{\nbra nowhere;\n}\n",
              "ptx line 6: unknown name 'nowhere'");
  expectError(".entry k()\n{\nret\n}\n",
              "ptx line 7: expected an operand, got '}'");
  expectError(".entry k()\n{\n/* open", "ptx line 6: a comment is not closed");
  expectError(".entry k()\n{\nret;\n", "ptx line 7: expected '}'");
  expectError(".wrong 3\n", "ptx line 4: unknown directive '.wrong'");
  expectError(".entry k()\n{\nmov.u32 #;\n}",
              "ptx line 6: unexpected character '#'");
}

TEST(Parser, EveryPrefixEndsInAnError) {
  const std::string text =
      head + ".entry k(.param .u32 n)\n{\n.reg .b32 %r<2>;\n@%p bra a;\n"
             "ld.global.v2.u32 {%r0, %r1}, [n+4];\n}";
  for (size_t length = 0; length < text.size(); ++length) {
    Module module;
    (void)parse(text.substr(0, length), module); // must not crash
  }
}

} // namespace
} // namespace qopt::emulator::ptx
