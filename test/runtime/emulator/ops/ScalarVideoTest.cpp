// Scalar video instructions against the PTX ISA's description, written here in
// floating point of 64 bits: every intermediate result is exact in it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WarpKernel.h"

#include <cmath>

namespace qopt::emulator {
namespace {

using Number = long double;
static_assert(std::numeric_limits<Number>::digits >= 64);

/// Words at and beside the ends of ranges, in each lane another triple.
std::vector<uint32_t> edges(uint32_t seed) {
  constexpr uint32_t values[] = {0,          1,          7,          31,
                                 33,         0x80,       0x8081,     0x7fff,
                                 0xffff,     0x8000ffff, 0x7fffffff, 0x80000000,
                                 0xfffffff0, 0xffffffff};
  Numbers numbers(seed);
  std::vector<uint32_t> words = numbers.words(3 * 32);
  for (uint32_t &word : words)
    if (numbers.next() % 4)
      word = values[numbers.next() % std::size(values)];
  return words;
}

Number partOf(uint32_t word, const std::string &selector, bool isSigned) {
  unsigned width = 32, first = 0;
  if (!selector.empty()) {
    width = selector[1] == 'b' ? 8 : 16;
    first = width * unsigned(selector[2] - '0');
  }
  const Number whole = std::ldexp(1.0L, int(width));
  const Number value =
      std::fmod(std::floor(std::ldexp(word, -int(first))), whole);
  return isSigned && value >= whole / 2 ? value - whole : value;
}

/// The lowest 32 bits.
uint32_t wordOf(Number value) {
  const Number whole = 0x1p32L;
  return uint32_t(value - std::floor(value / whole) * whole);
}

Number clampTo(Number value, bool isSigned, int width) {
  const Number whole = std::ldexp(1.0L, width);
  return isSigned ? std::clamp(value, -whole / 2, whole / 2 - 1)
                  : std::clamp(value, 0.0L, whole - 1);
}

struct Form {
  std::string operation, modifiers; ///< "vadd", ".sat.min"
  std::string d, a, b;              ///< selectors, ".h1"
  bool signedD = false, signedA = false, signedB = false;
  bool has(const char *name) const {
    return modifiers.find(name) != std::string::npos;
  }
  bool isSet() const { return operation == "vset"; }
  std::string text(unsigned number) const {
    auto type = [](bool isSigned) { return isSigned ? ".s32" : ".u32"; };
    const bool third = has(".add") || has(".min") || has(".max") || !d.empty();
    return operation + (isSet() ? "" : type(signedD)) + type(signedA) +
           type(signedB) + modifiers + " %r" + std::to_string(number) + d +
           ", %r0" + a + ", %r1" + b + (third ? ", %r2;" : ";");
  }
};

Number operate(const Form &form, Number a, Number b) {
  if (form.operation == "vadd")
    return a + b;
  if (form.operation == "vsub")
    return a - b;
  if (form.operation == "vabsdiff")
    return std::fabs(a - b);
  if (form.operation == "vmin")
    return std::fmin(a, b);
  if (form.operation == "vmax")
    return std::fmax(a, b);
  if (form.isSet())
    return form.has(".lt")   ? a < b
           : form.has(".le") ? a <= b
           : form.has(".gt") ? a > b
           : form.has(".ge") ? a >= b
           : form.has(".eq") ? a == b
                             : a != b;
  const int amount =
      int(form.has(".wrap") ? std::fmod(b, 32.0L) : std::fmin(b, 32.0L));
  return form.operation == "vshl" ? std::ldexp(a, amount)
                                  : std::floor(std::ldexp(a, -amount));
}

uint32_t expected(const Form &form, uint32_t a, uint32_t b, uint32_t c) {
  Number result = operate(form, partOf(a, form.a, form.signedA),
                          partOf(b, form.b, form.signedB));
  const bool isSigned = !form.isSet() && form.signedD;
  const int width = form.d.empty() ? 32 : form.d[1] == 'b' ? 8 : 16;
  if (form.has(".sat"))
    result = clampTo(result, isSigned, width);
  const Number other = partOf(c, "", isSigned);
  if (form.has(".add"))
    result += other;
  if (form.has(".min"))
    result = std::fmin(result, other);
  if (form.has(".max"))
    result = std::fmax(result, other);
  if (form.d.empty())
    return wordOf(result);
  const uint32_t ones = width == 8 ? 0xff : 0xffff;
  const int first = width * (form.d[2] - '0');
  return (c & ~(ones << first)) | (wordOf(result) & ones) << first;
}

/// All of them in one kernel.
void check(const std::vector<Form> &forms, uint32_t seed) {
  const std::vector<uint32_t> words = edges(seed);
  std::string text;
  for (size_t i = 0; i < forms.size(); ++i)
    text += forms[i].text(64 + unsigned(i)) + "\n";
  const std::vector<uint32_t> got =
      runWarp(text, words, unsigned(forms.size()));
  for (size_t i = 0; i < forms.size(); ++i)
    for (unsigned lane = 0; lane < 32; ++lane) {
      const uint32_t a = words[lane], b = words[32 + lane],
                     c = words[64 + lane];
      ASSERT_EQ(got[i * 32 + lane], expected(forms[i], a, b, c))
          << forms[i].text(64) << std::hex << " a " << a << " b " << b << " c "
          << c;
    }
}

/// With every kind of second operation and part of the result.
std::vector<Form> withEnds(Form form, const std::string &modifiers) {
  std::vector<Form> forms;
  for (const char *second : {"", ".add", ".min", ".max"}) {
    form.modifiers = modifiers + second;
    forms.push_back(form);
  }
  form.modifiers = modifiers;
  for (const char *part : {".h1", ".b2"}) {
    form.d = part;
    forms.push_back(form);
  }
  return forms;
}

TEST(ScalarVideo, Arithmetic) {
  uint32_t seed = 0;
  for (const char *operation : {"vadd", "vsub", "vabsdiff", "vmin", "vmax"})
    for (unsigned types = 0; types < 8; ++types) {
      std::vector<Form> forms;
      for (const char *saturates : {"", ".sat"})
        for (auto [a, b] : {std::pair{"", ""}, std::pair{".b3", ".h1"},
                            std::pair{".h0", ".b0"}}) {
          std::vector<Form> more =
              withEnds({operation, "", "", a, b, bool(types & 1),
                        bool(types & 2), bool(types & 4)},
                       saturates);
          forms.insert(forms.end(), more.begin(), more.end());
        }
      check(forms, ++seed);
    }
}

TEST(ScalarVideo, Shifts) {
  uint32_t seed = 100;
  for (const char *operation : {"vshl", "vshr"})
    for (unsigned types = 0; types < 4; ++types) {
      std::vector<Form> forms;
      for (const char *mode : {".clamp", ".wrap", ".sat.clamp", ".sat.wrap"}) {
        std::vector<Form> more =
            withEnds({operation, "", "", "", *mode == '.' ? ".b1" : "",
                      bool(types & 1), bool(types & 2)},
                     mode);
        forms.insert(forms.end(), more.begin(), more.end());
      }
      check(forms, ++seed);
    }
}

TEST(ScalarVideo, Comparisons) {
  uint32_t seed = 200;
  for (unsigned types = 0; types < 4; ++types) {
    std::vector<Form> forms;
    for (const char *comparison : {".eq", ".ne", ".lt", ".le", ".gt", ".ge"}) {
      std::vector<Form> more = withEnds(
          {"vset", "", "", ".h0", "", false, bool(types & 1), bool(types & 2)},
          comparison);
      forms.insert(forms.end(), more.begin(), more.end());
    }
    check(forms, ++seed);
  }
}

TEST(ScalarVideo, MultiplyAdd) {
  for (unsigned types = 0; types < 4; ++types) {
    const bool signedA = types & 1, signedB = types & 2;
    const std::vector<uint32_t> words = edges(300 + types);
    std::string text;
    struct Mad {
      const char *plusOne, *saturates, *scale, *a, *c;
      int shift;
    };
    std::vector<Mad> forms;
    for (const char *saturates : {"", ".sat"})
      for (auto [scale, shift] :
           {std::pair{"", 0}, std::pair{".shr7", 7}, std::pair{".shr15", 15}})
        for (Mad one : {Mad{"", "", "", "%r0", "%r2", 0},
                        Mad{"", "", "", "-%r0", "%r2", 0},
                        Mad{"", "", "", "%r0", "-%r2", 0},
                        Mad{".po", "", "", "%r0", "%r2", 0}}) {
          one.saturates = saturates;
          one.scale = scale;
          one.shift = shift;
          text += std::string("vmad.s32") + (signedA ? ".s32" : ".u32") +
                  (signedB ? ".s32" : ".u32") + one.plusOne + saturates +
                  scale + " %r" + std::to_string(64 + forms.size()) + ", " +
                  one.a + ".h1, %r1, " + one.c + ";\n";
          forms.push_back(one);
        }
    const std::vector<uint32_t> got =
        runWarp(text, words, unsigned(forms.size()));
    for (size_t i = 0; i < forms.size(); ++i)
      for (unsigned lane = 0; lane < 32; ++lane) {
        const bool minusA = *forms[i].a == '-', minusC = *forms[i].c == '-';
        const bool isSigned = signedA || signedB || minusA;
        const Number product = partOf(words[lane], ".h1", signedA) *
                               partOf(words[32 + lane], "", signedB);
        const Number c = partOf(words[64 + lane], "", isSigned);
        Number sum = (minusA ? -product : product) + (minusC ? -c : c);
        sum += *forms[i].plusOne ? 1 : 0;
        sum = std::floor(std::ldexp(sum, -forms[i].shift));
        if (*forms[i].saturates)
          sum = clampTo(sum, isSigned || minusC, 32);
        ASSERT_EQ(got[i * 32 + lane], wordOf(sum)) << text << i << " " << lane;
      }
  }
}

TEST(ScalarVideo, WhatDoesNotFitIsNamed) {
  for (auto [text, message] :
       {std::pair{"vadd.u32.u32.u32.add %r1.h0, %r2, %r3, %r4;",
                  "a second operation and a part of the result do not go "
                  "together"},
        std::pair{"vadd.u32.u32.u32 %r1, -%r2, %r3;",
                  "no operand may be negated"},
        std::pair{"vmin.u32.u32.u32 %r1, %r2.h2, %r3;",
                  "the selector '.h2' names no byte or half of a register"},
        std::pair{"vshl.u32.u32.u32 %r1, %r2, %r3;",
                  "expected '.clamp' or '.wrap'"},
        std::pair{"vmad.s32.u32.u32 %r1, -%r2, %r3, -%r4;",
                  "expected at most one of a negated product, a negated last "
                  "operand and '.po'"}}) {
    KernelRun run(std::string(".reg .b32 %r<5>;\n") + text, 0);
    EXPECT_NE(run.launch({1}, {1}).message().find(message), std::string::npos)
        << run.launch({1}, {1}).message();
  }
}

} // namespace
} // namespace qopt::emulator
