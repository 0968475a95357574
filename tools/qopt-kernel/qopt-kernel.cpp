// qopt-kernel: makes one kernel of a family and the record of its launch. A
// tool for measuring and testing kernels outside of models.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/RemoveTemporaryFolders.h"
#include "lib/Io/FileAccess.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/EndingSignals.h"
#include "tools/cli/OutputFiles.h"
#include "tools/qopt-kernel/KernelTool.h"

#include <cstdio>
#include <filesystem>

using namespace qopt;

static Status write(const std::string &path, const std::string &bytes) {
  auto file = io::FileWriter::create(path);
  if (!file.ok())
    return file.status();
  QOPT_RETURN_IF_ERROR((*file)->append(bytes));
  return (*file)->finish();
}

/// The record, or one of the kernel's texts.
static Status print(const kernel_tool::MadeKernel &made,
                    const std::string &emit) {
  const std::string &text = emit == "gpu"    ? made.gpu
                            : emit == "ptx"  ? made.ptx
                            : emit == "sass" ? made.sass
                                             : made.record;
  if (text.empty()) // of machine code, for which a program is missing
    return Status(StatusCode::NotFound, made.note);
  std::fputs(text.c_str(), stdout);
  return cli::flushOutput();
}

static Status work(const kernel_tool::KernelRequest &request,
                   const std::string &output, const std::string &emit) {
  if (request.family == "list") {
    std::fputs(kernel_tool::listFamilies().c_str(), stdout);
    return cli::flushOutput();
  }
  std::string ptx = output + ".ptx", cubin = output + ".cubin",
              record = output + ".json";
  if (!output.empty()) {
    using cli::OutputKind;
    QOPT_RETURN_IF_ERROR(cli::checkOutput("-o", ptx, OutputKind::Ptx, {}));
    QOPT_RETURN_IF_ERROR(cli::checkOutput("-o", cubin, OutputKind::Cubin, {}));
    QOPT_RETURN_IF_ERROR(
        cli::checkOutput("-o", record, OutputKind::KernelRecord, {}));
  }
  std::string name = std::filesystem::path(output).filename().string();
  auto made = kernel_tool::makeKernel(request, name.empty() ? "kernel" : name);
  if (!made.ok())
    return made.status();
  if (!made->note.empty() && emit != "sass")
    std::fprintf(stderr, "note: %s\n", made->note.c_str());
  if (output.empty())
    return print(*made, emit);
  QOPT_RETURN_IF_ERROR(write(ptx, made->ptx));
  if (!made->cubin.empty())
    QOPT_RETURN_IF_ERROR(write(cubin, made->cubin));
  return write(record, made->record);
}

int main(int argc, char **argv) {
  CLI::App app("Makes one GPU kernel of a family, and a record of its launch, "
               "its resources and what it should cost.\n",
               "qopt-kernel");
  cli::cleanBeforeEnding(codegen::removeTemporaryFolders);
  kernel_tool::KernelRequest request;
  std::string output, emit = "record";
  bool ptxOnly = false;
  app.add_option("family", request.family,
                 "a family of kernels, or \"list\" for all of them with their "
                 "words")
      ->required();
  auto *problem = app.add_option(
      "problem", request.problem,
      "what differs from the family's example, as key=value; the "
      "last group of a row may be short, as in files of "
      "MatMulNBits");
  auto *schedule = app.add_option("--schedule", request.schedule,
                                  "what differs from the chosen schedule, as "
                                  "key=value,key=value");
  auto *arch =
      app.add_option("--arch", request.arch, "architecture of the kernel")
          ->capture_default_str();
  auto *only =
      app.add_flag("--ptx-only", ptxOnly, "do not look for an assembler");
  auto *to = app.add_option("-o,--output", output,
                            "writes OUTPUT.json, OUTPUT.ptx and OUTPUT.cubin "
                            "[the record on standard output]");
  auto *text =
      app.add_option(
             "--emit", emit,
             "print the kernel instead of its record: gpu, in the "
             "dialects gpu, nvvm and ptx, which qopt-opt reads; ptx; or "
             "sass, its machine code, disassembled")
          ->check(CLI::IsMember({"gpu", "ptx", "sass"}));
  cli::addExamples(
      app,
      {"qopt-kernel list",
       "qopt-kernel skinny_linear tokens=1 rows=4096 columns=4096 "
       "weights=int4_g128 -o o-m1",
       "qopt-kernel skinny_linear tokens=8 weights=int8 --schedule stages=3",
       "qopt-kernel skinny_linear rows=5120:1024 weights=int4_g128:int8",
       "qopt-kernel attention_decode sequences=32 key=int4 value=int4 --arch "
       "sm_80 --ptx-only -o decode",
       "qopt-kernel skinny_linear_append sequences=4 key=int4_g32 norm=1 "
       "--ptx-only -o append",
       "qopt-kernel norm rows=8 columns=4096 residual=1 result=int8 -o norm",
       "qopt-kernel norm rows=8 columns=4096 --emit gpu"});
  return cli::run(app, argc, argv, [&] {
    if (request.family == "list")
      QOPT_RETURN_IF_ERROR(
          cli::refuseGiven({problem, schedule, arch, only, to, text},
                           "is for a kernel, not for list"));
    if (text->count())
      QOPT_RETURN_IF_ERROR(cli::refuseGiven(
          {only, to}, "is for the record, and --emit prints the kernel"));
    request.assemble = !ptxOnly && emit != "gpu" && emit != "ptx";
    return work(request, output, emit);
  });
}
