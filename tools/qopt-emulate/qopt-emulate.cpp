// qopt-emulate: runs one kernel of a PTX file on arrays, with all checks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CommandLine.h"
#include "tools/cli/OutputFiles.h"
#include "tools/qopt-emulate/EmulateOptions.h"

#include <algorithm>
#include <charconv>

using namespace qopt;

/// "X", "X,Y" or "X,Y,Z", each at least 1.
static Status parseExtent(const std::string &option, const std::string &text,
                          emulator::Extent &extent) {
  uint32_t values[3] = {1, 1, 1};
  const char *at = text.data(), *last = text.data() + text.size();
  for (int i = 0; i < 3; ++i) {
    auto [end, failed] = std::from_chars(at, last, values[i]);
    bool more = end != last && *end == ',' && i < 2;
    if (failed != std::errc() || values[i] == 0 || (end != last && !more))
      return {StatusCode::InvalidArgument,
              std::string(option)
                  .append(": expected X,Y,Z of at least 1, got \"")
                  .append(text)
                  .append("\"")};
    at = end + 1;
    if (end == last)
      break;
  }
  extent = {values[0], values[1], values[2]};
  return {};
}

/// "all", "none", or a list such as "races,initialised".
static Status parseChecks(const std::string &names, emulator::Checks &checks) {
  if (names == "all")
    return {};
  checks = emulator::Checks::none();
  if (names == "none")
    return {};
  for (size_t at = 0; at <= names.size();) {
    size_t end = std::min(names.find(',', at), names.size());
    std::string name = names.substr(at, end - at);
    at = end + 1;
    bool *check = name == "alignment"     ? &checks.alignment
                  : name == "initialised" ? &checks.initialised
                  : name == "races"       ? &checks.races
                  : name == "barriers"    ? &checks.barriers
                  : name == "copies"      ? &checks.copies
                                          : nullptr;
    if (check && *check)
      return {StatusCode::InvalidArgument,
              "--checks names \"" + name + "\" twice; leave one out"};
    if (!check)
      return {StatusCode::InvalidArgument,
              "--checks: expected all, none, or some of alignment, "
              "initialised, races, barriers, copies; got \"" +
                  name + "\""};
    *check = true;
  }
  return {};
}

namespace {

/// What the launch's options are made of, as it was typed.
struct Words {
  std::string grid = "1", block = "32", checks = "all";
};

} // namespace

static void declareLaunch(CLI::App &app, emulate::EmulateOptions &options,
                          Words &words) {
  app.add_option("ptx", options.ptx,
                 "file or pipe of PTX text; -: standard input")
      ->required();
  app.add_option("--kernel", options.kernel,
                 "name of the kernel [the file's only one]");
  app.add_option("--grid", words.grid, "blocks: X,Y,Z [1]");
  app.add_option("--block", words.block, "threads of a block: X,Y,Z [32]");
  app.add_option("--shared", options.shared,
                 "bytes of dynamic shared memory [0]")
      ->check(cli::between(0, int64_t(227) * 1024));
  app.add_option("--args", options.arguments,
                 ".npz with arg0, arg1, …: arrays are copied to the device "
                 "and back, 0-d arrays are passed by value");
  app.add_option("--out", options.output,
                 ".npz to write the arrays to, as the kernel left them; "
                 "without it a note says how many were changed");
}

static void declareChecks(CLI::App &app, emulate::EmulateOptions &options,
                          Words &words) {
  app.add_option("--schedules", options.schedules,
                 "run under this many orders of warps and blocks; results "
                 "that differ are an error [1]")
      ->check(cli::between(1, 1000000));
  app.add_option("--seed", options.launch.seed, "of the first schedule [0]");
  app.add_option("--checks", words.checks,
                 "all, none, or some of alignment, initialised, races, "
                 "barriers, copies with commas between; bounds are always "
                 "checked [all]");
  app.add_option("--findings", options.launch.maximumFindings,
                 "findings to report before the kernel is stopped [1]")
      ->check(cli::between(1, 1000000));
  app.add_option("--max-instructions", options.launch.maximumInstructions,
                 "of one warp; then the kernel is stopped; 0: none [2^28]");
  app.add_option("--threads", options.launch.threads,
                 "of the host; 0: one for each processor [0]")
      ->check(cli::between(0, 1024));
}

static void declareStatistics(CLI::App &app, emulate::EmulateOptions &options) {
  auto *statistics = app.add_flag(
      "--stats", options.statistics,
      "print instructions by kind, bytes by space, bank conflicts");
  auto *json = app.add_flag("--json", options.json, "the same as JSON");
  app.add_flag("--time", options.time,
               "print lane instructions and processor seconds of the launch "
               "as JSON")
      ->excludes(statistics)
      ->excludes(json);
}

static Status work(emulate::EmulateOptions &options, const Words &words) {
  QOPT_RETURN_IF_ERROR(cli::checkOutput("--out", options.output,
                                        cli::OutputKind::Npz,
                                        {options.ptx, options.arguments}));
  QOPT_RETURN_IF_ERROR(parseExtent("--grid", words.grid, options.grid));
  QOPT_RETURN_IF_ERROR(parseExtent("--block", words.block, options.block));
  QOPT_RETURN_IF_ERROR(parseChecks(words.checks, options.launch.checks));
  options.launch.countMemory = options.statistics || options.json;
  return emulate::runKernel(options);
}

int main(int argc, char **argv) {
  CLI::App app("Runs a kernel of a PTX file on the processor and checks every "
               "access.\nWhat the kernel prints goes to standard output, with "
               "--json and --time to standard error.\n",
               "qopt-emulate");
  emulate::EmulateOptions options;
  Words words;
  declareLaunch(app, options, words);
  declareChecks(app, options, words);
  declareStatistics(app, options);
  cli::addExamples(
      app, {"qopt-emulate scale.ptx --kernel scale --grid 4 --block 64 "
            "--args args.npz --out out.npz",
            "qopt-emulate scale.ptx --grid 4,1,1 --block 64,1,1 --args "
            "args.npz --out out.npz --schedules 8",
            "qopt-emulate scale.ptx --grid 4 --block 64 --args args.npz "
            "--checks none --stats"});
  return cli::run(app, argc, argv, [&] { return work(options, words); });
}
