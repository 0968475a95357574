// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/PrintableText.h"
#include "tools/cli/CommandLine.h"
#include "tools/qopt-emulate/EmulateOptions.h"

#include <algorithm>
#include <cstdio>

namespace qopt::emulate {

using emulator::Statistics;

void printStatistics(const Statistics &statistics) {
  auto number = [](uint64_t value) {
    return static_cast<unsigned long long>(value);
  };
  std::vector<std::pair<std::string, emulator::OpcodeCount>> opcodes(
      statistics.opcodes.begin(), statistics.opcodes.end());
  std::sort(opcodes.begin(), opcodes.end(), [](const auto &a, const auto &b) {
    return a.second.lanes > b.second.lanes;
  });
  std::printf("%-40s %16s %18s\n", "instruction", "by warps", "by lanes");
  for (const auto &[name, count] : opcodes)
    std::printf("%-40s %16llu %18llu\n", runtime::printable(name).c_str(),
                number(count.warps), number(count.lanes));
  std::printf("%-40s %16llu %18llu\n", "all",
              number(statistics.warpInstructions),
              number(statistics.laneInstructions));
  std::printf("\n%-40s %16s %18s\n", "space", "bytes read", "bytes written");
  for (const auto &[name, bytes] : statistics.bytes)
    std::printf("%-40s %16llu %18llu\n", name.c_str(), number(bytes.read),
                number(bytes.written));
  std::printf("%-40s %16llu %18llu\n", "global, distinct 32-byte sectors × 32",
              number(32 * statistics.sectorsTouchedRead),
              number(32 * statistics.sectorsTouchedWritten));
  std::printf("%-40s %16llu\n", "global, sectors of each access × 32",
              number(32 * statistics.sectorsMoved));
  std::printf("%-40s %16llu\n", "shared memory of a block, bytes",
              number(statistics.sharedBytes));
  if (statistics.conflicts.empty())
    return;
  std::printf("\n%-40s %16s %18s\n", "shared memory, ptx line", "accesses",
              "bank conflicts");
  for (const auto &[line, count] : statistics.conflicts)
    std::printf("%-40u %16llu %18llu\n", line, number(count.accesses),
                number(count.conflicts));
}

Status printTime(const Statistics &statistics) {
  nlohmann::ordered_json json;
  json["lane_instructions"] = statistics.laneInstructions;
  json["processor_seconds"] = statistics.processorSeconds;
  return cli::printJson(json);
}

Status printStatisticsJson(const Statistics &statistics) {
  nlohmann::ordered_json json;
  json["warp_instructions"] = statistics.warpInstructions;
  json["lane_instructions"] = statistics.laneInstructions;
  for (const auto &[name, count] : statistics.opcodes)
    json["opcodes"][name] = {{"warps", count.warps}, {"lanes", count.lanes}};
  for (const auto &[name, bytes] : statistics.bytes)
    json["bytes"][name] = {{"read", bytes.read}, {"written", bytes.written}};
  json["sectors"] = {{"touched_read", statistics.sectorsTouchedRead},
                     {"touched_written", statistics.sectorsTouchedWritten},
                     {"moved", statistics.sectorsMoved}};
  for (const auto &[line, count] : statistics.conflicts)
    json["bank_conflicts"][std::to_string(line)] = {
        {"accesses", count.accesses}, {"conflicts", count.conflicts}};
  json["shared_bytes"] = statistics.sharedBytes;
  return cli::printJson(json);
}

} // namespace qopt::emulate
