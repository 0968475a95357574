// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Schedules.h"

#include <cstdio>
#include <cstring>

namespace qopt::emulator {
namespace {

/// What is in the memory that kernels may write, and which of it is written.
class MemoryImage {
public:
  explicit MemoryImage(const Memory &memory) : memory(memory) {
    if (memory.heap())
      heap = memory.heap()->state();
    for (Allocation *allocation : memory.allocations()) {
      if (allocation->readOnly)
        continue;
      Buffer &buffer = buffers.emplace_back();
      buffer.allocation = allocation;
      const auto *from = reinterpret_cast<const uint8_t *>(allocation->base);
      buffer.bytes.assign(from, from + allocation->bytes);
      for (size_t i = 0; allocation->written && i <= allocation->bytes / 8; ++i)
        buffer.written.push_back(
            allocation->written[i].load(std::memory_order_relaxed));
    }
  }

  void restore() const {
    if (memory.heap()) // the first launch may have made it
      memory.heap()->restore(heap);
    for (const Buffer &buffer : buffers) {
      Allocation &to = *buffer.allocation;
      std::memcpy(reinterpret_cast<void *>(to.base), buffer.bytes.data(),
                  buffer.bytes.size());
      for (size_t i = 0; i < buffer.written.size(); ++i)
        to.written[i].store(buffer.written[i], std::memory_order_relaxed);
    }
  }

  /// How the memory differs now; "" if it does not.
  std::string difference() const {
    for (const Buffer &buffer : buffers) {
      const Allocation &now = *buffer.allocation;
      const auto *bytes = reinterpret_cast<const uint8_t *>(now.base);
      // Where malloc finds memory is the schedule's.
      if (now.heap ||
          !std::memcmp(bytes, buffer.bytes.data(), buffer.bytes.size()))
        continue;
      size_t first = buffer.bytes.size(), count = 0;
      for (size_t i = buffer.bytes.size(); i-- > 0;)
        if (bytes[i] != buffer.bytes[i]) {
          first = i;
          ++count;
        }
      return "leaves " + nameOf(now) + " with " + std::to_string(count) +
             " of " + std::to_string(now.bytes) +
             " bytes other than schedule 0, the first of them byte " +
             std::to_string(first);
    }
    return "";
  }

private:
  static std::string nameOf(const Allocation &allocation) {
    if (!allocation.name.empty())
      return "'" + allocation.name + "'";
    char text[48];
    std::snprintf(text, sizeof text, "the buffer at 0x%llx",
                  static_cast<unsigned long long>(allocation.base));
    return text;
  }

  struct Buffer {
    Allocation *allocation = nullptr;
    std::vector<uint8_t> bytes;
    std::vector<uint8_t> written;
  };
  const Memory &memory;
  std::vector<Buffer> buffers;
  DeviceHeap::State heap;
};

} // namespace

StatusOr<Statistics> launchSchedules(const LaunchRequest &request,
                                     Memory &memory,
                                     const LaunchOptions &options,
                                     unsigned schedules) {
  auto run = [&](const LaunchOptions &with) {
    return launch(request.kernel, request.grid, request.block,
                  request.dynamicSharedBytes, request.arguments, memory, with);
  };
  if (schedules <= 1)
    return run(options);
  auto fail = [](unsigned schedule, const std::string &message) {
    return Status(StatusCode::GateFailed,
                  "schedule " + std::to_string(schedule) + ": " + message);
  };
  const MemoryImage before(memory);
  StatusOr<Statistics> first = run(options);
  if (!first.ok())
    return first.status().code() == StatusCode::GateFailed
               ? fail(0, first.status().message())
               : first.status();
  const MemoryImage after(memory);
  LaunchOptions others = options;
  others.print = [](std::string_view) {}; // the first has said it
  for (unsigned i = 1; i < schedules; ++i) {
    before.restore();
    ++others.seed;
    StatusOr<Statistics> statistics = run(others);
    if (!statistics.ok())
      return fail(i, statistics.status().message());
    std::string difference = after.difference();
    if (!difference.empty())
      return fail(i, "kernel '" + request.kernel.name() + "' " + difference);
  }
  return first;
}

} // namespace qopt::emulator
