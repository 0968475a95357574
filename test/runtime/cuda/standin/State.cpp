// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "State.h"

#include "Standin.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace qopt;
using namespace qopt::standin;

thread_local bool standin::hasContext = false;
thread_local Stream *standin::capturedStream = nullptr;

Settings Settings::parse(const std::string &text) {
  Settings settings;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    size_t equals = part.find('=');
    std::string name = part.substr(0, equals), value = part.substr(equals + 1);
    size_t last = value.rfind(':'), first = value.find(':');
    auto number = [&](size_t from) { return std::atoi(value.c_str() + from); };
    if (name == "version")
      settings.version = number(0);
    else if (name == "devices")
      settings.devices = number(0);
    else if (name == "memory")
      settings.memory = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "shared")
      settings.shared = number(0);
    else if (name == "checks")
      settings.launch.checks =
          number(0) ? emulator::Checks::all() : emulator::Checks::none();
    else if (name == "schedules")
      settings.schedules = unsigned(number(0));
    else if (name == "capability")
      std::sscanf(value.c_str(), "%d.%d", &settings.major, &settings.minor);
    else if (name == "fail")
      settings.failures.push_back(
          {value.substr(0, first), number(first + 1), number(last + 1)});
    else if (name == "fault")
      settings.faultCountdown = number(0), settings.fault = number(last + 1);
    else
      std::fprintf(stderr, "stand-in: no setting '%s'\n", part.c_str());
  }
  return settings;
}

State &State::get() {
  static State state;
  return state;
}

State::State() {
  if (const char *text = std::getenv("QOPT_STANDIN"))
    settings = Settings::parse(text);
}

State::~State() {
  if (const char *path = std::getenv("QOPT_STANDIN_LOG")) {
    std::ofstream log(path);
    for (const auto &call : calls)
      log << *call << '\n';
  }
  if (const char *path = std::getenv("QOPT_STANDIN_TRAFFIC")) {
    std::ofstream log(path);
    for (const std::string &kernel : traffic)
      log << kernel << '\n';
  }
}

Result State::record(const char *call, const std::string &details) {
  calls.push_back(std::make_unique<std::string>(
      details.empty() ? call : std::string(call) + " " + details));
  for (Settings::Failure &failure : settings.failures)
    if (failure.call == call && --failure.countdown == 0) {
      *calls.back() += " result=" + std::to_string(failure.result);
      return failure.result;
    }
  return lost;
}

Result State::runKernel(const std::function<Status()> &kernel) {
  if (settings.faultCountdown > 0 && --settings.faultCountdown == 0)
    return settings.fault;
  Status done = kernel();
  if (done.ok())
    return cuda::api::success;
  std::fprintf(stderr, "stand-in: %s\n", done.message().c_str());
  return cuda::api::illegalAddress;
}

Result State::run(Stream &stream) {
  std::vector<Node> pending = std::move(stream.pending);
  stream.pending.clear();
  for (const Node &node : pending) {
    if (lost)
      return lost;
    if (Result result = node.work()) {
      if (result >= cuda::api::illegalAddress)
        lost = result;
      return result; // the rest of the stream is dropped
    }
  }
  return cuda::api::success;
}

Result State::runAll() {
  Result first = cuda::api::success;
  for (Stream *stream : streams)
    if (Result result = run(*stream); !first)
      first = result;
  return first;
}

bool State::isPinned(const void *host, size_t bytes) const {
  auto after = hostMemory.upper_bound(const_cast<void *>(host));
  if (after == hostMemory.begin())
    return false;
  auto [begin, size] = *std::prev(after);
  auto offset = size_t(static_cast<const char *>(host) -
                       static_cast<const char *>(begin));
  return offset <= size && bytes <= size - offset;
}

extern "C" {
[[gnu::visibility("default")]] void standinConfigure(const char *settings) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  state.settings = Settings::parse(settings);
  state.calls.clear();
  state.lost = 0;
}

[[gnu::visibility("default")]] size_t standinCallCount() {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  return state.calls.size();
}

[[gnu::visibility("default")]] const char *standinCall(size_t index) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  return index < state.calls.size() ? state.calls[index]->c_str() : nullptr;
}

[[gnu::visibility("default")]] size_t standinLive(const char *kind) {
  State &state = State::get();
  std::lock_guard lock(state.mutex);
  const std::map<std::string, size_t> counts = {
      {"context", size_t(state.contexts)},
      {"memory", state.allocations.size()},
      {"host", state.hostMemory.size()},
      {"module", state.modules.size()},
      {"stream", state.streams.size()},
      {"graph", state.graphs.size()},
      {"executable", state.executables.size()}};
  auto found = counts.find(kind);
  return found == counts.end() ? size_t(-1) : found->second;
}
}
