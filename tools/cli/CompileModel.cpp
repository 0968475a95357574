// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CompileModel.h"

#include "lib/Io/FileAccess.h"
#include "tools/cli/ExitCode.h"
#include "tools/cli/Progress.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace qopt::cli {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  const char *asked = std::getenv("TMPDIR");
  parent = asked && *asked ? asked : "/tmp";
  std::string name = (fs::path(parent) / "qopt-XXXXXX").string();
  if (mkdtemp(name.data()))
    path = name;
  else
    error = errno;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code unused;
  if (!path.empty())
    fs::remove_all(path, unused);
}

Status TemporaryFolder::made() const {
  if (!path.empty())
    return {};
  return {error == ENOSPC ? StatusCode::OutOfResources : StatusCode::Unwritable,
          "cannot make a temporary folder in '" + parent +
              "': " + std::strerror(error) +
              "; set TMPDIR to a folder that can be written"};
}

namespace {

/// What asks a program to end; each ends the compiler, and this program stays
/// to clean up.
constexpr int endings[] = {SIGINT, SIGTERM, SIGHUP};
volatile sig_atomic_t compilerProcess = 0, asked = 0;

void endCompiler(int number) {
  asked = number;
  if (compilerProcess > 0)
    kill(pid_t(compilerProcess), number);
}

/// Passes the signals on for as long as it lives; one that came while no
/// compiler ran has its effect afterwards.
class PassedSignals {
public:
  PassedSignals() {
    for (size_t i = 0; i < std::size(endings); ++i)
      if ((before[i] = signal(endings[i], endCompiler)) == SIG_IGN)
        signal(endings[i], SIG_IGN); // as under nohup
  }
  ~PassedSignals() {
    for (size_t i = 0; i < std::size(endings); ++i)
      signal(endings[i], before[i]);
    if (int number = asked) {
      asked = 0;
      raise(number);
    }
  }
  PassedSignals(const PassedSignals &) = delete;
  PassedSignals &operator=(const PassedSignals &) = delete;

private:
  void (*before[std::size(endings)])(int) = {};
};

} // namespace

/// The status behind an exit code of a tool.
static StatusCode statusOf(int exitCode) {
  for (StatusCode code :
       {StatusCode::InvalidArgument, StatusCode::NotFound, StatusCode::BadModel,
        StatusCode::Unsupported, StatusCode::Infeasible,
        StatusCode::BadArtifact, StatusCode::OutOfResources,
        StatusCode::GateFailed, StatusCode::Unwritable,
        StatusCode::DeviceFailed, StatusCode::Cancelled})
    if (int(exitCodeOf(code)) == exitCode)
      return code;
  return StatusCode::Internal;
}

/// Runs `arguments[0]` with standard output in the file `output` and standard
/// error in the file `messages`; its exit code.
static StatusOr<int> spawn(std::vector<std::string> arguments,
                           const std::string &output,
                           const std::string &messages) {
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  int failed = posix_spawn(&child, pointers[0], &actions, nullptr,
                           pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed)
    return Status(StatusCode::Internal, "cannot start '" + arguments[0] +
                                            "': " + std::strerror(failed));
  compilerProcess = child;
  if (asked) // before there was a compiler to end
    kill(child, asked);
  int state = 0;
  while (waitpid(child, &state, 0) < 0)
    if (errno != EINTR)
      return Status(StatusCode::Internal,
                    "lost '" + arguments[0] + "': " + std::strerror(errno));
  compilerProcess = 0;
  bool wasAsked = asked != 0;
  asked = 0;
  if (wasAsked || (WIFSIGNALED(state) && WTERMSIG(state) == SIGINT))
    return Status(StatusCode::Cancelled, "interrupted while compiling");
  if (WIFSIGNALED(state))
    return Status(StatusCode::Internal, "'" + arguments[0] +
                                            "' was ended by signal " +
                                            std::to_string(WTERMSIG(state)));
  return WEXITSTATUS(state);
}

/// The compiler beside this program; empty where there is none.
static std::string compilerPath() {
  std::error_code error;
  fs::path compiler =
      fs::read_symlink("/proc/self/exe", error).parent_path() / "qopt-compile";
  return error || !fs::exists(compiler, error) ? "" : compiler.string();
}

StatusOr<std::string> runCompiler(const std::vector<std::string> &arguments) {
  std::vector<std::string> command = {compilerPath()};
  if (command[0].empty())
    return Status(StatusCode::NotFound,
                  "there is no qopt-compile beside this program");
  command.insert(command.end(), arguments.begin(), arguments.end());
  PassedSignals signals;
  TemporaryFolder folder;
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string output = folder.file("output");
  std::string messages = folder.file("messages");
  StatusOr<int> exitCode = spawn(command, output, messages);
  if (!exitCode.ok())
    return exitCode.status();
  if (*exitCode == 0)
    return io::readText(output);
  StatusOr<std::string> said = io::readText(messages);
  std::string text = said.ok() ? "\n" + *said : "";
  // What it told before, of a calibration, is no part of the error.
  const std::string mark = "\nerror: ";
  size_t at = text.find(mark);
  text.erase(0, at == std::string::npos ? 0 : at + mark.size());
  while (text.starts_with("\n"))
    text.erase(0, 1);
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return Status(statusOf(*exitCode), text);
}

StatusOr<std::shared_ptr<const Artifact>>
compileAndOpen(const std::string &model, const OpenOptions &options,
               const std::string &device) {
  bool gpu = device.starts_with("cuda") || device.starts_with("emulator");
  if (compilerPath().empty())
    return Status(StatusCode::NotFound,
                  "'" + model + "' is a model that is not compiled yet, and " +
                      "there is no qopt-compile beside this program; run: " +
                      "qopt-compile " + model + (gpu ? " --target cuda" : "") +
                      " -o model.qopt");
  PassedSignals signals; // has its effect when the folder is gone
  TemporaryFolder folder;
  QOPT_RETURN_IF_ERROR(folder.made());
  note("compiling '" + model + "' for this run; qopt-compile makes an " +
       "artifact that stays");
  std::string artifact = folder.file("model.qopt");
  StatusOr<std::string> done =
      runCompiler({model, "--target", gpu ? "cuda" : "host", "-o", artifact});
  if (!done.ok())
    return done.status();
  return Artifact::open(artifact, {.trust = options.trust, .name = model});
}

} // namespace qopt::cli
