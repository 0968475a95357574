// attention-decode make CASE FOLDER    writes kernel.ptx, args.npz and
//                                      launch.txt: how the kernel is launched
// attention-decode check CASE OUT.npz  compares what a launch left with softmax
//                                      in double
// attention-decode plan CASE           prints the schedule and its cost
// A program for tests on an emulator or a GPU; Case.h says what a CASE is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"
#include "Case.h"

#include "lib/Io/Npz.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <fstream>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

static int fail(const std::string &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

static std::string launchText(const Case &test) {
  const Launch &launch = test.launch;
  std::string text =
      "kernel " + symbolOf(test.problem, test.schedule, *test.target) + "\n";
  text += "grid " + std::to_string(launch.x) + "," + std::to_string(launch.y) +
          "," + std::to_string(launch.z) + "\n";
  text += "block " + std::to_string(launch.threads) + ",1,1\n";
  text += "shared " + std::to_string(launch.sharedBytes) + "\n";
  text += "arguments query output pages page_table token_starts context_starts "
          "workspace counters";
  if (test.problem.slopes)
    text += " slopes";
  if (test.problem.sinks)
    text += " sinks";
  return text + "\n";
}

static bool write(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  return bool(file);
}

static int make(const Case &test, const std::string &folder) {
  StatusOr<std::string> ptx = buildPtx(test);
  if (!ptx)
    return fail(ptx.status().message());
  if (!write(folder + "/kernel.ptx", *ptx) ||
      !write(folder + "/launch.txt", launchText(test)))
    return fail("cannot write to " + folder);
  std::vector<TensorView> views;
  Arrays arrays = makeArrays(test);
  for (const Tensor &argument : arrays.arguments)
    views.push_back(argument.view());
  if (Status status = io::writeNpz(folder + "/args.npz", views); !status)
    return fail(status.message());
  return 0;
}

static int check(const Case &test, const std::string &path) {
  auto out = io::readNpz(path);
  if (!out)
    return fail(out.status().message());
  const Tensor *output = nullptr, *counters = nullptr;
  for (const Tensor &array : *out) {
    if (array.name() == "arg1")
      output = &array;
    if (array.name() == "arg7")
      counters = &array;
  }
  if (!output || !counters)
    return fail("the result and the counters are missing");
  Status status =
      attention_decode::check(test, makeArrays(test), *output, *counters);
  return status ? 0 : fail(status.message());
}

static int plan(const Case &test) {
  const Schedule &schedule = test.schedule;
  Plan plan = planOf(test.problem, schedule);
  llvm::outs() << launchText(test) << "warps " << schedule.warps << " rows "
               << schedule.rows() << " tile " << schedule.tile << " stages "
               << schedule.stages << " of " << plan.stageBytes << " workspace "
               << test.launch.workspaceBytes << "\n";
  const SequenceCase &sequence = test.sequences.front();
  auto predict = schedule.division == Division::Rows ? attention_prefill::costOf
                                                     : attention_decode::costOf;
  Cost cost = predict(test.problem, schedule, *test.target,
                      int64_t(test.sequences.size()), sequence.tokens,
                      sequence.tokens + sequence.context);
  for (const CostTerm &term : cost.terms)
    llvm::outs() << llvm::format("%8.2f us  ", term.seconds * 1e6) << term.name
                 << ": " << term.why << "\n";
  llvm::outs() << llvm::format("%8.2f us  ", cost.seconds * 1e6) << "of which "
               << int(cost.roofPart * 100) << " % at the roof\n";
  return 0;
}

int main(int argc, char **argv) {
  std::string verb = argc > 2 ? argv[1] : "";
  if (verb.empty() || (verb != "plan" && argc != 4))
    return fail("expected make|check CASE PATH or plan CASE");
  auto test = parseCase(argv[2]);
  if (!test)
    return fail(test.status().message());
  if (verb == "plan")
    return plan(*test);
  return verb == "make" ? make(*test, argv[3]) : check(*test, argv[3]);
}
