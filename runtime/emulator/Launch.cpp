// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Grid.h"

#include "runtime/emulator/Cluster.h"

#include <cstring>
#include <thread>

namespace qopt::emulator {
namespace {

/// Blocks of a cluster that every device of sm_90 runs.
constexpr uint64_t mostCluster = 8;

Status invalid(const std::string &message) {
  return Status(StatusCode::InvalidArgument, message);
}

std::string spell(Extent extent) {
  return std::to_string(extent.x) + "," + std::to_string(extent.y) + "," +
         std::to_string(extent.z);
}

Status checkExtents(const Program &program, Extent grid, Extent block) {
  if (grid.count() == 0 || block.count() == 0)
    return invalid("kernel '" + program.name + "': grid " + spell(grid) +
                   " of blocks " + spell(block) + " is empty");
  if (grid.y > 65535 || grid.z > 65535 || grid.x > 0x7fffffff)
    return invalid("kernel '" + program.name + "': grid " + spell(grid) +
                   " is more than 2147483647,65535,65535");
  if (block.count() > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
    return invalid("kernel '" + program.name + "': block " + spell(block) +
                   " is more than 1024 threads or 1024,1024,64");
  const uint32_t (&required)[3] = program.kernel->requiredThreads;
  if (required[0] && (required[0] != block.x || required[1] != block.y ||
                      required[2] != block.z))
    return invalid("kernel '" + program.name + "' requires blocks of " +
                   spell({required[0], required[1], required[2]}) + ", got " +
                   spell(block));
  const uint32_t (&most)[3] = program.kernel->maximumThreads;
  if (most[0] && block.count() > uint64_t(most[0]) * most[1] * most[2])
    return invalid("kernel '" + program.name + "' allows at most " +
                   std::to_string(most[0] * most[1] * most[2]) +
                   " threads in a block, got " + std::to_string(block.count()));
  return Status();
}

/// The kernel's directives on clusters against the grid.
Status checkCluster(const ptx::Function &kernel, Extent cluster, Extent grid) {
  std::string name = "kernel '" + kernel.name + "'";
  if (kernel.gridOfClusters)
    return Status(StatusCode::Unsupported,
                  name + ": the emulator has no '.blocksareclusters'; give the "
                         "grid in blocks");
  if (kernel.explicitCluster && !kernel.requiredCluster[0])
    return invalid(name + " is launched with clusters, but has no "
                          "'.reqnctapercluster' that gives their extents");
  if (kernel.maximumCluster && kernel.requiredCluster[0])
    return invalid(name + " has '.reqnctapercluster' and '.maxclusterrank'; "
                          "expected one of them");
  if (cluster.count() == 0 || cluster.count() > mostCluster)
    return invalid(name + ": clusters of " + spell(cluster) +
                   " blocks; expected 1 to " + std::to_string(mostCluster) +
                   " blocks");
  if (grid.x % cluster.x || grid.y % cluster.y || grid.z % cluster.z)
    return invalid(name + ": grid " + spell(grid) +
                   " is no multiple of its clusters of " + spell(cluster) +
                   " blocks");
  return Status();
}

void addCounts(Statistics &statistics, const Grid &grid,
               const std::vector<InstCount> &counts) {
  const Program &program = grid.program;
  std::vector<OpcodeCount> opcodes(program.opcodeNames.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].warps == 0 || program.sources[i] == nullptr)
      continue;
    opcodes[program.opcodes[i]].warps += counts[i].warps;
    opcodes[program.opcodes[i]].lanes += counts[i].lanes;
    const AccessSize &access = program.accesses[i];
    if (!access.read && !access.written)
      continue;
    SpaceBytes &bytes = statistics.bytes[access.space];
    bytes.read += access.read * counts[i].lanes;
    bytes.written += access.written * counts[i].lanes;
  }
  for (size_t i = 0; i < opcodes.size(); ++i) {
    if (opcodes[i].warps == 0)
      continue;
    OpcodeCount &opcode = statistics.opcodes[program.opcodeNames[i]];
    opcode.warps += opcodes[i].warps;
    opcode.lanes += opcodes[i].lanes;
    statistics.warpInstructions += opcodes[i].warps;
    statistics.laneInstructions += opcodes[i].lanes;
  }
}

Statistics statisticsOf(const Grid &grid,
                        const std::vector<std::unique_ptr<Worker>> &workers) {
  Statistics statistics;
  std::unordered_set<uint64_t> read, written;
  for (const std::unique_ptr<Worker> &worker : workers) {
    addCounts(statistics, grid, worker->counts);
    read.merge(worker->sectorsRead);
    written.merge(worker->sectorsWritten);
    statistics.sectorsMoved += worker->sectorsMoved;
    statistics.processorSeconds += worker->processorSeconds;
    statistics.bulkRead += worker->bulkRead;
    statistics.bulkWritten += worker->bulkWritten;
    statistics.asyncRead += worker->asyncRead;
    for (size_t i = 0; i < worker->conflicts.size(); ++i)
      if (worker->conflicts[i].accesses) {
        LineConflicts &line = statistics.conflicts[grid.program.code[i].line];
        line.accesses += worker->conflicts[i].accesses;
        line.conflicts += worker->conflicts[i].conflicts;
      }
  }
  uint64_t copied = statistics.bulkRead + statistics.asyncRead;
  if (copied || statistics.bulkWritten) {
    statistics.bytes["global"].read += copied;
    statistics.bytes["global"].written += statistics.bulkWritten;
  }
  statistics.sectorsTouchedRead = read.size();
  statistics.sectorsTouchedWritten = written.size();
  statistics.sharedBytes =
      grid.program.dynamicSharedOffset + grid.dynamicShared;
  return statistics;
}

void runWorkers(Grid &grid, std::vector<std::unique_ptr<Worker>> &workers) {
  for (unsigned i = 0; i < grid.options.threads; ++i)
    workers.push_back(
        std::make_unique<Worker>(grid, grid.options.seed * 64 + i + 1));
  std::vector<std::thread> threads;
  for (size_t i = 1; i < workers.size(); ++i)
    threads.emplace_back([&, i] { workers[i]->run(); });
  workers[0]->run();
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace

StatusOr<Statistics> launch(const Kernel &kernel, Extent grid, Extent block,
                            size_t dynamicSharedBytes,
                            std::span<const uint8_t> arguments, Memory &memory,
                            const LaunchOptions &options,
                            std::vector<Finding> *findings) {
  const Program &program = kernel.code();
  QOPT_RETURN_IF_ERROR(checkExtents(program, grid, block));
  Extent cluster;
  if (program.hasClusters()) {
    const uint32_t (&required)[3] = program.kernel->requiredCluster;
    cluster = {required[0], required[1], required[2]};
  }
  QOPT_RETURN_IF_ERROR(checkCluster(*program.kernel, cluster, grid));
  if (program.dynamicSharedOffset + dynamicSharedBytes > mostShared)
    return invalid(
        "kernel '" + program.name + "' needs " +
        std::to_string(program.dynamicSharedOffset + dynamicSharedBytes) +
        " bytes of shared memory, a block has at most " +
        std::to_string(mostShared));
  if (arguments.size() != program.parameterBytes)
    return invalid("kernel '" + program.name + "' takes " +
                   std::to_string(program.parameterBytes) +
                   " bytes of arguments, got " +
                   std::to_string(arguments.size()));
  if (program.usesHeap)
    QOPT_RETURN_IF_ERROR(memory.makeHeap());
  Grid state(program);
  state.heap = memory.heap();
  state.extent = grid;
  state.block = block;
  state.cluster = cluster;
  state.dynamicShared = uint32_t(dynamicSharedBytes);
  state.arguments = arguments;
  state.options = options;
  state.allocations = memory.allocations();
  unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  unsigned wanted = options.threads ? options.threads : cores;
  state.options.threads =
      unsigned(std::min(uint64_t(wanted), state.clusters().count()));
  state.options.maximumFindings = std::max(1u, options.maximumFindings);
  if (options.checks.races)
    state.shadow = std::make_unique<GlobalShadow>();
  std::vector<std::unique_ptr<Worker>> workers;
  runWorkers(state, workers);
  if (findings)
    *findings = state.findings;
  if (!state.findings.empty()) {
    std::string report;
    for (const Finding &finding : state.findings)
      report += (report.empty() ? "" : "\n") + finding.report();
    return Status(StatusCode::GateFailed, report);
  }
  return statisticsOf(state, workers);
}

const char *nameOf(FindingKind kind) {
  static const char *const names[] = {
      "out of bounds",      "misaligned", "uninitialised",   "race",
      "barrier divergence", "async copy", "deadlock",        "watchdog",
      "invalid use",        "trap",       "failed assertion"};
  return names[size_t(kind)];
}

std::string Finding::report() const {
  auto triple = [](const uint32_t (&values)[3]) {
    return "(" + std::to_string(values[0]) + "," + std::to_string(values[1]) +
           "," + std::to_string(values[2]) + ")";
  };
  return std::string(nameOf(kind)) + ": kernel '" + kernel + "', ptx line " +
         std::to_string(line) + " (" + text + "), block " + triple(block) +
         ", thread " + triple(thread) + ": " + detail;
}

} // namespace qopt::emulator
