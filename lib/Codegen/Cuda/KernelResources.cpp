// The reader of ptxas' report, and what hot kernels may not have.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/KernelResources.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELF.h"

using namespace qopt;
using namespace qopt::codegen;

/// The text between the first pair of single quotes behind `marker`.
static std::optional<llvm::StringRef> quotedAfter(llvm::StringRef line,
                                                  llvm::StringRef marker) {
  size_t at = line.find(marker);
  if (at == llvm::StringRef::npos)
    return std::nullopt;
  auto [before, behind] = line.substr(at + marker.size()).split('\'');
  (void)before;
  size_t end = behind.find('\'');
  if (end == llvm::StringRef::npos)
    return std::nullopt;
  return behind.take_front(end);
}

/// The number before `unit` in "…, 24 registers, used 1 barriers".
static int numberBefore(llvm::StringRef line, llvm::StringRef unit) {
  size_t at = line.find(unit);
  if (at == llvm::StringRef::npos)
    return 0;
  llvm::StringRef before = line.take_front(at).rtrim();
  size_t begin = before.find_last_not_of("0123456789");
  int value = 0;
  (void)before.drop_front(begin == llvm::StringRef::npos ? 0 : begin + 1)
      .getAsInteger(10, value);
  return value;
}

/// Whether a line carries an advisory of the kind that costs speed.
static bool isAdvisory(llvm::StringRef line) {
  size_t at = line.find("C75");
  return at != llvm::StringRef::npos && line.size() > at + 4 &&
         llvm::isDigit(line[at + 3]) && llvm::isDigit(line[at + 4]);
}

namespace {
class ReportReader {
public:
  void read(llvm::StringRef line);
  std::vector<KernelResources> finish();

private:
  KernelResources *find(llvm::StringRef symbol) {
    for (KernelResources &kernel : kernels)
      if (kernel.symbol == symbol)
        return &kernel;
    return nullptr;
  }

  std::vector<KernelResources> kernels;
  std::vector<std::pair<std::string, std::string>> advisories;
  /// The kernel whose properties the lines are of; device functions have some
  /// too, and those count for the kernel that was announced before them.
  std::string current;
};
} // namespace

void ReportReader::read(llvm::StringRef line) {
  if (isAdvisory(line)) {
    std::optional<llvm::StringRef> symbol = quotedAfter(line, "function");
    advisories.emplace_back(symbol.value_or("").str(), line.trim().str());
    return;
  }
  if (auto symbol = quotedAfter(line, "Compiling entry function")) {
    current = symbol->str();
    kernels.emplace_back().symbol = current;
    return;
  }
  KernelResources *kernel = find(current);
  if (!kernel)
    return;
  if (line.contains("bytes stack frame")) {
    kernel->localBytes += numberBefore(line, "bytes stack frame");
    kernel->spillStoreBytes += numberBefore(line, "bytes spill stores");
    kernel->spillLoadBytes += numberBefore(line, "bytes spill loads");
  } else if (line.contains(" registers")) {
    kernel->registers = numberBefore(line, "registers");
    kernel->barriers = numberBefore(line, "barriers");
    kernel->sharedBytes = numberBefore(line, "bytes smem");
  }
}

std::vector<KernelResources> ReportReader::finish() {
  for (auto &[symbol, text] : advisories)
    for (KernelResources &kernel : kernels)
      if (symbol.empty() || !find(symbol) || kernel.symbol == symbol)
        kernel.advisories.push_back(text);
  return std::move(kernels);
}

std::vector<KernelResources> codegen::parsePtxasReport(llvm::StringRef report) {
  ReportReader reader;
  while (!report.empty()) {
    auto [line, rest] = report.split('\n');
    reader.read(line);
    report = rest;
  }
  return reader.finish();
}

Status codegen::readCodeSizes(llvm::StringRef cubin,
                              std::vector<KernelResources> &kernels) {
  auto damaged = [](llvm::Error error) {
    return Status(StatusCode::Internal, "the assembled code is no ELF file: " +
                                            llvm::toString(std::move(error)));
  };
  auto file = llvm::object::ELF64LEFile::create(cubin);
  if (!file)
    return damaged(file.takeError());
  auto sections = file->sections();
  if (!sections)
    return damaged(sections.takeError());
  for (KernelResources &kernel : kernels) {
    kernel.codeBytes = 0;
    for (const auto &section : *sections) {
      auto name = file->getSectionName(section);
      if (!name)
        return damaged(name.takeError());
      if (*name == ".text." + kernel.symbol)
        kernel.codeBytes = static_cast<int64_t>(section.sh_size);
    }
    if (kernel.codeBytes == 0)
      return Status(StatusCode::Internal, "the assembled code lacks kernel \"" +
                                              kernel.symbol + "\"");
  }
  return {};
}

/// What is wrong with a hot kernel; empty when nothing is.
static std::string faultsOf(const KernelResources &kernel) {
  std::string text;
  auto add = [&](const std::string &fault) {
    text += (text.empty() ? "" : ", ") + fault;
  };
  if (kernel.spillStoreBytes || kernel.spillLoadBytes)
    add("spills " + std::to_string(kernel.spillStoreBytes) + " bytes");
  if (kernel.localBytes)
    add("uses " + std::to_string(kernel.localBytes) + " bytes of local memory");
  for (const std::string &advisory : kernel.advisories)
    add("has the advisory \"" + advisory + "\"");
  return text;
}

Status codegen::requireClean(
    const std::vector<KernelResources> &kernels,
    llvm::function_ref<bool(llvm::StringRef)> isHot,
    llvm::function_ref<std::string(llvm::StringRef)> scheduleOf,
    llvm::StringRef nextStep) {
  std::string text;
  for (const KernelResources &kernel : kernels) {
    if (!isHot(kernel.symbol))
      continue;
    std::string faults = faultsOf(kernel);
    if (faults.empty())
      continue;
    std::string schedule =
        scheduleOf ? " of schedule " + scheduleOf(kernel.symbol) : "";
    text += (text.empty() ? "" : "; ") +
            ("kernel \"" + kernel.symbol + "\"" + schedule + " " + faults +
             " (" + std::to_string(kernel.registers) + " registers)");
  }
  if (text.empty())
    return {};
  return Status(StatusCode::Infeasible,
                text + "; expected none. " + nextStep.str());
}
