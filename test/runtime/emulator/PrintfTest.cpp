// printf of device code writes what the host's writes, and takes its arguments
// one behind the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Printf.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <vector>

namespace qopt::emulator {
namespace {

struct Argument {
  unsigned bytes;
  uint64_t bits;
};

/// What is written for arguments of these sizes and bits; address 16 has the
/// text "sixteen".
std::string write(const std::string &format,
                  const std::vector<Argument> &given) {
  size_t at = 0;
  PrintfArguments arguments;
  arguments.next = [&](unsigned bytes, uint64_t &bits) {
    if (at == given.size() || given[at].bytes != bytes)
      return false;
    bits = given[at++].bits;
    return true;
  };
  arguments.text = [](uint64_t address, std::string &text) {
    text = "sixteen";
    return address == 16;
  };
  std::string written;
  int count = 0;
  if (!formatPrintf(format, arguments, written, count))
    return "failed behind \"" + written + "\"";
  EXPECT_EQ(size_t(count), given.size()) << format;
  return written;
}

template <typename... Values>
std::string onHost(const char *format, Values... values) {
  char text[512];
  int length = std::snprintf(text, sizeof text, format, values...);
  return std::string(text, size_t(length));
}

uint64_t bitsOf(double value) { return std::bit_cast<uint64_t>(value); }

TEST(Printf, Integers) {
  for (const char *format :
       {"%d", "%5d|", "%-5i|", "%+d", "% d", "%05d", "%.3d", "%x", "%#X", "%o",
        "%u", "%hd", "%hhu", "%c"})
    for (int value : {0, 65, -7, 123456})
      EXPECT_EQ(write(format, {{4, uint32_t(value)}}), onHost(format, value))
          << format;
  for (const char *format : {"%lld", "%ld", "%llx", "%20lu|", "%zu", "%jd"})
    for (long long value : {0ll, -5ll, 1ll << 60})
      EXPECT_EQ(write(format, {{8, uint64_t(value)}}), onHost(format, value))
          << format;
}

TEST(Printf, FloatingPoint) {
  for (const char *format :
       {"%f", "%.3f", "%10.2f|", "%-10.1e|", "%G", "%g", "%a", "%E", "%+F"})
    for (double value : {0.0, -2.5, 1e300, 0.1})
      EXPECT_EQ(write(format, {{8, bitsOf(value)}}), onHost(format, value))
          << format;
}

TEST(Printf, TextsAndAddresses) {
  EXPECT_EQ(write("a %s b", {{8, 16}}), "a sixteen b");
  EXPECT_EQ(write("%10.3s|", {{8, 16}}), "       six|");
  EXPECT_EQ(write("%p", {{8, 0x1234}}), "0x1234");
}

TEST(Printf, WidthsThatAreArguments) {
  EXPECT_EQ(write("%*d|%.*f", {{4, 6}, {4, 42}, {4, 1}, {8, bitsOf(2.25)}}),
            "    42|2.2");
  EXPECT_EQ(write("%*d|", {{4, uint32_t(-6)}, {4, 42}}), "42    |");
}

TEST(Printf, WhatIsNoConversion) {
  EXPECT_EQ(write("100%% of nothing", {}), "100% of nothing");
  EXPECT_EQ(write("%y and %", {}), "%y and %");
  EXPECT_EQ(write("", {}), "");
  EXPECT_EQ(write("%99999999d", {{4, 1}}).size(), 4096u);
}

TEST(Printf, ArgumentThatIsNotThere) {
  EXPECT_EQ(write("one %d two %d", {{4, 1}}), "failed behind \"one 1 two \"");
  EXPECT_EQ(write("%s", {{8, 17}}), "failed behind \"\"");
}

} // namespace
} // namespace qopt::emulator
