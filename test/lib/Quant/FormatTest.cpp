// A format has one spelling, and everything else has a message that says why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Element.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

static std::string messageFor(std::string_view text) {
  StatusOr<Format> format = parseFormat(text);
  return format.ok() ? "parsed" : format.status().message();
}

static void expectSpelling(const char *text) {
  StatusOr<Format> format = parseFormat(text);
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(spell(*format), text);
}

TEST(Format, spellingsComeBack) {
  for (const char *text : {"f32",
                           "f16",
                           "bf16",
                           "int8",
                           "int4",
                           "int8_tensor",
                           "int8_g128",
                           "int4_g32",
                           "int4_asym_g64",
                           "int8_asym",
                           "int4_g32_sf32",
                           "int8_sf16",
                           "int4_asym_g32_zf",
                           "int8_asym_tensor",
                           "int4_asym_g128_zf_sf32",
                           "fp8_e4m3",
                           "fp8_e4m3_tensor",
                           "fp8_e4m3_g128",
                           "fp8_e4m3_g32_sf32",
                           "int3",
                           "int3_g128",
                           "int3_asym_g64_zf",
                           "int3_tensor",
                           "int6_g32_s6",
                           "int5_asym_g64",
                           "int2_g64",
                           "int2_asym",
                           "int2_asym_g32_zf",
                           "int4_g32_s6",
                           "int4_asym_g64_s8",
                           "int3_asym_g16_s6",
                           "int2_g128_s8",
                           "lut4_g128",
                           "lut4_g32_s6",
                           "lut3_g64_s6",
                           "lut4_tensor"})
    expectSpelling(text);
}

TEST(Format, spellingsOfStandardsComeBack) {
  for (const char *text : {"fp8_e5m2",
                           "fp8_e5m2_tensor",
                           "fp8_e4m3_b128",
                           "fp8_e4m3_b64_sf32",
                           "fp8_e4m3_g32_se8m0",
                           "fp4_e2m1",
                           "fp4_e2m1_g64",
                           "fp4_e2m1_g32_sf32",
                           "fp4_e2m1_g64_se8m0",
                           "fp4_e2m1_g32_se4m3",
                           "mxfp4",
                           "nvfp4",
                           "nf4",
                           "nf4_g64",
                           "nf4_g64_s8",
                           "nf4_g128_sbf16",
                           "int4_restricted_g32",
                           "int2_restricted_g64_s6",
                           "int4_restricted_g32_se8m0",
                           "int8_full",
                           "int8_full_g128",
                           "int4_asym_g32_zf_sbf16"})
    expectSpelling(text);
}

TEST(Format, fieldsAreWhatTheSpellingSays) {
  Format plain = *parseFormat("int8");
  EXPECT_EQ(plain.granularity, Granularity::Channel);
  EXPECT_EQ(plain.scale, ScaleType::F32);
  EXPECT_TRUE(plain.isSymmetric());
  EXPECT_EQ(*parseFormat("int4_asym_g64"),
            groupFormat(ElementType::Int4, 64, ZeroType::U8));
  EXPECT_EQ(parseFormat("int4_asym_g64")->scale, ScaleType::F16);
  EXPECT_EQ(parseFormat("int4_asym_g32_zf")->zero, ZeroType::Float);
  EXPECT_EQ(*parseFormat("bf16"), floatFormat(ElementType::BF16));
}

TEST(Format, unknownElement) {
  EXPECT_EQ(messageFor("int7_g32"),
            "format \"int7_g32\": unknown element type \"int7\"; expected one "
            "of f32, f16, bf16, int8, int4, fp8_e4m3, int3, int2, lut4, lut3, "
            "int6, int5, fp8_e5m2, fp4_e2m1, nf4, mxfp4, nvfp4");
  EXPECT_EQ(messageFor(""), "format \"\": unknown element type \"\"; expected "
                            "one of f32, f16, bf16, int8, int4, fp8_e4m3, "
                            "int3, int2, lut4, lut3, int6, int5, fp8_e5m2, "
                            "fp4_e2m1, nf4, mxfp4, nvfp4");
  EXPECT_EQ(
      messageFor("fp8"),
      "format \"fp8\": unknown element type \"fp8\"; expected one of f32, "
      "f16, bf16, int8, int4, fp8_e4m3, int3, int2, lut4, lut3, int6, int5, "
      "fp8_e5m2, fp4_e2m1, nf4, mxfp4, nvfp4");
  EXPECT_NE(messageFor("fp8_e3m4"), "parsed");
  EXPECT_NE(messageFor("fp8_e4m3x"), "parsed");
}

TEST(Format, floatsHaveNoScales) {
  EXPECT_EQ(messageFor("f16_g32"),
            "format \"f16_g32\": f16 has no scales; expected \"f16\" alone");
}

TEST(Format, fp8HasScalesAndNoZeroPoints) {
  Format format = *parseFormat("fp8_e4m3");
  EXPECT_EQ(format.element, ElementType::Fp8E4m3);
  EXPECT_EQ(format.granularity, Granularity::Channel);
  EXPECT_FALSE(format.isFloat());
  EXPECT_EQ(messageFor("fp8_e4m3_asym"),
            "format \"fp8_e4m3_asym\": fp8_e4m3 has no zero points");
  EXPECT_EQ(messageFor("fp8_e4m3_g32_zf"),
            "format \"fp8_e4m3_g32_zf\": fp8_e4m3 has no zero points");
}

TEST(Format, codeBooksHaveNoZeroPoints) {
  EXPECT_EQ(parseFormat("lut4_g128")->element, ElementType::Lut4);
  EXPECT_EQ(messageFor("lut4_asym_g128"),
            "format \"lut4_asym_g128\": lut4 has no zero points");
  EXPECT_EQ(messageFor("lut3_g32_zf"),
            "format \"lut3_g32_zf\": lut3 has no zero points");
}

TEST(Format, groupSizes) {
  EXPECT_EQ(messageFor("int4_g12"),
            "format \"int4_g12\": group size 12 is not supported; expected a "
            "multiple of 8 up to 65536");
  for (const char *text : {"int4_g0", "int4_g4", "int4_g65544", "int4_g-8",
                           "int4_g8x", "int4_g99999999999999999999"})
    EXPECT_NE(messageFor(text), "parsed") << text;
}

TEST(Format, unknownPart) {
  EXPECT_EQ(messageFor("int4_sym"),
            "format \"int4_sym\": unknown part \"sym\"; expected asym, full, "
            "restricted, tensor, g<size>, b<size>, zf, sf16, sf32, sbf16, "
            "se8m0, se4m3, s6 or s8");
}

TEST(Format, twoLevelsOfScales) {
  Format format = *parseFormat("int4_asym_g32_s6");
  EXPECT_EQ(format.scale, ScaleType::Code6);
  EXPECT_TRUE(format.hasTwoLevels());
  EXPECT_EQ(parseFormat("int4_g32_s8")->scale, ScaleType::Code8);
  EXPECT_FALSE(parseFormat("int4_g32")->hasTwoLevels());
  for (const char *text : {"int4_s6", "int4_tensor_s6", "int4_g24_s6",
                           "int4_g256_s8", "int4_g512_s6"})
    EXPECT_EQ(messageFor(text),
              "format \"" + std::string(text) +
                  "\": two levels of scales need groups of 8, 16, 32, 64 or "
                  "128");
  EXPECT_EQ(messageFor("int4_asym_g32_zf_s6"),
            "format \"int4_asym_g32_zf_s6\": two levels of scales have zero "
            "points that are codes; expected no zf");
}

TEST(Format, onlyTheOneSpelling) {
  EXPECT_EQ(messageFor("int4_g32_asym"),
            "format \"int4_g32_asym\": this format is spelt "
            "\"int4_asym_g32\"");
  EXPECT_EQ(messageFor("int4_g32_sf16"),
            "format \"int4_g32_sf16\": this format is spelt \"int4_g32\"");
  EXPECT_EQ(messageFor("int8_asym_asym"),
            "format \"int8_asym_asym\": this format is spelt \"int8_asym\"");
}

TEST(Format, standardsHaveNames) {
  Format mxfp4 = *parseFormat("mxfp4");
  EXPECT_EQ(mxfp4.element, ElementType::Fp4E2m1);
  EXPECT_EQ(mxfp4.groupSize, 32);
  EXPECT_EQ(mxfp4.scale, ScaleType::E8m0);
  EXPECT_EQ(parseFormat("nvfp4")->groupSize, 16);
  EXPECT_TRUE(parseFormat("nvfp4")->hasTwoLevels());
  EXPECT_EQ(messageFor("fp4_e2m1_g32_se8m0"),
            "format \"fp4_e2m1_g32_se8m0\": this format is spelt \"mxfp4\"");
  EXPECT_EQ(messageFor("mxfp4_g64"),
            "format \"mxfp4_g64\": mxfp4 has no parts; expected \"mxfp4\" "
            "alone");
}

TEST(Format, rangesOfCodes) {
  EXPECT_EQ(symmetricCodes(*parseFormat("int4")), (CodeBounds{-8, 7}));
  EXPECT_EQ(symmetricCodes(*parseFormat("int4_restricted")),
            (CodeBounds{-7, 7}));
  EXPECT_EQ(symmetricCodes(*parseFormat("int8")), (CodeBounds{-127, 127}));
  EXPECT_EQ(symmetricCodes(*parseFormat("int8_full")), (CodeBounds{-128, 127}));
  EXPECT_EQ(messageFor("int8_restricted"),
            "format \"int8_restricted\": this format is spelt \"int8\"");
  EXPECT_EQ(messageFor("int4_asym_restricted_g32"),
            "format \"int4_asym_restricted_g32\": asymmetric formats use all "
            "codes; expected no full or restricted");
  EXPECT_EQ(messageFor("nf4_restricted"),
            "format \"nf4_restricted\": nf4 has no range of codes; expected "
            "full or restricted with integers");
}

TEST(Format, scalesWithoutSign) {
  EXPECT_EQ(messageFor("nf4_se8m0"),
            "format \"nf4_se8m0\": e8m0 scales need groups; expected g<size>");
  for (const char *element : {"int4", "lut4", "int4_asym"})
    EXPECT_EQ(messageFor(std::string(element) + "_g32_se4m3"),
              "format \"" + std::string(element) +
                  "_g32_se4m3\": e4m3 scales have no sign; expected floating "
                  "point elements or integers of a restricted range");
}

TEST(Format, blocks) {
  Format format = *parseFormat("fp8_e4m3_b128");
  EXPECT_EQ(format.granularity, Granularity::Block);
  EXPECT_EQ(format.groupSize, 128);
  EXPECT_EQ(format.scale, ScaleType::F16);
  EXPECT_EQ(messageFor("fp8_e4m3_b48"),
            "format \"fp8_e4m3_b48\": block size 48 is not supported; expected "
            "a multiple of 32");
  EXPECT_EQ(messageFor("int4_b128"),
            "format \"int4_b128\": blocks of rows and columns are for floating "
            "point elements; expected g<size> with int4");
}
