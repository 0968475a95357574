// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Printf.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <string_view>

namespace qopt::emulator {
namespace {

/// Widths and precisions beyond it are this one.
constexpr int mostWidth = 4096;

/// One conversion, "%-8.3lld", with the `*` of it replaced by numbers.
struct Conversion {
  std::string before; ///< '%', flags, width and precision
  std::string size;   ///< "", "h", "ll", …
  char kind = 0;      ///< 0: the format ends within it
  bool isLong() const {
    return size.find_first_of("lzjt") != std::string::npos;
  }
};

class Formatter {
public:
  Formatter(const std::string &format, const PrintfArguments &arguments,
            std::string &written, int &count)
      : format(format), arguments(arguments), written(written), count(count) {}

  bool run() {
    while (at < format.size()) {
      size_t percent = std::min(format.find('%', at), format.size());
      written.append(format, at, percent - at);
      at = percent;
      if (at < format.size() && !convert())
        return false;
    }
    return true;
  }

private:
  bool next(unsigned bytes, uint64_t &bits) {
    ++count;
    return arguments.next(bytes, bits);
  }

  std::string_view takeAll(std::string_view characters) {
    size_t end =
        std::min(format.find_first_not_of(characters, at), format.size());
    std::string_view taken = std::string_view(format).substr(at, end - at);
    at = end;
    return taken;
  }

  /// Digits, or a `*` that stands for an argument.
  bool takeNumber(std::string &into) {
    if (at < format.size() && format[at] == '*') {
      ++at;
      uint64_t bits;
      if (!next(4, bits))
        return false;
      into += std::to_string(std::clamp(int32_t(bits), -mostWidth, mostWidth));
      return true;
    }
    std::string_view digits = takeAll("0123456789");
    if (!digits.empty())
      into += digits.size() > 4
                  ? std::to_string(mostWidth)
                  : std::to_string(
                        std::min(std::stoi(std::string(digits)), mostWidth));
    return true;
  }

  template <typename Value>
  void put(const Conversion &conversion, const char *size, Value value) {
    std::string spec = conversion.before + size + conversion.kind;
    int length = std::snprintf(nullptr, 0, spec.c_str(), value);
    if (length <= 0)
      return;
    size_t first = written.size();
    written.resize(first + size_t(length) + 1);
    std::snprintf(&written[first], size_t(length) + 1, spec.c_str(), value);
    written.pop_back();
  }

  bool convert() {
    size_t first = at++;
    Conversion conversion;
    conversion.before = "%";
    conversion.before += takeAll("-+ #0");
    if (!takeNumber(conversion.before))
      return false;
    if (at < format.size() && format[at] == '.') {
      conversion.before += format[at++];
      if (!takeNumber(conversion.before))
        return false;
    }
    conversion.size = takeAll("hlzjt");
    if (at < format.size())
      conversion.kind = format[at++];
    if (conversion.kind == '%') {
      written += '%';
      return true;
    }
    if (conversion.kind &&
        std::string_view("diouxXcsp").find(conversion.kind) !=
            std::string_view::npos)
      return putWhole(conversion);
    if (conversion.kind && std::string_view("aAeEfFgG").find(conversion.kind) !=
                               std::string_view::npos) {
      uint64_t bits;
      if (!next(8, bits))
        return false;
      put(conversion, "", std::bit_cast<double>(bits));
      return true;
    }
    written.append(format, first, at - first);
    return true;
  }

  /// Integers, characters, pointers and texts.
  bool putWhole(const Conversion &conversion) {
    bool isAddress = conversion.kind == 's' || conversion.kind == 'p';
    bool wide = isAddress || conversion.isLong();
    uint64_t bits;
    if (!next(wide ? 8 : 4, bits))
      return false;
    if (conversion.kind == 's') {
      std::string text;
      if (!arguments.text(bits, text))
        return false;
      put(conversion, "", text.c_str());
    } else if (conversion.kind == 'p') {
      put(conversion, "", reinterpret_cast<void *>(bits));
    } else if (conversion.kind == 'c') {
      put(conversion, "", int(bits));
    } else if (wide) {
      put(conversion, "ll", static_cast<long long>(bits));
    } else {
      put(conversion, conversion.size.c_str(), int(bits));
    }
    return true;
  }

  const std::string &format;
  const PrintfArguments &arguments;
  std::string &written;
  int &count;
  size_t at = 0;
};

} // namespace

bool formatPrintf(const std::string &format, const PrintfArguments &arguments,
                  std::string &written, int &count) {
  count = 0;
  return Formatter(format, arguments, written, count).run();
}

} // namespace qopt::emulator
