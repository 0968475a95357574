// skinny-linear VERB CASE PATH [CASE PATH]...
//   make      writes kernel.mlir, kernel.ptx, args.npz and launch.txt, how the
//             kernel is launched, to the folder PATH
//   check     compares what a launch left in the file PATH with the double
//             product of the canonical codes
//   order     compares it with what the host's kernels compute in the same
//             order of sums, and checks it
//   assemble  the kernels PATH as one module, without spills or advice; 77
//             where no tool can
//   loop      also counts the instructions of their main loops
// skinny-linear plan CASE  prints the schedule and its predicted cost
// A program for tests on an emulator or a GPU; Case.h says what a CASE is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Case.h"
#include "HostProduct.h"

#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Cuda/Sass.h"
#include "lib/Io/Npz.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearArguments.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearOrder.h"
#include "runtime/host/Norm.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Format.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

static int fail(const std::string &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

static DType typeOf(quant::ElementType type) {
  return type == quant::ElementType::F32 ? DType::F32 : DType::U16;
}

static Tensor tensor(int index, DType type, std::vector<int64_t> shape,
                     const std::vector<uint8_t> &bytes) {
  Tensor result("arg" + std::to_string(index), type, std::move(shape));
  size_t count = std::min(bytes.size(), result.bytes());
  std::copy_n(bytes.begin(), count, static_cast<uint8_t *>(result.data()));
  return result;
}

/// The arguments in the kernel's order; what it writes is not a number before.
static std::vector<Tensor> argumentsOf(const Case &test, const Arrays &arrays) {
  const Problem &problem = test.problem;
  Plan plan = planOf(problem, test.schedule);
  std::vector<Tensor> list;
  auto add = [&](DType type, std::vector<int64_t> shape,
                 const std::vector<uint8_t> &bytes) {
    list.push_back(tensor(int(list.size()), type, std::move(shape), bytes));
  };
  quant::ElementType type = problem.source       ? *problem.source
                            : problem.hasCodes() ? quant::ElementType::F16
                                                 : problem.activation;
  auto activations = [&](const std::vector<float> &values,
                         std::vector<int64_t> shape) {
    add(typeOf(type), std::move(shape), encode(type, values));
  };
  int64_t columns = problem.outputColumns();
  if (problem.readsCodes())
    add(DType::U8, {test.tokens, problem.columns},
        {arrays.xCodes.begin(), arrays.xCodes.end()});
  else
    activations(arrays.x, {test.tokens, problem.columns});
  add(DType::U8, {int64_t(arrays.packed.size())}, arrays.packed);
  add(typeOf(problem.output), {test.tokens, columns},
      std::vector<uint8_t>(size_t(test.tokens * columns * 4), 0xff));
  int64_t floats = std::max<int64_t>(plan.workspaceBytes / 4, 1);
  add(DType::F32, {floats}, std::vector<uint8_t>(size_t(floats) * 4, 0xff));
  add(DType::U32, {std::max<int64_t>(plan.counters, 1)}, {});
  if (problem.readsCodes())
    add(DType::F32, {test.tokens},
        encode(quant::ElementType::F32, arrays.tokenScales));
  if (!problem.norm.empty())
    activations(arrays.scale, {problem.columns});
  if (!arrays.shift.empty())
    activations(arrays.shift, {problem.columns});
  if (problem.sum) {
    activations(arrays.sumScale, {problem.columns});
    if (problem.sum->bias)
      activations(arrays.sumShift, {problem.columns});
    activations(arrays.summand, {problem.columns});
    add(typeOf(type), {problem.columns},
        std::vector<uint8_t>(size_t(problem.columns * 2), 0xff));
  }
  for (const Operand &operand : problem.operands)
    if (operand.shape == OperandShape::Column)
      activations(arrays.bias, {columns});
    else
      activations(arrays.residual, {test.tokens, columns});
  Tensor tokens("arg" + std::to_string(list.size()), DType::I32, {});
  *tokens.as<int32_t>() = int32_t(test.tokens);
  list.push_back(tokens);
  return list;
}

static std::string launchText(const Case &test) {
  Plan plan = planOf(test.problem, test.schedule);
  std::string text = "kernel " + symbolOf(test.problem, *test.target) + "\n";
  text += "grid " + std::to_string(test.schedule.grid) + ",1,1\n";
  text += "block " + std::to_string(test.schedule.threads()) + ",1,1\n";
  text += "shared " + std::to_string(plan.sharedBytes) + "\n";
  text += "arguments x weights y workspace counters";
  if (test.problem.readsCodes())
    text += " scales";
  if (!test.problem.norm.empty())
    text += " scale";
  if (!test.problem.norm.empty() && test.problem.norm.front().bias)
    text += " shift";
  if (test.problem.sum) {
    text += " sum_scale";
    if (test.problem.sum->bias)
      text += " sum_shift";
    text += " summand sum";
  }
  for (const Operand &operand : test.problem.operands)
    text += operand.shape == OperandShape::Column ? " bias" : " residual";
  return text + " tokens\n";
}

static bool write(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  return bool(file);
}

static int make(const Case &test, const std::string &folder) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::OwningOpRef<mlir::ModuleOp>(
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  mlir::OwningOpRef<mlir::ModuleOp> epilogue;
  mlir::Block *block = nullptr;
  if (std::string text = epilogueText(test); !text.empty()) {
    epilogue = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!epilogue)
      return 1;
    block =
        &(*epilogue->getOps<mlir::func::FuncOp>().begin()).getBody().front();
  }
  auto built =
      buildKernel(kernels, test.problem, test.schedule, *test.target, block);
  if (!built)
    return fail(built.status().message());
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  write(folder + "/kernel.mlir", text);
  if (failed(mlir::verify(*module)))
    return 1;
  auto code =
      codegen::generatePtx(kernels, *test.target, codegen::CodeCache::ofUser());
  if (failed(code))
    return 1;
  if (!write(folder + "/kernel.ptx", code->text) ||
      !write(folder + "/launch.txt", launchText(test)))
    return fail("cannot write to " + folder);
  std::vector<TensorView> views;
  std::vector<Tensor> list = argumentsOf(test, makeArrays(test));
  for (const Tensor &argument : list)
    views.push_back(argument.view());
  if (Status status = io::writeNpz(folder + "/args.npz", views); !status)
    return fail(status.message());
  return 0;
}

/// Whether the sum ahead of the product was stored, to a last bit of its terms:
/// the order in which a kernel adds squares is its own.
static Status checkSum(const Case &test, const Arrays &inputs,
                       const Tensor *stored) {
  if (!stored)
    return Status(StatusCode::InvalidArgument, "the sum is missing");
  quant::ElementType type =
      test.problem.source.value_or(test.problem.activation);
  std::vector<float> got =
      decode(type, stored->as<uint8_t>(), stored->elements());
  std::vector<float> expected = sumOf(test, inputs);
  double unit = type == quant::ElementType::F16 ? 0x1p-10 : 0x1p-7;
  for (size_t k = 0; k < got.size(); ++k) {
    double largest = std::max({std::fabs(got[k]), std::fabs(inputs.summand[k]),
                               std::fabs(got[k] - inputs.summand[k])});
    if (!(std::fabs(got[k] - expected[k]) <= unit * largest))
      return Status(StatusCode::InvalidArgument,
                    "sum " + std::to_string(k) + ": expected " +
                        std::to_string(expected[k]) + ", got " +
                        std::to_string(got[k]));
  }
  return Status();
}

static int check(const Case &test, const std::string &path) {
  auto out = io::readNpz(path);
  if (!out)
    return fail(out.status().message());
  std::map<std::string, const Tensor *> arrays;
  for (const Tensor &array : *out)
    arrays[array.name()] = &array;
  if (!arrays["arg2"] || !arrays["arg4"])
    return fail("the result and the counters are missing");
  const Tensor &y = *arrays["arg2"], &counters = *arrays["arg4"];
  for (int64_t i = 0; i < counters.elements(); ++i)
    if (counters.as<uint32_t>()[i])
      return fail("counter " + std::to_string(i) + " is not zero again");
  std::vector<float> got =
      decode(test.problem.output, y.as<uint8_t>(), y.elements());
  Arrays inputs = makeArrays(test);
  Expected expected = expectedOf(test, inputs);
  if (test.problem.sum) {
    unsigned sum = Arguments(test.problem).residual + 1;
    if (Status status =
            checkSum(test, inputs, arrays["arg" + std::to_string(sum)]);
        !status)
      return fail(status.message());
  }
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double error = std::fabs(got[i] - expected.y[i]);
    if (!(error <= expected.bound[i])) {
      int64_t columns = test.problem.outputColumns();
      return fail("token " + std::to_string(int64_t(i) / columns) + " column " +
                  std::to_string(int64_t(i) % columns) + ": expected " +
                  std::to_string(expected.y[i]) + " ± " +
                  std::to_string(expected.bound[i]) + ", got " +
                  std::to_string(got[i]));
    }
    worst = std::max(worst, error / expected.bound[i]);
  }
  llvm::outs() << "within " << worst << " of the bound\n";
  return 0;
}

static std::vector<float> rounded(const Case &test, std::vector<float> values) {
  quant::ElementType type = test.problem.activation;
  return decode(type, encode(type, values).data(), int64_t(values.size()));
}

/// A norm of x in its order of sums, rounded.
static std::vector<float> normalised(const Case &test, const Norm &form,
                                     const host::NormSumOrder &order,
                                     const std::vector<float> &x,
                                     const std::vector<float> &scale,
                                     const std::vector<float> &shift) {
  std::vector<float> y(x.size());
  host::NormArguments norm;
  norm.rows = test.tokens;
  norm.columns = test.problem.columns;
  norm.epsilon = form.epsilon;
  norm.input = x.data();
  norm.scale = scale.data();
  norm.bias = shift.empty() ? nullptr : shift.data();
  norm.output = y.data();
  norm.order = &order;
  host::ThreadPool pool(1);
  (isLayerNorm(form) ? host::layerNorm : host::rmsNorm)(norm, pool);
  return rounded(test, y);
}

/// x as the products have it: behind sum and norm, in their orders of sums.
static std::vector<float> normalised(const Case &test, const Arrays &arrays) {
  const Problem &problem = test.problem;
  std::vector<float> x = arrays.x;
  if (auto order = normOrderOf(problem, test.schedule, /*ofSum=*/true)) {
    x = normalised(test, *problem.sum, *order, x, arrays.sumScale,
                   arrays.sumShift);
    for (size_t k = 0; k < x.size(); ++k)
      x[k] += arrays.summand[k];
    x = rounded(test, x);
  }
  if (auto order = normOrderOf(problem, test.schedule))
    x = normalised(test, problem.norm.front(), *order, x, arrays.scale,
                   arrays.shift);
  return x;
}

/// y by the host's kernels, in the order of the case's sums.
static std::vector<float> orderedResult(const Case &test,
                                        const Arrays &arrays) {
  std::vector<host::LinearSumOrder> orders;
  for (size_t i = 0; i < test.problem.segments.size(); ++i)
    orders.push_back(sumOrderOf(test.problem, test.schedule, i));
  return hostProduct(test, arrays, normalised(test, arrays), orders);
}

/// Prints how many elements differ, and by how many units in the last place at
/// most.
static int compareOrders(const Case &test, const std::string &path) {
  auto out = io::readNpz(path);
  if (!out)
    return fail(out.status().message());
  const Tensor *y = nullptr;
  for (const Tensor &array : *out)
    y = array.name() == "arg2" ? &array : y;
  if (!y)
    return fail("the result is missing");
  std::vector<float> got =
      decode(test.problem.output, y->as<uint8_t>(), y->elements());
  std::vector<float> host = orderedResult(test, makeArrays(test));
  int64_t different = 0;
  double worst = 0;
  int digits = test.problem.output == quant::ElementType::F32   ? 23
               : test.problem.output == quant::ElementType::F16 ? 10
                                                                : 7;
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] == host[i])
      continue;
    ++different;
    double unit = std::ldexp(1.0, std::ilogb(host[i]) - digits);
    double distance = std::fabs(double(got[i]) - host[i]) / unit;
    worst = distance <= worst ? worst : distance; // also NaN
  }
  llvm::outs() << different << " of " << got.size() << " differ, by at most "
               << llvm::format("%.0f", worst) << " ulp\n";
  return 0;
}

/// The longest innermost loop with products: the other one with products only
/// adds activations.
static const codegen::SassLoop *mainLoopOf(const codegen::SassKernel &kernel) {
  const codegen::SassLoop *longest = nullptr;
  for (const codegen::SassLoop &loop : kernel.loops)
    if (loop.innermost && kernel.count(loop)["HMMA"] &&
        (!longest || loop.end - loop.begin > longest->end - longest->begin))
      longest = &loop;
  return longest;
}

constexpr int skipped = 77;

namespace {
/// A case, and the file or folder of it.
struct Job {
  Case test;
  std::string path;
};
} // namespace

/// The kernels of all files behind the header of the first; empty where another
/// has another header.
static std::string joinModules(const std::vector<Job> &jobs) {
  constexpr llvm::StringLiteral endOfHeader = ".address_size 64\n";
  constexpr llvm::StringLiteral shared = ".extern .shared";
  std::string joined, header;
  for (const Job &job : jobs) {
    std::ifstream file(job.path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    auto [head, body] = llvm::StringRef(text).split(endOfHeader);
    if (joined.empty()) {
      header = head.str();
      joined = text;
      continue;
    }
    if (head != header)
      return "";
    // All have the same declaration of shared memory.
    auto [before, declared] = body.split(shared);
    joined += before.str() + declared.split('\n').second.str();
  }
  return joined;
}

/// Assembles the kernels, which spill nothing and get no advice; the exit code.
static int assemble(const std::vector<Job> &jobs, codegen::Assembly &code) {
  std::string ptx = joinModules(jobs);
  if (ptx.empty())
    return fail("the kernels have not one version and target");
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas)
    return fail(ptxas.status().message()), skipped;
  auto assembled = ptxas->assemble({{ptx, jobs.front().test.target}},
                                   codegen::CodeCache::ofUser(), 1);
  if (!assembled)
    return fail(assembled.status().message());
  code = assembled->front();
  if (code.kernels.size() != jobs.size())
    return fail("expected a kernel of its own for each case");
  if (Status status = codegen::requireClean(
          code.kernels, [](llvm::StringRef) { return true; });
      !status)
    return fail(status.message());
  return 0;
}

/// Lane instructions a weight, and lop3 a product, of a kernel's main loop.
static int countLoop(const Case &test, const codegen::SassKernel &kernel) {
  const codegen::SassLoop *loop = mainLoopOf(kernel);
  if (!loop)
    return fail("no loop with products");
  int all = 0;
  std::map<std::string, int> counts = kernel.count(*loop);
  for (const auto &[opcode, count] : counts)
    all += count;
  double products = double(kernel.halfProducts(*loop)) /
                    double(planOf(test.problem, test.schedule).tokenTiles);
  llvm::outs() << llvm::format("instructions per weight %.3f\n",
                               all / products / 8)
               << llvm::format("lop3 per product %.3f\n",
                               counts["LOP3"] / products);
  return 0;
}

/// The figures of each case, in order.
static int countLoops(const std::vector<Job> &jobs) {
  codegen::Assembly code;
  if (int exitCode = assemble(jobs, code))
    return exitCode;
  auto text = codegen::disassemble(code.cubin);
  if (!text)
    return fail(text.status().message()), skipped;
  std::vector<codegen::SassKernel> kernels = codegen::parseSass(*text);
  for (const Job &job : jobs) {
    std::string symbol = symbolOf(job.test.problem, *job.test.target);
    auto named = [&](const auto &kernel) { return kernel.symbol == symbol; };
    auto kernel = llvm::find_if(kernels, named);
    auto resources = llvm::find_if(code.kernels, named);
    if (kernel == kernels.end() || resources == code.kernels.end())
      return fail("the machine code has no \"" + symbol + "\"");
    if (int exitCode = countLoop(job.test, *kernel))
      return exitCode;
    llvm::outs() << "registers " << resources->registers << "\n";
  }
  return 0;
}

static int plan(const Case &test) {
  const Schedule &schedule = test.schedule;
  Plan plan = planOf(test.problem, schedule);
  llvm::outs() << launchText(test) << "slices " << schedule.slices << " warps "
               << schedule.columnWarps << "x" << schedule.rowWarps << " strips "
               << schedule.stripsPerWarp << " stages " << schedule.stages
               << " of " << plan.stageBytes << " workspace "
               << plan.workspaceBytes << "\n";
  Cost cost = costOf(test.problem, schedule, *test.target);
  for (const CostTerm &term : cost.terms)
    llvm::outs() << llvm::format("%8.2f us  ", term.seconds * 1e6) << term.name
                 << ": " << term.why << "\n";
  llvm::outs() << llvm::format("%8.2f us  ", cost.seconds * 1e6) << "of which "
               << int(cost.roofPart * 100) << " % at the roof; "
               << llvm::format("%.2f", cost.instructionsPerWeight)
               << " instructions a weight\n";
  return 0;
}

/// What is done to each case by itself.
static int work(llvm::StringRef verb, const Job &job) {
  if (verb == "make")
    return make(job.test, job.path);
  if (verb == "order")
    if (int status = compareOrders(job.test, job.path))
      return status;
  return check(job.test, job.path);
}

int main(int argc, char **argv) {
  std::string verb = argc > 2 ? argv[1] : "";
  bool plans = verb == "plan" && argc == 3;
  if (!plans && (argc < 4 || argc % 2))
    return fail("expected make|check|order|assemble|loop CASE PATH [CASE "
                "PATH]... or plan CASE");
  std::vector<Job> jobs;
  for (int i = 2; i < argc; i += 2) {
    auto test = parseCase(argv[i]);
    if (!test)
      return fail(test.status().message());
    jobs.push_back({*test, plans ? "" : argv[i + 1]});
  }
  if (plans)
    return plan(jobs.front().test);
  if (codegen::Assembly code; verb == "assemble")
    return assemble(jobs, code);
  if (verb == "loop")
    return countLoops(jobs);
  for (size_t i = 0; i < jobs.size(); ++i)
    if (int status = work(verb, jobs[i])) {
      llvm::errs() << "case: " << argv[2 + 2 * i] << "\n";
      return status;
    }
  return 0;
}
