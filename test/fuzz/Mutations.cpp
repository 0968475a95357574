// What a harness is linked with where libFuzzer is not: all seeds, then changes
// of them, the same in every run.
//
//   FOLDER SECONDS     the files of FOLDER, then inputs made of them
//
// The end of an input that ends the process is preceded by its number; the
// input lies in the file `finding` of the working folder. One that takes more
// than a second, or more memory than twice its size and 64 MB, is a finding.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/// Null where the harness has none.
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data,
                                                                size_t size,
                                                                size_t most,
                                                                unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t longest = 1 << 16;
constexpr double mostSeconds = 1;
constexpr int64_t mostKilobytes = 64 << 10;

const Bytes *current = nullptr;

void save() {
  int file = open("finding", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || !current)
    return;
  [[maybe_unused]] ssize_t done = write(file, current->data(), current->size());
  close(file);
}

extern "C" void onSignal(int number) {
  save();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

std::vector<Bytes> read(const std::filesystem::path &folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto &path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
  }
  return seeds;
}

/// Changes of bytes as libFuzzer makes them, without its memory of what they
/// reached.
class Changes {
public:
  explicit Changes(const std::vector<Bytes> &seeds) : seeds(seeds) {}

  Bytes next() {
    Bytes input = any();
    size_t size = std::min(input.size(), longest);
    input.resize(longest);
    for (size_t i = 0, n = 1 + below(6); i < n; ++i)
      size = LLVMFuzzerCustomMutator
                 ? LLVMFuzzerCustomMutator(input.data(), size, longest,
                                           unsigned(generator()))
                 : LLVMFuzzerMutate(input.data(), size, longest);
    input.resize(size);
    return input;
  }

  Bytes changed(Bytes input, size_t most) {
    change(input);
    input.resize(std::min(input.size(), most));
    return input;
  }

private:
  /// Not of <random>, whose distributions differ from library to library.
  size_t below(size_t end) { return end ? generator() % end : 0; }
  const Bytes &any() { return seeds[below(seeds.size())]; }

  void change(Bytes &input) {
    size_t at = below(input.size());
    size_t count = std::min(below(size_t(1) << below(10)), input.size() - at);
    auto begin = input.begin() + ptrdiff_t(at);
    switch (below(7)) {
    case 0:
      if (!input.empty())
        input[at] ^= uint8_t(1 << below(8));
      break;
    case 1:
      if (!input.empty())
        input[at] = uint8_t(generator());
      break;
    case 2:
      input.erase(begin, begin + ptrdiff_t(count));
      break;
    case 3: {
      Bytes twice(begin, begin + ptrdiff_t(count));
      input.insert(begin, twice.begin(), twice.end());
      break;
    }
    case 4: {
      const Bytes &other = any();
      size_t from = below(other.size());
      size_t taken = std::min(1 + below(64), other.size() - from);
      input.insert(begin, other.begin() + ptrdiff_t(from),
                   other.begin() + ptrdiff_t(from + taken));
      break;
    }
    case 5:
      overwrite(input, at);
      break;
    default:
      digits(input, at);
    }
  }

  /// A number of 1, 2, 4 or 8 bytes at an edge of its range.
  void overwrite(Bytes &input, size_t at) {
    static constexpr uint64_t edges[] = {0,
                                         1,
                                         0x7f,
                                         0x80,
                                         0xff,
                                         0x7fff,
                                         65535,
                                         0x1000,
                                         0x7fffffff,
                                         0x80000000,
                                         uint64_t(1) << 62,
                                         ~uint64_t(0)};
    uint64_t value = edges[below(std::size(edges))];
    size_t size = std::min(size_t(1) << below(4), input.size() - at);
    std::memcpy(input.data() + at, &value, size);
  }

  /// The next number in the text becomes another.
  void digits(Bytes &input, size_t at) {
    static constexpr const char *numbers[] = {
        "0", "-1", "1e400", "0.5", "9223372036854775807", "2147483648", "7"};
    auto isDigit = [](uint8_t c) { return c >= '0' && c <= '9'; };
    auto begin =
        std::find_if(input.begin() + ptrdiff_t(at), input.end(), isDigit);
    auto end = std::find_if_not(begin, input.end(), isDigit);
    std::string text = numbers[below(std::size(numbers))];
    begin = input.erase(begin, end);
    input.insert(begin, text.begin(), text.end());
  }

  const std::vector<Bytes> &seeds;
  std::mt19937_64 generator{0};
};

/// The one of this run.
Changes *changes = nullptr;

double processorSeconds(const rusage &usage) {
  auto seconds = [](timeval time) {
    return double(time.tv_sec) + 1e-6 * double(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// False where the input takes too long or too much.
bool run(const Bytes &input, size_t number) {
  current = &input;
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  getrusage(RUSAGE_SELF, &after);
  double seconds = processorSeconds(after) - processorSeconds(before);
  int64_t kilobytes = after.ru_maxrss - before.ru_maxrss;
  if (seconds <= mostSeconds &&
      kilobytes <= int64_t(2 * input.size() >> 10) + mostKilobytes)
    return true;
  std::fprintf(stderr, "finding: input %zu took %.2f s and %lld KB\n", number,
               seconds, static_cast<long long>(kilobytes));
  save();
  return false;
}

} // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) {
  Bytes made = changes->changed(Bytes(data, data + size), most);
  std::copy(made.begin(), made.end(), data);
  return made.size();
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER SECONDS\n", argv[0]);
    return 2;
  }
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    std::signal(number, onSignal);
  std::vector<Bytes> seeds = read(argv[1]);
  size_t done = 0;
  for (const Bytes &seed : seeds)
    if (!run(seed, done++))
      return 1;
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  Changes made(seeds);
  changes = &made;
  while (!seeds.empty() && Clock::now() < end)
    if (Bytes input = made.next(); !run(input, done++))
      return 1;
  std::printf("%zu seeds, %zu inputs\n", seeds.size(), done);
  return 0;
}
