// Changes of JSON that stay JSON: a byte more or less mostly leaves a text that
// no reader looks into. Half of the changes are of values, the others of bytes.
// Linked with harnesses whose input is JSON up to its end or its first NUL.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

/// Of libFuzzer, or of Mutations.cpp.
extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

using Json = nlohmann::ordered_json;

/// Numbers as they are spelt: no type of C++ has all of them.
constexpr const char *numbers[] = {"0",
                                   "1",
                                   "-1",
                                   "-0",
                                   "-0.0",
                                   "0.5",
                                   "1e400",
                                   "-1e400",
                                   "1e-400",
                                   "0.1e400",
                                   "2147483647",
                                   "2147483648",
                                   "4294967296",
                                   "9007199254740993",
                                   "9223372036854775807",
                                   "-9223372036854775808",
                                   "18446744073709551615",
                                   "1e12",
                                   "123456.5",
                                   "3.4028236e38"};
/// Ahead of the place in `numbers` of one that the text shall have; no text
/// that is written has it otherwise, for it is written with an escape.
constexpr std::string_view mark = "\"\\u0001";

void collect(Json &value, std::vector<Json *> &places) {
  places.push_back(&value);
  if (value.is_structured())
    for (Json &inside : value)
      collect(inside, places);
}

class Mutator {
public:
  explicit Mutator(unsigned seed) : generator(seed) {}

  size_t below(size_t end) { return generator() % end; }

  void change(Json &whole) {
    std::vector<Json *> places;
    collect(whole, places);
    Json &value = *places[below(places.size())];
    switch (below(8)) {
    case 0: // a value of another place
      value = Json(*places[below(places.size())]);
      break;
    case 1:
      value = Json(std::string(1, '\1') +
                   std::to_string(below(std::size(numbers))));
      break;
    case 2:
      value = plain();
      break;
    case 3:
    case 4:
      changeInside(value);
      break;
    default:
      changeContent(value);
    }
  }

private:
  Json plain() {
    switch (below(6)) {
    case 0:
      return nullptr;
    case 1:
      return bool(below(2));
    case 2:
      return "";
    case 3:
      return Json::array();
    case 4:
      return Json::object();
    default:
      return Json::array({Json::array()});
    }
  }

  /// A member or an element less, more, or elsewhere.
  void changeInside(Json &value) {
    if (!value.is_structured() || value.empty())
      return;
    auto at = std::next(value.begin(), ptrdiff_t(below(value.size())));
    if (value.is_object()) {
      std::string key = at.key();
      Json content = *at;
      if (below(2))
        value.erase(key);
      value[text(key)] = std::move(content);
      return;
    }
    if (below(3) == 0)
      value.erase(at);
    else
      value.push_back(Json(*at));
  }

  void changeContent(Json &value) {
    if (value.is_string())
      value = text(value.get<std::string>());
    else if (value.is_number_integer())
      value = int64_t(value.get<uint64_t>() + below(9) - 4);
    else if (value.is_number_float())
      value = value.get<double>() * double(int64_t(below(9)) - 4);
    else if (value.is_boolean())
      value = !value.get<bool>();
    else
      changeInside(value);
  }

  std::string text(std::string bytes) {
    size_t size = bytes.size();
    bytes.resize(size + 8);
    bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(bytes.data()),
                                  size, size + 8));
    return bytes;
  }

  std::mt19937_64 generator;
};

/// A bound on how deep values are in each other, for what calls itself here.
bool isDeep(std::string_view text) {
  size_t depth = 0, deepest = 0;
  for (char c : text) {
    if (c == '[' || c == '{')
      deepest = std::max(deepest, ++depth);
    else if ((c == ']' || c == '}') && depth)
      --depth;
  }
  return deepest > 256;
}

/// With numbers where they are marked; bytes that are no UTF-8 are replaced.
std::string written(const Json &json) {
  std::string text =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; ++at) {
    size_t first = at + mark.size(), end = text.find('"', first), number = 0;
    for (size_t i = first; i < end && number < std::size(numbers); ++i)
      number = number * 10 + size_t(text[i] - '0');
    if (end != std::string::npos && end > first && number < std::size(numbers))
      text.replace(at, end + 1 - at, numbers[number]);
  }
  return text;
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t most, unsigned seed) {
  Mutator mutator(seed);
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t end = std::min(input.find('\0'), size);
  std::string_view text = input.substr(0, end);
  Json json(Json::value_t::discarded);
  if (mutator.below(2) && !isDeep(text))
    json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return LLVMFuzzerMutate(data, size, most);
  for (size_t i = 0, n = 1 + mutator.below(3); i < n; ++i)
    mutator.change(json);
  std::string changed = written(json).append(input.substr(end));
  if (changed.empty() || changed.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
