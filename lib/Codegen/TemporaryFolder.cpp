// The list of the folders that are there, for a program that has to end.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/TemporaryFolder.h"

#include "lib/Codegen/RemoveTemporaryFolders.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <set>

using namespace qopt;
using namespace qopt::codegen;

namespace {
struct Folders {
  std::mutex mutex;
  std::set<std::string> paths;
};
} // namespace

/// Never destroyed: a program may end while others still use it.
static Folders &folders() {
  static Folders &all = *new Folders;
  return all;
}

TemporaryFolder::TemporaryFolder(llvm::StringRef prefix) {
  std::lock_guard<std::mutex> lock(folders().mutex);
  error = llvm::sys::fs::createUniqueDirectory(prefix, path);
  if (!error)
    folders().paths.insert(std::string(path));
}

Status TemporaryFolder::made() const {
  if (!error)
    return {};
  llvm::SmallString<128> parent;
  llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, parent);
  return Status(error == std::errc::no_space_on_device
                    ? StatusCode::OutOfResources
                    : StatusCode::Unwritable,
                "cannot make a temporary folder in '" + std::string(parent) +
                    "': " + error.message() +
                    "; set TMPDIR to a folder that can be written");
}

TemporaryFolder::~TemporaryFolder() {
  if (error)
    return;
  std::lock_guard<std::mutex> lock(folders().mutex);
  folders().paths.erase(std::string(path));
  // Nobody could do anything about what stays.
  (void)llvm::sys::fs::remove_directories(path);
}

std::unique_lock<std::mutex> codegen::removeTemporaryFolders() {
  std::unique_lock<std::mutex> lock(folders().mutex);
  for (const std::string &path : folders().paths) {
    // A program that is still at work there finds its folder no more, so it
    // cannot make a file while this removes them.
    std::string gone = path + "-gone";
    if (!llvm::sys::fs::rename(path, gone))
      (void)llvm::sys::fs::remove_directories(gone);
  }
  folders().paths.clear();
  return lock;
}

std::string TemporaryFolder::file(llvm::StringRef name) const {
  llvm::SmallString<128> full(path);
  llvm::sys::path::append(full, name);
  return std::string(full);
}

std::string codegen::userCache(llvm::StringRef name) {
  if (auto cache = llvm::sys::Process::GetEnv("XDG_CACHE_HOME");
      cache && !cache->empty())
    return *cache + "/qopt/" + name.str();
  llvm::SmallString<128> home;
  if (!llvm::sys::path::home_directory(home))
    return "";
  return std::string(home) + "/.cache/qopt/" + name.str();
}

Status codegen::writeFile(const std::string &path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error, llvm::sys::fs::OF_None);
  if (!error) {
    stream << bytes;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  if (error)
    return Status(StatusCode::OutOfResources,
                  "cannot write '" + path + "': " + error.message());
  return {};
}

StatusOr<std::string> codegen::readFile(const std::string &path) {
  auto bytes = llvm::MemoryBuffer::getFile(path, /*IsText=*/false);
  if (!bytes)
    return Status(StatusCode::OutOfResources,
                  "cannot read '" + path + "': " + bytes.getError().message());
  return (*bytes)->getBuffer().str();
}
