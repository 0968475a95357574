// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace qopt::emulator {
namespace {

constexpr size_t alignment = 256;

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

} // namespace

bool Allocation::isWritten(uint64_t address, uint64_t size) const {
  if (!written)
    return true;
  uint64_t first = address - base;
  for (uint64_t i = first; i < first + size;) {
    if (i % 64 == 0 && i + 64 <= first + size) { // eight bytes of bits at once
      uint64_t all = ~uint64_t(0);
      for (uint64_t byte = 0; byte < 8; ++byte)
        all &= written[i / 8 + byte].load(std::memory_order_relaxed);
      if ((all & 0xff) != 0xff)
        return false;
      i += 64;
      continue;
    }
    uint8_t bits = written[i / 8].load(std::memory_order_relaxed);
    unsigned in = i % 8,
             count = unsigned(std::min<uint64_t>(8 - in, first + size - i));
    uint8_t wanted = uint8_t(((1u << count) - 1) << in);
    if ((bits & wanted) != wanted)
      return false;
    i += count;
  }
  return true;
}

void Allocation::markWritten(uint64_t address, uint64_t size) {
  if (!written)
    return;
  uint64_t first = address - base;
  for (uint64_t i = first; i < first + size;) {
    unsigned in = i % 8,
             count = unsigned(std::min<uint64_t>(8 - in, first + size - i));
    uint8_t wanted = uint8_t(((1u << count) - 1) << in);
    std::atomic<uint8_t> &bits = written[i / 8];
    // Most bytes are written again and again: look before the bus is locked.
    if ((bits.load(std::memory_order_relaxed) & wanted) != wanted)
      bits.fetch_or(wanted, std::memory_order_relaxed);
    i += count;
  }
}

Memory::~Memory() {
  for (const std::unique_ptr<Allocation> &allocation : sorted)
    if (allocation->owned)
      std::free(reinterpret_cast<void *>(allocation->base));
}

void Memory::insert(std::unique_ptr<Allocation> allocation) {
  auto place = std::lower_bound(
      sorted.begin(), sorted.end(), allocation->base,
      [](const auto &known, uint64_t base) { return known->base < base; });
  sorted.insert(place, std::move(allocation));
}

StatusOr<uint64_t> Memory::allocate(size_t bytes) {
  size_t rounded =
      (std::max<size_t>(bytes, 1) + alignment - 1) & ~(alignment - 1);
  void *data =
      rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  if (!data)
    return Status(StatusCode::OutOfResources,
                  "cannot allocate " + std::to_string(bytes) +
                      " bytes of emulated device memory");
  std::memset(data, 0, rounded);
  auto allocation = std::make_unique<Allocation>();
  allocation->base = reinterpret_cast<uint64_t>(data);
  allocation->bytes = bytes;
  allocation->owned = true;
  allocation->written = std::make_unique<std::atomic<uint8_t>[]>(bytes / 8 + 1);
  std::lock_guard<std::mutex> lock(mutex);
  insert(std::move(allocation));
  return reinterpret_cast<uint64_t>(data);
}

Status Memory::lend(void *data, size_t bytes, bool readOnly) {
  auto allocation = std::make_unique<Allocation>();
  allocation->base = reinterpret_cast<uint64_t>(data);
  allocation->bytes = bytes;
  allocation->readOnly = readOnly;
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::unique_ptr<Allocation> &known : sorted)
    if (known->base < allocation->base + bytes &&
        allocation->base < known->base + known->bytes)
      return Status(StatusCode::InvalidArgument,
                    "the memory at " + hex(allocation->base) +
                        " is the device's already");
  insert(std::move(allocation));
  return Status();
}

Status Memory::takeBack(void *data) {
  return release(reinterpret_cast<uint64_t>(data));
}

Status Memory::release(uint64_t address) {
  std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i]->base != address)
      continue;
    if (sorted[i]->owned)
      std::free(reinterpret_cast<void *>(address));
    sorted.erase(sorted.begin() + ptrdiff_t(i));
    return Status();
  }
  return Status(StatusCode::InvalidArgument,
                "no device memory begins at " + hex(address));
}

void Memory::setName(uint64_t address, const std::string &name) {
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::unique_ptr<Allocation> &allocation : sorted)
    if (allocation->base == address)
      allocation->name = name;
}

void Memory::protect(uint64_t address) {
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::unique_ptr<Allocation> &allocation : sorted)
    if (allocation->base == address)
      allocation->readOnly = true;
}

StatusOr<Allocation *> Memory::find(uint64_t address, size_t bytes) {
  for (const std::unique_ptr<Allocation> &allocation : sorted)
    if (allocation->holds(address, bytes))
      return allocation.get();
  return Status(StatusCode::InvalidArgument,
                std::to_string(bytes) + " bytes at " + hex(address) +
                    " are not within one allocation of the device");
}

Status Memory::write(uint64_t address, const void *from, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  StatusOr<Allocation *> allocation = find(address, bytes);
  if (!allocation.ok())
    return allocation.status();
  std::memcpy(reinterpret_cast<void *>(address), from, bytes);
  (*allocation)->markWritten(address, bytes);
  return Status();
}

Status Memory::read(void *to, uint64_t address, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  StatusOr<Allocation *> allocation = find(address, bytes);
  if (!allocation.ok())
    return allocation.status();
  std::memcpy(to, reinterpret_cast<void *>(address), bytes);
  return Status();
}

Status Memory::makeHeap() {
  if (deviceHeap)
    return Status();
  StatusOr<uint64_t> address = allocate(DeviceHeap::heapBytes);
  if (!address.ok())
    return address.status();
  setName(*address, "the heap of malloc");
  std::lock_guard<std::mutex> lock(mutex);
  StatusOr<Allocation *> arena = find(*address, DeviceHeap::heapBytes);
  if (!arena.ok())
    return arena.status();
  deviceHeap = std::make_unique<DeviceHeap>(**arena);
  (*arena)->heap = deviceHeap.get();
  return Status();
}

std::vector<Allocation *> Memory::allocations() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<Allocation *> all;
  all.reserve(sorted.size());
  for (const std::unique_ptr<Allocation> &allocation : sorted)
    all.push_back(allocation.get());
  return all;
}

} // namespace qopt::emulator
