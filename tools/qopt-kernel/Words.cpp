// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-kernel/Words.h"

#include "lib/Quant/Element.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>

namespace qopt::kernel_tool {

StatusOr<Words> Words::parse(const std::vector<std::string> &words) {
  Words result;
  for (llvm::StringRef word : words) {
    auto [key, value] = word.split('=');
    if (key.empty() || !word.contains('='))
      return Status(StatusCode::InvalidArgument,
                    "expected key=value, got \"" + word.str() + "\"");
    if (!result.given.emplace(key.str(), value.str()).second)
      return Status(StatusCode::InvalidArgument,
                    "\"" + key.str() + "\" is given twice");
  }
  return result;
}

const std::string *Words::find(llvm::StringRef key, std::string other) {
  auto found = given.find(key.str());
  asked.emplace_back(key.str(), std::move(other));
  return found == given.end() ? nullptr : &found->second;
}

void Words::wrong(llvm::StringRef key, llvm::StringRef expected,
                  llvm::StringRef got) {
  refuse(key, "expected " + expected.str() + ", got \"" + got.str() + "\"");
}

void Words::refuse(llvm::StringRef key, llvm::StringRef why) {
  if (error.ok())
    error = Status(StatusCode::InvalidArgument, key.str() + ": " + why.str());
}

int64_t Words::number(llvm::StringRef key, int64_t other) {
  if (const std::string *text = find(key, "")) {
    if (llvm::StringRef(*text).getAsInteger(10, other) || other < 0)
      wrong(key, "a number", *text);
  }
  asked.back().second = other;
  return other;
}

std::vector<int64_t> Words::numbers(llvm::StringRef key,
                                    const std::vector<int64_t> &other) {
  std::string all =
      text(key, llvm::join(llvm::map_range(other,
                                           [](int64_t number) {
                                             return std::to_string(number);
                                           }),
                           ":"));
  std::vector<int64_t> result;
  for (llvm::StringRef one : llvm::split(all, ':')) {
    int64_t &number = result.emplace_back(0);
    if (one.getAsInteger(10, number) || number < 0)
      wrong(key, "a number", one);
  }
  if (result.size() == 1)
    asked.back().second = result.front();
  return result;
}

std::vector<int64_t> Words::counts(llvm::StringRef key, int64_t other) {
  std::vector<int64_t> result = numbers(key, {other});
  for (int64_t &number : result) {
    if (number < 1)
      wrong(key, "1 or more", std::to_string(number));
    number = std::max<int64_t>(number, 1);
  }
  return result;
}

int64_t Words::count(llvm::StringRef key, int64_t other) {
  int64_t result = number(key, other);
  if (result < 1)
    wrong(key, "1 or more", std::to_string(result));
  return std::max<int64_t>(result, 1);
}

double Words::real(llvm::StringRef key, double other) {
  if (const std::string *text = find(key, "")) {
    // JSON has no other numbers, and kernels have floats.
    if (llvm::StringRef(*text).getAsDouble(other) ||
        !std::isfinite(float(other))) {
      wrong(key, "a number", *text);
      other = 0;
    }
  }
  asked.back().second = other;
  return other;
}

bool Words::flag(llvm::StringRef key, bool other) {
  if (const std::string *text = find(key, "")) {
    if (*text != "0" && *text != "1")
      wrong(key, "0 or 1", *text);
    other = *text == "1";
  }
  asked.back().second = int64_t(other);
  return other;
}

std::string Words::text(llvm::StringRef key, llvm::StringRef other) {
  const std::string *found = find(key, other.str());
  if (found)
    asked.back().second = *found;
  return found ? *found : other.str();
}

quant::Format Words::format(llvm::StringRef key, llvm::StringRef other) {
  return parsed(key, text(key, other));
}

std::vector<quant::Format> Words::formats(llvm::StringRef key,
                                          llvm::StringRef other) {
  std::string all = text(key, other);
  std::vector<quant::Format> result;
  for (llvm::StringRef name : llvm::split(all, ':'))
    result.push_back(parsed(key, name));
  return result;
}

quant::Format Words::parsed(llvm::StringRef key, llvm::StringRef name) {
  auto format = quant::parseFormat(name.str());
  if (format)
    return *format;
  wrong(key, "a format", name);
  return {};
}

quant::ElementType Words::element(llvm::StringRef key, llvm::StringRef other) {
  std::string name = text(key, other);
  const quant::Element *element = quant::findElement(name);
  if (element && element->isFloat)
    return element->type;
  wrong(key, "f16, bf16 or f32", name);
  return quant::ElementType::F16;
}

size_t Words::place(llvm::StringRef key,
                    llvm::ArrayRef<llvm::StringRef> names) {
  std::string name = text(key, names.front());
  const auto *found = llvm::find(names, name);
  if (found != names.end())
    return size_t(found - names.begin());
  wrong(key, "one of " + llvm::join(names, ", "), name);
  return 0;
}

Status Words::finish() const {
  for (const auto &[key, value] : given) {
    bool found = false;
    for (const auto &entry : asked)
      found |= entry.first == key;
    if (!found)
      return Status(StatusCode::InvalidArgument,
                    "\"" + key + "\" is not known; expected some of " +
                        known());
  }
  return error;
}

llvm::json::Object Words::values() const {
  llvm::json::Object object;
  for (const auto &[key, value] : asked)
    object[key] = value;
  return object;
}

std::string Words::known() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const auto &[key, value] : asked) {
    stream << (text.empty() ? "" : " ") << key << "=";
    if (auto word = value.getAsString())
      stream << *word;
    else
      stream << value;
  }
  return text;
}

} // namespace qopt::kernel_tool
