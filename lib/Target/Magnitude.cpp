// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Magnitude.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace qopt;

std::string target::spellNumber(double value) {
  if (value == 0)
    return "0";
  // Rounding first: 9.996 is 10.0, not 10.00.
  char rounded[32], text[64];
  std::snprintf(rounded, sizeof rounded, "%.2e", value);
  double size = std::floor(std::log10(std::abs(std::strtod(rounded, nullptr))));
  std::snprintf(text, sizeof text, "%.*f", std::max(0, 2 - int(size)), value);
  return text;
}

std::string target::spellQuantity(double value, std::string_view unit) {
  static constexpr std::string_view prefixes[] = {"", "k", "M", "G", "T", "P"};
  size_t prefix = 0;
  for (; std::abs(value) >= 999.5 && prefix + 1 < std::size(prefixes); ++prefix)
    value /= 1000;
  // Whole ones, such as bytes, have no parts.
  std::string number =
      prefix ? spellNumber(value) : std::to_string(std::llround(value));
  return number + " " + std::string(prefixes[prefix]) + std::string(unit);
}

std::string target::spellTime(double seconds) {
  bool milli = seconds >= 0.9995e-3;
  return spellNumber(seconds * (milli ? 1e3 : 1e6)) + (milli ? " ms" : " us");
}
