// The search for the toolkit's programs, and their processes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaTool.h"

#include "lib/Codegen/TemporaryFolder.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

#include <dlfcn.h>

#include <algorithm>
#include <vector>

using namespace qopt;
using namespace qopt::codegen;

/// The entries of `folder` whose name starts with `prefix`, in order.
static std::vector<std::string> entries(const std::string &folder,
                                        llvm::StringRef prefix) {
  std::vector<std::string> found;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator i(folder, error), end;
       !error && i != end; i.increment(error))
    if (llvm::sys::path::filename(i->path()).starts_with(prefix))
      found.push_back(i->path());
  std::sort(found.begin(), found.end());
  return found;
}

/// This program's file and, where it is another, the library's with this code
/// (in a Python process).
static std::vector<std::string> ownFiles() {
  static int anchor;
  std::vector<std::string> files = {
      llvm::sys::fs::getMainExecutable(nullptr, &anchor)};
  Dl_info library;
  llvm::SmallString<128> path;
  if (dladdr(&anchor, &library) &&
      !llvm::sys::fs::real_path(library.dli_fname, path))
    files.push_back(path.str().str());
  return files;
}

/// The folders of programs in Python environments: those that lie in a folder
/// above this program or its library or are one of these folders (build/bin and
/// build/venv, venv/bin, venv/lib/python3.11/site-packages/qopt), nearest
/// first, and the active one.
static std::vector<std::string> packageFolders() {
  std::vector<std::string> environments;
  for (const std::string &file : ownFiles())
    for (llvm::StringRef folder = llvm::sys::path::parent_path(file);
         !folder.empty(); folder = llvm::sys::path::parent_path(folder)) {
      environments.push_back((folder + "/venv").str());
      environments.push_back(folder.str());
    }
  if (auto active = llvm::sys::Process::GetEnv("VIRTUAL_ENV"))
    environments.push_back(*active);
  std::vector<std::string> folders;
  for (const std::string &environment : environments)
    for (const std::string &python : entries(environment + "/lib", "python3"))
      for (const std::string &toolkit :
           entries(python + "/site-packages/nvidia", "cu"))
        folders.push_back(toolkit + "/bin");
  return folders;
}

StatusOr<std::string> codegen::findCudaTool(llvm::StringRef name,
                                            llvm::StringRef variable) {
  if (auto asked = llvm::sys::Process::GetEnv(variable)) {
    if (llvm::sys::fs::can_execute(*asked))
      return *asked;
    return Status(StatusCode::NotFound, variable.str() + " is \"" + *asked +
                                            "\", which cannot be run");
  }
  if (auto found = llvm::sys::findProgramByName(name))
    return *found;
  std::vector<std::string> folders = packageFolders();
  folders.insert(folders.begin(), "/usr/local/cuda/bin");
  for (const std::string &folder : folders) {
    std::string path = folder + "/" + name.str();
    if (llvm::sys::fs::can_execute(path))
      return path;
  }
  return Status(StatusCode::NotFound,
                "no " + name.str() + " on PATH, in /usr/local/cuda/bin or in " +
                    "the Python environment; install the CUDA toolkit or set " +
                    variable.str());
}

StatusOr<ToolOutput>
codegen::runCudaTool(llvm::StringRef program,
                     llvm::ArrayRef<llvm::StringRef> arguments) {
  TemporaryFolder folder("qopt-tool");
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string output = folder.file("output");
  llvm::SmallVector<llvm::StringRef> words{program};
  words.append(arguments.begin(), arguments.end());
  std::optional<llvm::StringRef> redirects[] = {
      llvm::StringRef(""), llvm::StringRef(output), llvm::StringRef(output)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(program, words, std::nullopt,
                                         redirects, 0, 0, &message);
  if (status < 0)
    return Status(StatusCode::Internal,
                  "cannot run \"" + program.str() + "\": " + message);
  StatusOr<std::string> text = readFile(output);
  if (!text)
    return text.status();
  return ToolOutput{status, std::move(*text)};
}
