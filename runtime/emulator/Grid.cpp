// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Grid.h"

#include "runtime/emulator/Cluster.h"

#include <bit>
#include <ctime>

namespace qopt::emulator {
namespace {

/// Warp instructions of a cluster before another resident one has its turn.
constexpr uint32_t slice = 8192;

/// Slices that a cluster which gets on has one after the other.
constexpr unsigned slicesOfTurn = 16;

constexpr uint64_t sectorBytes = 32;

} // namespace

bool Grid::report(Finding finding) {
  std::lock_guard<std::mutex> lock(mutex);
  // The same place says the same thing once.
  for (const Finding &known : findings)
    if (known.line == finding.line && known.kind == finding.kind)
      return !stopped;
  if (findings.size() < options.maximumFindings)
    findings.push_back(std::move(finding));
  if (findings.size() >= options.maximumFindings)
    stopped = true;
  return !stopped;
}

uint64_t Grid::clusterOf(uint64_t number) const {
  Extent all = clusters();
  uint64_t x = number % extent.x / cluster.x;
  uint64_t y = number / extent.x % extent.y / cluster.y;
  uint64_t z = number / extent.x / extent.y / cluster.z;
  return x + all.x * (y + all.y * z);
}

Worker::Worker(Grid &grid, uint64_t seed)
    : grid(grid), random(seed), counts(grid.program.code.size()),
      conflicts(grid.options.countMemory ? grid.program.code.size() : 0) {}

Worker::~Worker() = default;

std::unique_ptr<Cluster> Worker::takeCluster() {
  uint64_t number = grid.nextCluster.fetch_add(1);
  if (number >= grid.clusters().count())
    return nullptr;
  std::unique_ptr<Cluster> cluster;
  if (!spare.empty()) {
    cluster = std::move(spare.back());
    spare.pop_back();
  } else {
    cluster = std::make_unique<Cluster>(*this);
  }
  cluster->start(number);
  return cluster;
}

/// Processor time of the calling thread.
static double processorTime() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

void Worker::run() {
  double begin = processorTime();
  runClusters();
  processorSeconds = processorTime() - begin;
}

bool Worker::giveTurn(Cluster &cluster) {
  // The first seed runs blocks for long turns, the others mix them more.
  if (grid.options.seed != 0)
    return cluster.run(256 + random.below(2 * slice));
  // The caches hold a cluster's memory now. One that has stored nothing seems
  // to wait for others.
  for (unsigned i = 0; i < slicesOfTurn; ++i) {
    uint64_t before = cluster.events();
    if (cluster.run(slice))
      return true;
    if (cluster.events() == before)
      break;
  }
  return false;
}

void Worker::runClusters() {
  uint64_t together = std::max(grid.options.threads, 1u) * grid.cluster.count();
  size_t most = std::max<uint64_t>(
      1, (grid.options.residentBlocks + together - 1) / together);
  bool more = true;
  while (!grid.stopped) {
    if (more && resident.size() < most) {
      std::unique_ptr<Cluster> cluster = takeCluster();
      more = cluster != nullptr;
      if (cluster)
        resident.push_front(std::move(cluster));
    }
    if (resident.empty())
      return;
    std::unique_ptr<Cluster> cluster = std::move(resident.front());
    resident.pop_front();
    if (giveTurn(*cluster))
      spare.push_back(std::move(cluster));
    else
      resident.push_back(std::move(cluster));
  }
}

Allocation *Worker::allocationAt(uint64_t address) {
  for (unsigned i = 0; i < std::size(recent); ++i)
    if (recent[i] && recent[i]->holds(address, 1)) {
      Allocation *found = recent[i];
      if (i)
        std::swap(recent[i], recent[i - 1]);
      return found;
    }
  auto after = std::upper_bound(
      grid.allocations.begin(), grid.allocations.end(), address,
      [](uint64_t key, const Allocation *known) { return key < known->base; });
  if (after == grid.allocations.begin() || !(*(after - 1))->holds(address, 1))
    return nullptr;
  recent[std::size(recent) - 1] = *(after - 1);
  return *(after - 1);
}

void Worker::countGlobal(const uint64_t *addresses, uint32_t mask,
                         unsigned bytes, bool write) {
  uint64_t seen[2 * lanes];
  unsigned count = 0;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t last = (addresses[lane] + bytes - 1) / sectorBytes;
    for (uint64_t sector = addresses[lane] / sectorBytes; sector <= last;
         ++sector) {
      // Neighbouring lanes share sectors: look at the newest first.
      bool known = false;
      for (unsigned i = count; i-- > 0 && !known;)
        known = seen[i] == sector;
      if (!known && count < std::size(seen))
        seen[count++] = sector;
    }
  }
  sectorsMoved += count;
  auto &touched = write ? sectorsWritten : sectorsRead;
  touched.insert(seen, seen + count);
}

void Worker::countRange(uint64_t address, uint64_t bytes, bool write) {
  if (bytes == 0)
    return;
  auto &touched = write ? sectorsWritten : sectorsRead;
  uint64_t last = (address + bytes - 1) / sectorBytes;
  for (uint64_t sector = address / sectorBytes; sector <= last; ++sector) {
    touched.insert(sector);
    ++sectorsMoved;
  }
}

void Worker::countShared(const Inst &inst, const uint64_t *addresses,
                         uint32_t mask, unsigned bytes) {
  // Lanes are served in passes: all 32, or 16, or 8, as wide as the words are.
  unsigned together = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  LineConflicts &line = conflicts[size_t(&inst - grid.program.code.data())];
  for (unsigned first = 0; first < lanes; first += together) {
    uint64_t words[lanes][lanes]; // by bank, the distinct words asked for
    uint8_t used[lanes] = {};
    unsigned passes = 0;
    for (unsigned lane = first; lane < first + together; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      for (unsigned word = 0; word < (bytes + 3) / 4; ++word) {
        uint64_t index = addresses[lane] / 4 + word;
        unsigned bank = index % lanes;
        bool known = false;
        for (unsigned i = 0; i < used[bank] && !known; ++i)
          known = words[bank][i] == index;
        if (!known && used[bank] < lanes)
          words[bank][used[bank]++] = index;
        passes = std::max<unsigned>(passes, used[bank]);
      }
    }
    if (passes == 0)
      continue;
    ++line.accesses;
    line.conflicts += passes - 1;
  }
}

} // namespace qopt::emulator
