// qopt-translate: reads an ONNX file and prints the onnx dialect, a lowered
// model and prints its kernels, or kernels and prints PTX. A tool for people
// who work on the compiler, and for its tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "tools/cli/CommandLine.h"
#include "tools/cli/OutputFiles.h"
#include "tools/qopt-translate/Translation.h"

#include <cstdio>

using namespace qopt;

namespace {

struct Arguments {
  translate::TranslateOptions options;
  std::string output, arch = "sm_90a";
  bool importOnnx = false, toGpu = false, toPtx = false, operators = false;
};

} // namespace

static Status write(const std::string &text, const std::string &output) {
  if (output.empty() || output == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return cli::flushOutput();
  }
  auto file = io::FileWriter::create(output);
  if (!file.ok())
    return file.status();
  QOPT_RETURN_IF_ERROR((*file)->append(text));
  return (*file)->finish();
}

static Status work(const Arguments &arguments) {
  if (arguments.operators)
    return write(translate::listOperators(), "");
  if (!(arguments.importOnnx || arguments.toGpu || arguments.toPtx) ||
      arguments.options.model.empty())
    return {StatusCode::InvalidArgument,
            "nothing to do; expected --import-onnx and a model, --qopt-to-gpu "
            "and a lowered function, --qopt-to-ptx and kernels, or "
            "--operators"};
  if (arguments.output != "-")
    QOPT_RETURN_IF_ERROR(cli::checkOutput(
        "-o", arguments.output,
        arguments.toPtx ? cli::OutputKind::Ptx : cli::OutputKind::Mlir,
        {arguments.options.model}));
  if (arguments.toGpu) {
    StatusOr<std::string> gpu =
        translate::gpuOf(arguments.options.model, arguments.arch);
    return gpu.ok() ? write(*gpu, arguments.output) : gpu.status();
  }
  if (arguments.toPtx) {
    StatusOr<std::string> ptx =
        translate::ptxOf(arguments.options.model, arguments.arch);
    return ptx.ok() ? write(*ptx, arguments.output) : ptx.status();
  }
  StatusOr<std::string> text = translate::importAsText(arguments.options);
  return text.ok() ? write(*text, arguments.output) : text.status();
}

int main(int argc, char **argv) {
  CLI::App app("Prints an ONNX model as qopt's importer reads it, in the onnx "
               "dialect, the GPU kernels of a lowered model, or GPU kernels as "
               "PTX.\n",
               "qopt-translate");
  Arguments arguments;
  translate::TranslateOptions &options = arguments.options;
  auto *model = app.add_option("model", options.model,
                               "model.onnx or its folder, or a file of "
                               "MLIR, which may be a pipe; -: standard "
                               "input");
  auto *import = app.add_flag("--import-onnx", arguments.importOnnx,
                              "from ONNX to the onnx dialect");
  auto *output = app.add_option("-o,--output", arguments.output,
                                "file to write to [standard output]");
  auto *toGpu = app.add_flag("--qopt-to-gpu", arguments.toGpu,
                             "from what qopt-opt --qopt-cuda-lower-stage makes "
                             "to kernels in gpu.module")
                    ->excludes(import);
  auto *toPtx = app.add_flag("--qopt-to-ptx", arguments.toPtx,
                             "from kernels in gpu.module to PTX")
                    ->excludes(import)
                    ->excludes(toGpu);
  app.add_option("--arch", arguments.arch,
                 "architecture of the kernels; with --qopt-to-gpu one or more: "
                 "sm_90a,sm_80")
      ->excludes(import)
      ->capture_default_str();
  app.add_flag("--sizes", options.sizes,
               "write each result's sizes, as far as they are known, beside "
               "its op")
      ->needs(import);
  app.add_flag("--locations", options.locations,
               "print where each op comes from")
      ->needs(import);
  app.add_flag("--weights", options.weights,
               "print the bytes of weights, which are \"__elided__\" else")
      ->needs(import);
  app.add_flag("--operators", arguments.operators,
               "list the operators that can be read, as Markdown")
      ->excludes(import)
      ->excludes(toGpu)
      ->excludes(toPtx)
      ->excludes(output)
      ->excludes(model);
  cli::addExamples(
      app, {"qopt-translate --import-onnx model.onnx -o model.mlir",
            "qopt-translate --import-onnx --sizes --locations model.onnx",
            "qopt-translate --qopt-to-gpu lowered.mlir --arch sm_90a",
            "qopt-translate --qopt-to-ptx kernels.mlir --arch sm_90a",
            "qopt-translate --qopt-to-ptx - < kernels.mlir",
            "qopt-translate --operators"});
  return cli::run(app, argc, argv, [&] { return work(arguments); });
}
