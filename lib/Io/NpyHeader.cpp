// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/NpyHeader.h"

#include "runtime/ElementTypes.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

namespace qopt::io {
namespace {

constexpr char magic[] = "\x93NUMPY";
constexpr size_t magicSize = 6;
constexpr size_t mostAxes = 32;
constexpr size_t longestHeader = 1 << 16;

/// Reads the dictionary from front to back.
class DictionaryReader {
public:
  explicit DictionaryReader(std::string_view text) : text(text) {}

  bool skip(char expected) {
    blanks();
    if (text.empty() || text.front() != expected)
      return false;
    text.remove_prefix(1);
    return true;
  }
  std::optional<std::string_view> quoted() {
    blanks();
    if (text.empty() || (text.front() != '\'' && text.front() != '"'))
      return std::nullopt;
    size_t end = text.find(text.front(), 1);
    if (end == std::string_view::npos)
      return std::nullopt;
    std::string_view content = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return content;
  }
  std::optional<bool> boolean() {
    blanks();
    for (bool value : {true, false}) {
      std::string_view word = value ? "True" : "False";
      if (text.starts_with(word)) {
        text.remove_prefix(word.size());
        return value;
      }
    }
    return std::nullopt;
  }
  std::optional<std::vector<int64_t>> tuple() {
    std::vector<int64_t> numbers;
    if (!skip('('))
      return std::nullopt;
    while (!skip(')')) {
      int64_t number = 0;
      blanks();
      auto [end, failed] =
          std::from_chars(text.data(), text.data() + text.size(), number);
      if (failed != std::errc() || number < 0 || numbers.size() == mostAxes)
        return std::nullopt;
      text.remove_prefix(size_t(end - text.data()));
      numbers.push_back(number);
      if (!skip(',') && (text.empty() || text.front() != ')'))
        return std::nullopt;
    }
    return numbers;
  }
  bool atEnd() {
    blanks();
    return text.empty();
  }

private:
  void blanks() {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n'))
      text.remove_prefix(1);
  }
  std::string_view text;
};

} // namespace

static Status damaged(const std::string &name, const std::string &what) {
  return {StatusCode::BadModel, "'" + name + "' is no .npy array: " + what};
}

static StatusOr<DType> parseType(std::string_view text,
                                 const std::string &name) {
  std::string spelt(text);
  if (text.size() == 3 &&
      (text[0] == '<' || text[0] == '|' || text[0] == '=')) {
    for (const runtime::ElementTypeInfo &info : runtime::elementTypes)
      if (text.substr(1) == info.numpy)
        return info.type;
    if (text.substr(1) == "V1") // ml_dtypes' types of 8 and fewer bits
      return DType::U8;
  }
  return Status(StatusCode::Unsupported,
                "'" + name + "' has elements of type \"" + spelt +
                    "\"; expected little-endian numbers or booleans");
}

/// Fills all but the place of the data.
static Status parseDictionary(std::string_view text, const std::string &name,
                              NpyHeader &header) {
  DictionaryReader reader(text);
  std::optional<std::string_view> type;
  std::optional<bool> order;
  std::optional<std::vector<int64_t>> shape;
  bool valid = reader.skip('{');
  while (valid && !reader.skip('}')) {
    std::optional<std::string_view> key = reader.quoted();
    valid = key && reader.skip(':');
    if (!valid)
      break;
    if (*key == "descr")
      valid = (type = reader.quoted()).has_value();
    else if (*key == "fortran_order")
      valid = (order = reader.boolean()).has_value();
    else if (*key == "shape")
      valid = (shape = reader.tuple()).has_value();
    else
      valid = false;
    if (valid && !reader.skip(',')) {
      valid = reader.skip('}');
      break;
    }
  }
  if (!valid || !type || !order || !shape || !reader.atEnd())
    return damaged(name, "its header is not a dictionary of descr, "
                         "fortran_order and shape");
  StatusOr<DType> parsed = parseType(*type, name);
  if (!parsed.ok())
    return parsed.status();
  header.type = *parsed;
  header.columnMajor = *order;
  header.shape = std::move(*shape);
  return {};
}

StatusOr<NpyHeader> parseNpyHeader(std::span<const uint8_t> file,
                                   const std::string &name) {
  if (file.size() < magicSize + 4 ||
      std::memcmp(file.data(), magic, magicSize) != 0)
    return damaged(name, "it does not begin with \\x93NUMPY");
  size_t lengthBytes = file[magicSize] == 1 ? 2 : 4;
  if (file[magicSize] < 1 || file[magicSize] > 3)
    return damaged(name, "version " + std::to_string(file[magicSize]) +
                             " of the format is not known");
  size_t at = magicSize + 2, length = 0;
  if (file.size() < at + lengthBytes)
    return damaged(name, "it ends within the header");
  for (size_t i = 0; i < lengthBytes; ++i)
    length |= size_t(file[at + i]) << (8 * i);
  at += lengthBytes;
  if (length > longestHeader || file.size() - at < length)
    return damaged(name, "it ends within the header");
  NpyHeader header;
  QOPT_RETURN_IF_ERROR(parseDictionary(
      {reinterpret_cast<const char *>(file.data()) + at, length}, name,
      header));
  header.dataOffset = at + length;
  header.dataBytes = sizeOf(header.type);
  for (int64_t size : header.shape)
    if (__builtin_mul_overflow(header.dataBytes, size_t(size),
                               &header.dataBytes) ||
        header.dataBytes > size_t(INT64_MAX))
      return damaged(name, "its shape " + spell(header.shape) + " is too big");
  return header;
}

std::string spellNpyHeader(DType type, const std::vector<int64_t> &shape) {
  std::string text = "{'descr': '";
  text += sizeOf(type) == 1 ? '|' : '<';
  if (const auto *info = runtime::findElementType(type))
    text += info->numpy;
  text += "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i)
    text += std::to_string(shape[i]) +
            (i + 1 < shape.size() ? ", " : (i == 0 ? "," : ""));
  text += "), }";
  while ((magicSize + 4 + text.size() + 1) % 64 != 0)
    text += ' ';
  text += '\n';
  std::string header(magic, magicSize);
  header += {1, 0, char(text.size() & 0xff), char(text.size() >> 8)};
  return header + text;
}

} // namespace qopt::io
