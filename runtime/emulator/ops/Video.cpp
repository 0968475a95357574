// SIMD video instructions: two halves or four bytes of a register at a time,
// chosen from the pair {b, a} of operands (PTX ISA, SIMD video instructions).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/VideoOperations.h"

#include <bit>

namespace qopt::emulator {
namespace {

/// What an instruction does, kept in Inst::offset.
struct Video {
  VideoOperation operation = VideoOperation::Add;
  bool signedResult = false, signedA = false, signedB = false;
  bool saturates = false;
  bool accumulates = false; ///< .add
  uint8_t parts = 2;        ///< 2 halves or 4 bytes
  uint8_t mask = 0;         ///< the parts of d that get results
};
static_assert(sizeof(Video) == sizeof(int64_t));

/// Of the parts in {b, a}, lowest first, kept in Inst::offset2.
struct Places {
  uint8_t a[4] = {}, b[4] = {};
};
static_assert(sizeof(Places) == sizeof(int64_t));

uint32_t computeLane(const Video &video, const Places &places, uint32_t a,
                     uint32_t b, uint32_t c) {
  const int width = 32 / video.parts;
  const uint32_t ones = (1u << width) - 1;
  const uint64_t both = uint64_t(b) << 32 | a;
  auto part = [&](unsigned place, bool isSigned) {
    const auto bits = uint32_t(both >> unsigned(width) * place) & ones;
    return isSigned ? int32_t(bits << (32 - width)) >> (32 - width)
                    : int32_t(bits);
  };
  const int32_t least = video.signedResult ? -(1 << (width - 1)) : 0;
  const int32_t most = int32_t(ones >> int(video.signedResult));
  uint32_t result = video.accumulates ? c : 0;
  for (unsigned i = 0; i < video.parts; ++i) {
    int32_t value =
        computeVideo(video.operation, part(places.a[i], video.signedA),
                     part(places.b[i], video.signedB));
    if (video.saturates)
      value = std::clamp(value, least, most);
    const bool given = video.mask >> i & 1;
    const unsigned shift = unsigned(width) * i;
    if (video.accumulates)
      result += given ? uint32_t(value) : 0u;
    else
      result |= given ? (uint32_t(value) & ones) << shift : c & ones << shift;
  }
  return result;
}

Step runVideo(Warp &warp, const Inst &inst, uint32_t mask) {
  const auto video = std::bit_cast<Video>(inst.offset);
  const auto places = std::bit_cast<Places>(inst.offset2);
  eachVideoLane(warp, inst, mask, [&](uint32_t a, uint32_t b, uint32_t c) {
    return computeLane(video, places, a, b, c);
  });
  return Step::Next;
}

/// "h32", "b7654": a digit for each part, the highest first, below `end`.
bool readPlaces(Decoder &decoder, const std::string &selector, unsigned parts,
                uint8_t *places) {
  bool good =
      selector.size() == parts + 1 && selector[0] == (parts == 2 ? 'h' : 'b');
  for (unsigned i = 0; i < parts && good; ++i) {
    const int digit = selector[parts - i] - '0';
    good = digit >= 0 && digit < int(2 * parts);
    places[i] = uint8_t(digit);
  }
  return good || decoder.fail("the selector '." + selector + "' names no " +
                              (parts == 2 ? "two halves" : "four bytes") +
                              " of two registers");
}

/// "h0", "b321": the parts of d that get results.
bool readMask(Decoder &decoder, const std::string &selector, unsigned parts,
              uint8_t &mask) {
  bool good = selector.size() > 1 && selector[0] == (parts == 2 ? 'h' : 'b');
  for (size_t i = 1; i < selector.size() && good; ++i) {
    const int digit = selector[i] - '0';
    good = digit >= 0 && digit < int(parts);
    mask |= uint8_t(good ? 1u << digit : 0u);
  }
  return good || decoder.fail("the mask '." + selector +
                              "' names no part of "
                              "the result");
}

/// v….dtype.atype.btype{.sat}{.add} d{.mask}, a{.places}, b{.places}, c;
/// vset has no type of d.
bool decodeVideo(Decoder &decoder) {
  Video video;
  Places places;
  const std::string &opcode = decoder.instruction().opcode;
  video.parts = opcode.back() == '2' ? 2 : 4;
  if (!findVideoOperation(decoder, opcode.substr(0, opcode.size() - 1),
                          video.operation))
    return decoder.unknown();
  const unsigned first = opcode.starts_with("vset") ? 0 : 1;
  const ptx::Type types[] = {decoder.type(0), decoder.type(first),
                             decoder.type(first + 1)};
  for (ptx::Type type : types)
    if (type != ptx::Type::S32 && type != ptx::Type::U32)
      return decoder.unknown();
  video.signedResult = isSigned(types[0]);
  video.signedA = isSigned(types[1]);
  video.signedB = isSigned(types[2]);
  video.saturates = decoder.has("sat");
  video.accumulates = decoder.has("add");
  if (!decoder.expectOperands(4, 4))
    return false;
  const bool halves = video.parts == 2;
  const char *const defaults[] = {halves ? "h10" : "b3210",
                                  halves ? "h10" : "b3210",
                                  halves ? "h32" : "b7654"};
  std::string selectors[3];
  ptx::Operand plain[4];
  for (unsigned i = 0; i < 4; ++i) {
    plain[i] = decoder.operand(i);
    std::string selector = std::exchange(plain[i].selector, "");
    if (i < 3)
      selectors[i] = selector.empty() ? defaults[i] : selector;
    else if (!selector.empty())
      return decoder.fail("the last operand has no selector");
  }
  if (!readMask(decoder, selectors[0], video.parts, video.mask) ||
      !readPlaces(decoder, selectors[1], video.parts, places.a) ||
      !readPlaces(decoder, selectors[2], video.parts, places.b) ||
      !decoder.destination(plain[0], OperandType::Word))
    return false;
  for (unsigned i = 1; i < 4; ++i)
    if (!decoder.source(plain[i], OperandType::Word))
      return false;
  decoder.inst.offset = std::bit_cast<int64_t>(video);
  decoder.inst.offset2 = std::bit_cast<int64_t>(places);
  return decoder.emit(&runVideo);
}

} // namespace

void addVideo(FamilyTable &table) {
  for (const char *name :
       {"vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax", "vset"})
    for (const char *parts : {"2", "4"})
      table[std::string(name) + parts] = &decodeVideo;
}

} // namespace qopt::emulator
