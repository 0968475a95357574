// Changes of protobuf messages that stay messages: a byte more or less in a
// field would leave the lengths of all around it wrong, and the input be
// refused by its first check. Half of the changes are of fields, the others of
// bytes. Linked with harnesses whose input is such a message.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// Of libFuzzer, or of Mutations.cpp.
extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

enum class Wire : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  uint64_t number = 0;
  Wire wire = Wire::Varint;
  uint64_t value = 0;        ///< of a varint
  std::string bytes;         ///< of all others that are no message
  std::vector<Field> inside; ///< of a message
};
using Message = std::vector<Field>;

void writeVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(char(value | 0x80));
  out.push_back(char(value));
}

std::string written(const Message &message) {
  std::string out;
  for (const Field &field : message) {
    writeVarint(out, field.number << 3 | uint64_t(field.wire));
    if (field.wire == Wire::Varint) {
      writeVarint(out, field.value);
      continue;
    }
    std::string content =
        field.inside.empty() ? field.bytes : written(field.inside);
    if (field.wire == Wire::Bytes)
      writeVarint(out, content.size());
    out += content;
  }
  return out;
}

bool readVarint(std::string_view &in, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    uint8_t byte = uint8_t(in.front());
    in.remove_prefix(1);
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

/// False where `in` is no message, or would be written in another way: nothing
/// says which bytes are text, and few texts pass for a message.
bool read(std::string_view in, unsigned depth, Message &message) {
  std::string_view whole = in;
  while (!in.empty()) {
    Field field;
    uint64_t tag, size;
    if (!readVarint(in, tag) || tag >> 3 == 0)
      return false;
    field.number = tag >> 3;
    field.wire = Wire(tag & 7);
    switch (field.wire) {
    case Wire::Varint:
      if (!readVarint(in, field.value))
        return false;
      message.push_back(std::move(field));
      continue;
    case Wire::Fixed64:
      size = 8;
      break;
    case Wire::Fixed32:
      size = 4;
      break;
    case Wire::Bytes:
      if (!readVarint(in, size))
        return false;
      break;
    default:
      return false;
    }
    if (size > in.size())
      return false;
    field.bytes = in.substr(0, size);
    in.remove_prefix(size);
    if (field.wire == Wire::Bytes && depth < 64 &&
        !read(field.bytes, depth + 1, field.inside))
      field.inside.clear();
    message.push_back(std::move(field));
  }
  return written(message) == whole;
}

/// A field, by the message that it is in.
struct Place {
  Message *message;
  size_t index;
  Field &field() const { return (*message)[index]; }
};

void collect(Message &message, std::vector<Place> &places) {
  for (size_t i = 0; i < message.size(); ++i) {
    places.push_back({&message, i});
    collect(message[i].inside, places);
  }
}

class Mutator {
public:
  explicit Mutator(unsigned seed) : generator(seed) {}

  void change(Message &message) {
    std::vector<Place> places;
    collect(message, places);
    if (places.empty())
      return;
    const Place &place = places[below(places.size())];
    auto begin = place.message->begin() + ptrdiff_t(place.index);
    switch (below(6)) {
    case 0:
      place.message->erase(begin);
      break;
    case 1: {
      Field copy = *begin;
      place.message->insert(begin, std::move(copy));
      break;
    }
    case 2: // another field that may stand here
      for (size_t tries = 0; tries < 64; ++tries) {
        Field other = places[below(places.size())].field();
        if (other.number != begin->number || other.wire != begin->wire)
          continue;
        *begin = std::move(other);
        break;
      }
      break;
    default:
      changeContent(*begin);
    }
  }

  size_t below(size_t end) { return generator() % end; }

private:
  void changeContent(Field &field) {
    static constexpr uint64_t edges[] = {0,
                                         1,
                                         2,
                                         ~uint64_t(0),
                                         ~uint64_t(1),
                                         INT64_MAX,
                                         uint64_t(1) << 63,
                                         INT32_MAX,
                                         uint64_t(1) << 31,
                                         uint64_t(1) << 32,
                                         uint64_t(1) << 62,
                                         255,
                                         1024};
    if (field.wire == Wire::Varint) {
      field.value =
          below(2) ? edges[below(std::size(edges))] : uint64_t(below(32));
      return;
    }
    std::string content =
        field.inside.empty() ? field.bytes : written(field.inside);
    size_t size = content.size(), most = size;
    if (field.wire == Wire::Bytes)
      most += 16;
    content.resize(most);
    size_t made = LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(content.data()),
                                   size, most);
    content.resize(field.wire == Wire::Bytes ? made : size);
    field.inside.clear();
    field.bytes = std::move(content);
  }

  std::mt19937_64 generator;
};

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t most, unsigned seed) {
  Mutator mutator(seed);
  Message message;
  if (mutator.below(2) == 0 ||
      !read({reinterpret_cast<const char *>(data), size}, 0, message))
    return LLVMFuzzerMutate(data, size, most);
  for (size_t i = 0, n = 1 + mutator.below(3); i < n; ++i)
    mutator.change(message);
  std::string changed = written(message);
  if (changed.empty() || changed.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
