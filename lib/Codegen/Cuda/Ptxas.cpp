// The assembler's process, its cache, and jobs in parallel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/Ptxas.h"

#include "lib/Codegen/Cuda/CudaTool.h"
#include "lib/Codegen/KeyDigest.h"
#include "lib/Codegen/TemporaryFolder.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

using namespace qopt;
using namespace qopt::codegen;

static constexpr llvm::StringRef optimisation = "-O3";

/// "13.0.88" of "Cuda compilation tools, release 13.0, V13.0.88".
static std::string parseVersion(llvm::StringRef text) {
  size_t at = text.rfind(", V");
  if (at == llvm::StringRef::npos)
    return "";
  return text.substr(at + 3)
      .take_while([](char c) { return c == '.' || (c >= '0' && c <= '9'); })
      .str();
}

StatusOr<Ptxas> Ptxas::find() {
  StatusOr<std::string> program = findCudaTool("ptxas", "QOPT_PTXAS");
  if (!program)
    return program.status();
  StatusOr<ToolOutput> output = runCudaTool(*program, {"--version"});
  if (!output)
    return output.status();
  std::string release = parseVersion(output->text);
  if (output->status != 0 || release.empty())
    return Status(StatusCode::NotFound,
                  "\"" + *program +
                      "\" does not tell its version; expected NVIDIA's ptxas");
  return Ptxas(*program, release);
}

/// What ptxas complained of, without the name of a file that is gone.
static std::string complaint(std::string text, const std::string &path) {
  for (size_t at; (at = text.find(path)) != std::string::npos;)
    text.replace(at, path.size(), "kernels.ptx");
  return llvm::StringRef(text).trim().str();
}

StatusOr<Ptxas::Output> Ptxas::run(const AssemblyJob &job) const {
  TemporaryFolder folder("qopt-ptxas");
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string input = folder.file("kernels.ptx");
  std::string output = folder.file("kernels.cubin");
  QOPT_RETURN_IF_ERROR(writeFile(input, job.ptx));
  std::string arch = "-arch=" + std::string(job.target->name);
  StatusOr<ToolOutput> done =
      runCudaTool(program, {optimisation, arch, "-v", input, "-o", output});
  if (!done)
    return done.status();
  if (done->status != 0)
    return Status(StatusCode::Internal,
                  "ptxas " + release + " rejects the generated code for " +
                      std::string(job.target->name) + ": " +
                      complaint(done->text, input));
  StatusOr<std::string> cubin = readFile(output);
  if (!cubin)
    return cubin.status();
  return Output{complaint(done->text, input), std::move(*cubin)};
}

/// A digest of all that the assembler sees.
std::string Ptxas::keyOf(const AssemblyJob &job) const {
  KeyDigest key;
  for (llvm::StringRef part :
       {llvm::StringRef("ptxas"), llvm::StringRef(release), optimisation,
        llvm::StringRef(job.target->name), llvm::StringRef(job.ptx)})
    key.add(part);
  return key.finish();
}

StatusOr<Assembly> Ptxas::assemble(const AssemblyJob &job,
                                   const CodeCache &cache) const {
  std::string key = keyOf(job);
  Output output;
  auto entry = cache.load(key, 2);
  if (entry) {
    output = {std::move((*entry)[0]), std::move((*entry)[1])};
  } else {
    StatusOr<Output> fresh = run(job);
    if (!fresh)
      return fresh.status();
    output = std::move(*fresh);
    cache.store(key, {output.report, output.cubin});
  }
  Assembly assembly{std::move(output.cubin), parsePtxasReport(output.report),
                    entry.has_value()};
  // ptxas goes from the last kernel to the first; the text's order is ours.
  auto place = [&](const KernelResources &kernel) {
    return job.ptx.find(".entry " + kernel.symbol + "(");
  };
  std::sort(assembly.kernels.begin(), assembly.kernels.end(),
            [&](auto &a, auto &b) { return place(a) < place(b); });
  QOPT_RETURN_IF_ERROR(readCodeSizes(assembly.cubin, assembly.kernels));
  return assembly;
}

StatusOr<std::vector<Assembly>>
Ptxas::assemble(const std::vector<AssemblyJob> &jobs, const CodeCache &cache,
                unsigned threads) const {
  std::vector<std::optional<StatusOr<Assembly>>> results(jobs.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i; (i = next++) < jobs.size();)
      results[i] = assemble(jobs[i], cache);
  };
  std::vector<std::thread> workers;
  for (size_t i = 1; i < std::min<size_t>(threads, jobs.size()); ++i)
    workers.emplace_back(work);
  work();
  for (std::thread &worker : workers)
    worker.join();
  std::vector<Assembly> assemblies;
  for (auto &result : results) {
    if (!*result)
      return result->status();
    assemblies.push_back(std::move(**result));
  }
  return assemblies;
}
