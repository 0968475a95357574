// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/DeviceHeap.h"

#include "runtime/emulator/Memory.h"

#include <cstring>

namespace qopt::emulator {
namespace {

constexpr uint64_t alignment = 16;

/// What a piece occupies: behind it lies a gap, so that who goes beyond its end
/// is in no other.
uint64_t extentOf(uint64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment + alignment;
}

std::string sized(uint64_t bytes, uint32_t line) {
  return std::to_string(bytes) + " bytes that malloc of line " +
         std::to_string(line) + " gave";
}

} // namespace

/// The first place for a piece from `next` on.
bool DeviceHeap::findGap(uint64_t bytes, uint64_t &address) {
  if (bytes > heapBytes)
    return false;
  uint64_t at = arena.base + next;
  const uint64_t end = arena.base + heapBytes, wanted = extentOf(bytes);
  for (auto piece = pieces.lower_bound(at); piece != pieces.end(); ++piece) {
    if (piece->first - at >= wanted)
      break;
    at = piece->first + extentOf(piece->second.bytes);
  }
  if (at > end || end - at < wanted)
    return false;
  address = at;
  next = at + wanted - arena.base;
  return true;
}

uint64_t DeviceHeap::take(uint64_t bytes, uint32_t line) {
  std::lock_guard<std::mutex> lock(mutex);
  uint64_t address = 0;
  if (!findGap(bytes, address)) {
    std::erase_if(pieces,
                  [](const auto &piece) { return piece.second.freedLine; });
    next = 0;
    if (!findGap(bytes, address))
      return 0;
  }
  pieces[address] = {bytes, line, 0};
  for (uint64_t byte = 0; byte < bytes; byte += 8)
    arena.written[(address - arena.base + byte) / 8].store(
        0, std::memory_order_relaxed);
  // What was there before is no kernel's business: make it show.
  std::memset(reinterpret_cast<void *>(address), 0xcd, bytes);
  return address;
}

uint64_t DeviceHeap::sizeOf(uint64_t address, std::string &wrong) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto piece = pieces.find(address);
  if (piece == pieces.end())
    wrong = "no malloc gave this address";
  else if (piece->second.freedLine)
    wrong = "free of line " + std::to_string(piece->second.freedLine) +
            " has taken it back already";
  return wrong.empty() ? piece->second.bytes : 0;
}

void DeviceHeap::giveBack(uint64_t address, uint32_t line) {
  std::lock_guard<std::mutex> lock(mutex);
  if (auto piece = pieces.find(address); piece != pieces.end())
    piece->second.freedLine = line;
}

/// The last piece that begins at or before an address; null without one.
const DeviceHeap::Pieces::value_type *
DeviceHeap::pieceAt(uint64_t address) const {
  auto after = pieces.upper_bound(address);
  return after == pieces.begin() ? nullptr : &*std::prev(after);
}

bool DeviceHeap::holds(uint64_t address, uint64_t bytes) const {
  std::lock_guard<std::mutex> lock(mutex);
  const Pieces::value_type *found = pieceAt(address);
  if (!found || found->second.freedLine)
    return false;
  const uint64_t size = found->second.bytes;
  return bytes <= size && address - found->first <= size - bytes;
}

std::string DeviceHeap::describe(uint64_t address) const {
  std::lock_guard<std::mutex> lock(mutex);
  const Pieces::value_type *found = pieceAt(address);
  if (!found)
    return ": in the heap of malloc, where nothing is allocated";
  const auto &[begin, piece] = *found;
  if (!piece.freedLine || address - begin >= piece.bytes)
    return address - begin < piece.bytes
               ? ": it ends behind the " + sized(piece.bytes, piece.line)
               : ": " + std::to_string(address - begin - piece.bytes) +
                     " bytes behind the end of the " +
                     sized(piece.bytes, piece.line);
  return ": free of line " + std::to_string(piece.freedLine) +
         " has taken back the " + sized(piece.bytes, piece.line);
}

DeviceHeap::State DeviceHeap::state() const {
  std::lock_guard<std::mutex> lock(mutex);
  return {pieces, next};
}

void DeviceHeap::restore(const State &from) {
  std::lock_guard<std::mutex> lock(mutex);
  pieces = from.pieces;
  next = from.next;
}

} // namespace qopt::emulator
