// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CompileModel.h"

#include "tools/cli/ExitCode.h"
#include "tools/cli/Progress.h"
#include "tools/io/FileAccess.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace qopt::cli {

namespace fs = std::filesystem;

namespace {

/// A folder that goes with all that is in it.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::error_code error;
    std::string name =
        (fs::temp_directory_path(error) / "qopt-XXXXXX").string();
    if (mkdtemp(name.data()))
      path = name;
  }
  ~TemporaryFolder() {
    std::error_code error;
    if (!path.empty())
      fs::remove_all(path, error);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  fs::path path; ///< empty: it could not be made
};

} // namespace

/// The status behind an exit code of a tool.
static StatusCode statusOf(int exitCode) {
  for (StatusCode code :
       {StatusCode::InvalidArgument, StatusCode::NotFound, StatusCode::BadModel,
        StatusCode::Unsupported, StatusCode::Infeasible,
        StatusCode::BadArtifact, StatusCode::OutOfResources,
        StatusCode::GateFailed, StatusCode::Unwritable, StatusCode::Cancelled})
    if (int(exitCodeOf(code)) == exitCode)
      return code;
  return StatusCode::Internal;
}

/// Runs `arguments[0]` with standard output dropped and standard error in the
/// file `messages`; its exit code.
static StatusOr<int> spawn(std::vector<std::string> arguments,
                           const std::string &messages) {
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  // The user's interrupt ends the compiler; this program stays to clean up.
  auto before = signal(SIGINT, SIG_IGN);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  int failed = posix_spawn(&child, pointers[0], &actions, &attributes,
                           pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed)
    return Status(StatusCode::Internal, "cannot start '" + arguments[0] +
                                            "': " + std::strerror(failed));
  int state = 0;
  while (waitpid(child, &state, 0) < 0)
    if (errno != EINTR)
      return Status(StatusCode::Internal,
                    "lost '" + arguments[0] + "': " + std::strerror(errno));
  signal(SIGINT, before);
  if (WIFSIGNALED(state) && WTERMSIG(state) == SIGINT)
    return Status(StatusCode::Cancelled, "interrupted while compiling");
  if (WIFSIGNALED(state))
    return Status(StatusCode::Internal, "'" + arguments[0] +
                                            "' was ended by signal " +
                                            std::to_string(WTERMSIG(state)));
  return WEXITSTATUS(state);
}

StatusOr<std::shared_ptr<const Artifact>>
compileAndOpen(const std::string &model, const OpenOptions &options) {
  std::error_code error;
  fs::path compiler =
      fs::read_symlink("/proc/self/exe", error).parent_path() / "qopt-compile";
  if (error || !fs::exists(compiler, error))
    return Status(StatusCode::NotFound,
                  "'" + model + "' is a model that is not compiled yet, and " +
                      "there is no qopt-compile beside this program; run: " +
                      "qopt-compile " + model + " -o model.qopt");
  TemporaryFolder folder;
  if (folder.path.empty())
    return Status(StatusCode::OutOfResources,
                  std::string("cannot make a temporary folder: ") +
                      std::strerror(errno));
  note("compiling '" + model + "' for this run; qopt-compile makes an " +
       "artifact that stays");
  std::string artifact = (folder.path / "model.qopt").string();
  std::string messages = (folder.path / "messages").string();
  StatusOr<int> exitCode =
      spawn({compiler.string(), model, "-o", artifact}, messages);
  if (!exitCode.ok())
    return exitCode.status();
  if (*exitCode != 0) {
    StatusOr<std::string> said = io::readText(messages);
    std::string text = said.ok() ? *said : "";
    if (text.rfind("error: ", 0) == 0)
      text.erase(0, std::strlen("error: "));
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return Status(statusOf(*exitCode), text);
  }
  return Artifact::open(artifact, {.trust = options.trust, .name = model});
}

} // namespace qopt::cli
