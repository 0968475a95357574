// qopt-random: random programs on a target beside the reference, or the program
// of a file. README.md says what is compared.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Program.h"
#include "Recipe.h"
#include "Reducer.h"
#include "llvm/Support/FileSystem.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace qopt;
using namespace qopt::programs;

static constexpr char usage[] =
    "qopt-random [--target host|cuda] [--count N] [--seed S] [--seconds N]\n"
    "            [--slack X] [--print]\n"
    "qopt-random PROGRAM.mlir [--slack X]\n\n"
    "Runs the programs of the seeds S, S+1, … (1, of the host) and compares\n"
    "them with the reference. One that differs is made small and written into\n"
    "the current folder as random-TARGET-SEED.mlir. --slack multiplies all\n"
    "bounds; --print shows the programs instead.\n";

namespace {
struct Options {
  Target target = Target::Host;
  int64_t count = 100, seed = 1, seconds = INT64_MAX;
  double slack = 1;
  bool print = false;
  std::string file;
};

/// What came of all programs.
struct Summary {
  int64_t programs = 0, runs = 0, numbers = 0, unbounded = 0, wrong = 0;
  double worst = 0;
  std::vector<double> looseness;
};
} // namespace

static const char *nameOf(Target target) {
  return target == Target::Cuda ? "cuda" : "host";
}

/// Whether the command line is understood.
static bool parse(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--print") {
      options.print = true;
      continue;
    }
    if (!word.starts_with("--")) {
      options.file = word;
      continue;
    }
    if (++i == argc)
      return false;
    std::string value = argv[i];
    char *end = nullptr;
    double number = std::strtod(value.c_str(), &end);
    bool isNumber = !value.empty() && !*end && number > 0;
    if (word == "--target" && (value == "host" || value == "cuda"))
      options.target = value == "cuda" ? Target::Cuda : Target::Host;
    else if (word == "--slack" && isNumber)
      options.slack = number;
    else if (word == "--count" && isNumber)
      options.count = int64_t(number);
    else if (word == "--seed" && isNumber)
      options.seed = int64_t(number);
    else if (word == "--seconds" && isNumber)
      options.seconds = int64_t(number);
    else
      return false;
  }
  return true;
}

static void writeFile(const std::string &path, const std::string &text) {
  if (Status written = codegen::writeFile(path, text); !written.ok())
    std::fprintf(stderr, "error: %s\n", written.message().c_str());
}

/// Makes the program of a seed small, and says what it does.
static void report(Machine &machine, const Options &options, int64_t seed,
                   const Outcome &first) {
  // A program of a GPU takes seconds.
  int tries = options.target == Target::Cuda ? 40 : 400;
  std::fprintf(stderr, "seed %lld: %s\n", static_cast<long long>(seed),
               first.message.c_str());
  Recipe small = reduce(
      generate(uint64_t(seed), options.target),
      [&](const Recipe &recipe) {
        return machine.check(write(recipe), options.slack).isLike(first);
      },
      tries);
  std::string path = std::string("random-") + nameOf(options.target) + "-" +
                     std::to_string(seed) + ".mlir",
              text = write(small);
  writeFile(path, text);
  std::fprintf(stderr, "  %zu nodes in %s: %s\n", small.nodes.size(),
               path.c_str(),
               machine.check(text, options.slack).message.c_str());
}

static int runFile(const Options &options) {
  auto text = codegen::readFile(options.file);
  if (!text.ok())
    return std::fprintf(stderr, "error: %s\n", text.status().message().c_str()),
           9;
  Machine machine;
  Outcome outcome = machine.check(*text, options.slack);
  if (!outcome.isGood())
    return std::fprintf(stderr, "%s: %s\n", options.file.c_str(),
                        outcome.message.c_str()),
           1;
  std::printf("%lld runs agree, the worst number is at %.3g of its bound\n",
              static_cast<long long>(outcome.runs), outcome.worst);
  return 0;
}

static void print(const Options &options, Summary &summary) {
  std::vector<double> &all = summary.looseness;
  std::sort(all.begin(), all.end());
  double middle = all.empty() ? 0 : all[all.size() / 2],
         most = all.empty() ? 0 : all[all.size() * 95 / 100];
  std::printf(
      "%s, seeds from %lld on: %lld programs, %lld runs, %lld numbers (%lld "
      "without a bound), %lld wrong; worst %.3g of a bound; bounds beside the "
      "largest number: median %.2g, 95 %% %.2g\n",
      nameOf(options.target), static_cast<long long>(options.seed),
      static_cast<long long>(summary.programs),
      static_cast<long long>(summary.runs),
      static_cast<long long>(summary.numbers),
      static_cast<long long>(summary.unbounded),
      static_cast<long long>(summary.wrong), summary.worst, middle, most);
}

static int runSeeds(const Options &options) {
  Machine machine;
  Summary summary;
  auto begin = std::chrono::steady_clock::now();
  for (int64_t seed = options.seed; seed < options.seed + options.count;
       ++seed) {
    std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - begin;
    if (spent.count() > double(options.seconds))
      break;
    Recipe recipe = generate(uint64_t(seed), options.target);
    if (!isValid(recipe)) {
      std::fprintf(stderr,
                   "seed %lld: the generator's own recipe is not "
                   "valid\n",
                   static_cast<long long>(seed));
      ++summary.wrong;
      continue;
    }
    std::string text = write(recipe);
    if (options.print) {
      std::printf("%s", text.c_str());
      continue;
    }
    Outcome outcome = machine.check(text, options.slack);
    ++summary.programs;
    summary.runs += outcome.runs;
    summary.numbers += outcome.numbers;
    summary.unbounded += outcome.unbounded;
    summary.worst = std::max(summary.worst, outcome.worst);
    summary.looseness.insert(summary.looseness.end(), outcome.looseness.begin(),
                             outcome.looseness.end());
    if (outcome.isGood())
      continue;
    ++summary.wrong;
    report(machine, options, seed, outcome);
  }
  if (!options.print)
    print(options, summary);
  return summary.wrong ? 1 : 0;
}

int main(int argc, char **argv) {
  Options options;
  if (!parse(argc, argv, options))
    return std::fputs(usage, stderr), 2;
  // Artifacts are files for a moment; here they never reach a disk.
  if (llvm::sys::fs::can_write("/dev/shm"))
    setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
  // The emulator reads PTX; to assemble it takes half of the time.
  setenv("QOPT_PTXAS", "no-such-ptxas", /*overwrite=*/0);
  return options.file.empty() ? runSeeds(options) : runFile(options);
}
