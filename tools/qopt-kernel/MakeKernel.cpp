// From a request to PTX, machine code and the record of both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Cuda/Sass.h"
#include "lib/Quant/Element.h"
#include "tools/qopt-kernel/Family.h"
#include "tools/qopt-kernel/KernelTool.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>

namespace qopt::kernel_tool {

static constexpr Family families[] = {
    {"skinny_linear", describeSkinnyLinear},
    {"skinny_linear_append", describeSkinnyLinearAppend},
    {"gemm", describeGemm},
    {"gemm_append", describeGemmAppend},
    {"attention_decode", describeAttentionDecode},
    {"attention_prefill", describeAttentionPrefill},
    {"norm", describeNorm},
    {"quantize", describeQuantize},
    {"gated_activation", describeGatedActivation},
    {"rotary_table", describeRotaryTable},
    {"rotary_append", describeRotaryAppend},
    {"gather_rows", describeGatherRows},
    {"check_indices", describeCheckIndices},
    {"argmax", describeArgmax},
    {"sampling", describeSampling},
};

std::string nameOf(quant::ElementType type) {
  return std::string(quant::elementOf(type).name);
}

llvm::json::Array describeNumbers(quant::ElementType type) {
  const quant::Element &element = quant::elementOf(type);
  llvm::json::Array numbers;
  for (int code = 0; code < 1 << element.bits; ++code) {
    auto byte = uint8_t(code);
    float number;
    element.decode(&byte, 1, &number);
    if (std::isfinite(number))
      numbers.push_back(number);
    else
      numbers.push_back(nullptr);
  }
  return numbers;
}

std::string listFamilies() {
  std::string text;
  for (const Family &family : families) {
    Words problem, schedule;
    // What it makes does not matter, but the words that it asks for.
    (void)family.describe(problem, schedule, target::sm90a());
    text += std::string(family.name) + "\n  problem   " + problem.known() +
            "\n  schedule  " + schedule.known() + "\n";
  }
  return text;
}

static StatusOr<const Family *> findFamily(const std::string &name) {
  std::string names;
  for (const Family &family : families) {
    if (family.name == name)
      return &family;
    names += (names.empty() ? "" : ", ") + std::string(family.name);
  }
  return Status(StatusCode::InvalidArgument,
                "no family \"" + name + "\"; expected " + names);
}

/// Whether CUDA launches such a grid (programming guide, compute capabilities
/// 5.0 and later), with numbers of 32 bits.
static Status checkLaunch(const Description &description) {
  constexpr int64_t most[] = {INT32_MAX, 65535, 65535};
  for (const Argument &argument : description.arguments)
    if (argument.use == Use::Value && argument.value > INT32_MAX)
      return Status(StatusCode::Unsupported,
                    "\"" + argument.name + "\" would be " +
                        std::to_string(argument.value) + "; expected at most " +
                        std::to_string(INT32_MAX));
  for (size_t i = 0; i < 3; ++i)
    if (description.grid[i] > most[i])
      return Status(StatusCode::Unsupported,
                    "a grid of " + std::to_string(description.grid[i]) +
                        " blocks in " + "xyz"[i] + "; expected at most " +
                        std::to_string(most[i]));
  return Status();
}

/// Builds the kernel, as MLIR and as PTX.
static Status generate(const Description &description,
                       const target::Target &target, MadeKernel &made) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  auto built = description.build(kernels);
  if (!built)
    return built.status();
  if (failed(mlir::verify(*module)))
    return Status(StatusCode::Internal, "the kernel does not verify");
  made.gpu = codegen::printKernels(kernels, target);
  auto code =
      codegen::generatePtx(kernels, target, codegen::CodeCache::ofUser());
  if (failed(code))
    return Status(StatusCode::Internal, "the kernel has no PTX");
  made.ptx = code->text;
  return {};
}

/// Whether a loop begins within another and ends behind it: a jump back from
/// code that was moved out of a loop, and no loop of its own.
static bool isJumpBack(const codegen::SassLoop &loop,
                       const std::vector<codegen::SassLoop> &loops) {
  return llvm::any_of(loops, [&](const codegen::SassLoop &other) {
    return other.begin < loop.begin && loop.begin <= other.end &&
           other.end < loop.end;
  });
}

/// Of the loops with products of the tensor cores, none of them in a loop
/// within it (one that waits may be there), the one that does most besides
/// products and reads of shared memory: others only add activations. Without
/// products: the innermost loop that does most.
static const codegen::SassLoop *mainLoopOf(const codegen::SassKernel &kernel) {
  const codegen::SassLoop *best = nullptr, *holder = nullptr;
  std::pair<bool, int> bestRank;
  for (const codegen::SassLoop &loop : llvm::reverse(kernel.loops)) {
    if (isJumpBack(loop, kernel.loops))
      continue;
    auto counts = kernel.count(loop);
    bool products = counts["HMMA"] + counts["IMMA"] > 0;
    // Loops are visited from the last begin on, so inner before outer.
    bool outer = products ? holder && holder->begin >= loop.begin &&
                                holder->end <= loop.end
                          : !loop.innermost;
    if (products)
      holder = &loop;
    if (outer)
      continue;
    int rest = 0;
    for (const auto &[opcode, count] : counts)
      if (opcode != "HMMA" && opcode != "IMMA" && opcode != "LDS" &&
          opcode != "LDSM")
        rest += count;
    std::pair rank(products, rest);
    if (!best || rank > bestRank) {
      best = &loop;
      bestRank = rank;
    }
  }
  return best;
}

static llvm::json::Object describe(const codegen::KernelResources &resources,
                                   const Description &description,
                                   const target::Target &target) {
  llvm::json::Array advisories;
  for (const std::string &advisory : resources.advisories)
    advisories.push_back(advisory);
  int blocks = target.blocksPerMultiprocessor(
      description.threads, resources.registers,
      int(description.sharedBytes) + resources.sharedBytes);
  return llvm::json::Object{
      {"registers", resources.registers},
      {"shared_bytes", resources.sharedBytes},
      {"local_bytes", resources.localBytes},
      {"spill_bytes", resources.spillStoreBytes + resources.spillLoadBytes},
      {"code_bytes", resources.codeBytes},
      {"blocks_per_sm", blocks},
      {"advisories", std::move(advisories)}};
}

/// Instructions by opcode, of the kernel and of its main loop.
static llvm::json::Object countSass(const codegen::SassKernel &kernel) {
  auto describe = [](const std::map<std::string, int> &counts) {
    llvm::json::Object opcodes;
    int all = 0;
    for (const auto &[opcode, count] : counts) {
      opcodes[opcode] = count;
      all += count;
    }
    return llvm::json::Object{{"instructions", all},
                              {"opcodes", std::move(opcodes)}};
  };
  llvm::json::Object object{{"kernel", describe(kernel.count())}};
  if (const codegen::SassLoop *loop = mainLoopOf(kernel)) {
    llvm::json::Object described = describe(kernel.count(*loop));
    described["half_products"] = kernel.halfProducts(*loop);
    object["main_loop"] = std::move(described);
  }
  return object;
}

/// Fails where the schedule, whoever chose it, gives no clean code.
static Status requireClean(const codegen::Assembly &code,
                           const KernelRequest &request,
                           const llvm::json::Object &schedule) {
  auto spelled = [&](llvm::StringRef) { // as --schedule takes it
    std::string text;
    llvm::raw_string_ostream stream(text);
    for (const auto &[name, value] : schedule)
      if (name != "why") {
        stream << (text.empty() ? "" : ",") << name.str() << "=";
        if (std::optional<llvm::StringRef> list = value.getAsString())
          stream << *list;
        else
          stream << value;
      }
    return text;
  };
  return codegen::requireClean(
      code.kernels, [](llvm::StringRef) { return true; }, spelled,
      request.schedule.empty()
          ? llvm::StringRef(codegen::reportSchedule)
          : "Give another --schedule, or --ptx-only to look at its PTX");
}

/// Assembles and counts; what no program here can do goes into `note`.
static Status assemble(MadeKernel &made, const KernelRequest &request,
                       const Description &description,
                       const target::Target &target,
                       llvm::json::Object &record) {
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas) {
    made.note = ptxas.status().message();
    return Status();
  }
  auto assembled =
      ptxas->assemble({{made.ptx, &target}}, codegen::CodeCache::ofUser(), 1);
  if (!assembled)
    return assembled.status();
  const codegen::Assembly &code = assembled->front();
  QOPT_RETURN_IF_ERROR(
      requireClean(code, request, *record.getObject("schedule")));
  made.cubin = code.cubin;
  for (const codegen::KernelResources &resources : code.kernels)
    if (resources.symbol == description.symbol)
      record["resources"] = describe(resources, description, target);
  auto text = codegen::disassemble(code.cubin);
  if (!text) {
    made.note = text.status().message();
    return Status();
  }
  made.sass = *text;
  for (const codegen::SassKernel &kernel : codegen::parseSass(made.sass))
    if (kernel.symbol == description.symbol)
      record["sass"] = countSass(kernel);
  return Status();
}

static llvm::StringRef spell(Use use) {
  switch (use) {
  case Use::Read:
    return "read";
  case Use::Write:
    return "write";
  case Use::Update:
    return "update";
  case Use::Workspace:
    return "workspace";
  case Use::Counters:
    return "counters";
  case Use::Value:
    break;
  }
  return "value";
}

static llvm::json::Array describe(const std::vector<Argument> &arguments) {
  llvm::json::Array list;
  for (const Argument &argument : arguments) {
    llvm::json::Array shape;
    for (int64_t size : argument.shape)
      shape.push_back(size);
    llvm::json::Object object{{"name", argument.name},
                              {"use", spell(argument.use)},
                              {"type", argument.type},
                              {"shape", std::move(shape)}};
    if (argument.use == Use::Value)
      object["value"] = argument.value;
    list.push_back(std::move(object));
  }
  return list;
}

/// JSON whose first word says what it is, so that a file of this kind is known
/// by its beginning.
static std::string textOf(llvm::json::Object record) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(record));
  return "{\"tool\":\"qopt-kernel\"," + text.substr(1) + "\n";
}

StatusOr<MadeKernel> makeKernel(const KernelRequest &request,
                                const std::string &name) {
  auto family = findFamily(request.family);
  if (!family)
    return family.status();
  auto targets = target::parseArchitectures(request.arch);
  if (!targets)
    return targets.status();
  if (targets->size() != 1)
    return Status(StatusCode::InvalidArgument,
                  "a kernel is for one architecture; expected one name in "
                  "--arch");
  const target::Target &target = *targets->front();
  llvm::SmallVector<llvm::StringRef> changes;
  llvm::StringRef(request.schedule).split(changes, ',');
  if (request.schedule.empty())
    changes.clear();
  auto problem = Words::parse(request.problem);
  auto schedule = Words::parse({changes.begin(), changes.end()});
  if (!problem || !schedule)
    return problem ? schedule.status() : problem.status();
  auto described = (*family)->describe(*problem, *schedule, target);
  if (!described)
    return described.status();
  Description &description = *described;
  QOPT_RETURN_IF_ERROR(checkLaunch(description));
  MadeKernel made;
  made.symbol = description.symbol;
  QOPT_RETURN_IF_ERROR(generate(description, target, made));
  llvm::json::Object record{
      {"family", request.family},
      {"symbol", description.symbol},
      {"architecture", std::string(target.name)},
      {"problem", problem->values()},
      {"grid", llvm::json::Array(description.grid)},
      {"block", llvm::json::Array{description.threads, 1, 1}},
      {"shared_bytes", description.sharedBytes},
      {"arguments", describe(description.arguments)},
      {"schedule", std::move(description.schedule)},
      {"sizes", std::move(description.sizes)},
      {"layout", std::move(description.layout)},
      {"cost", std::move(description.cost)},
      {"ptx", name + ".ptx"}};
  if (request.assemble)
    QOPT_RETURN_IF_ERROR(assemble(made, request, description, target, record));
  if (!made.cubin.empty())
    record["cubin"] = name + ".cubin";
  made.record = textOf(std::move(record));
  return made;
}

} // namespace qopt::kernel_tool
