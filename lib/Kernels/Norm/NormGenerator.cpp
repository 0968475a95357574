// A norm: scales before the dependency point, then one row a team.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Norm/NormGenerator.h"
#include "lib/Kernels/Builder/RowTeam.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::norm;

namespace {
/// Places of the arguments; −1 where a problem has none.
struct Places {
  std::vector<Argument> arguments;
  int input, residual = -1, sum = -1, scale, bias = -1, added = -1, result,
             scales = -1, rows;

  explicit Places(const Problem &problem) {
    input = add(Argument::Dependent, "input");
    if (problem.residual) {
      residual = add(Argument::Dependent, "residual");
      sum = add(Argument::Dependent, "sum");
    }
    scale = add(Argument::Constant, "scale");
    if (problem.bias)
      bias = add(Argument::Constant, "bias");
    if (problem.added)
      added = add(Argument::Dependent, "added");
    result = add(Argument::Dependent, "result");
    if (problem.result == Result::Int8)
      scales = add(Argument::Dependent, "scales");
    rows = add(Argument::Integer, "rows");
  }

  int add(Argument::Kind kind, std::string name) {
    arguments.push_back({kind, std::move(name)});
    return int(arguments.size()) - 1;
  }
};

struct Body {
  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  const Places &places;
  RowTeam team;
  Type activation, scaleType;
  bool preloads = false;
  RowPart scale = {}, bias = {};

  Global rowOf(int argument, int64_t bytes) {
    return k.pointer(unsigned(argument)).at(team.row(), bytes);
  }

  Global inputRow() {
    if (!problem.stride)
      return rowOf(places.input, problem.columns * 2);
    Global row = k.pointer(unsigned(places.input))
                     .at(team.row() / problem.heads, problem.stride * 2);
    return row.at(team.row() % problem.heads, problem.columns * 2);
  }

  RowPart loadInput() {
    int64_t bytes = problem.columns * 2;
    RowPart part = team.load(inputRow(), activation);
    if (!problem.residual)
      return part;
    RowPart other = team.load(rowOf(places.residual, bytes), activation);
    for (size_t step = 0; step < part.size(); ++step) {
      for (size_t i = 0; i < part[step].size(); ++i)
        part[step][i] = part[step][i] + other[step][i];
      part[step] = roundRun(k, part[step], activation);
    }
    team.store(rowOf(places.sum, bytes), part, activation);
    return part;
  }

  /// Σ x, or Σ (x − center)² over the row.
  Real sum(const RowPart &part) {
    Real total = k.real(0);
    for (const Run &run : part)
      for (Real value : run)
        total = total + value;
    return team.reduce(total, Reduction::Sum);
  }
  Real sumOfSquares(const RowPart &part) {
    Real total = k.real(0);
    for (const Run &run : part)
      for (Real value : run)
        total = fma(value, value, total);
    return team.reduce(total, Reduction::Sum);
  }

  /// x − μ; zeros stay zeros beyond the row.
  void center(RowPart &part) {
    Real mean = sum(part) * (1.0 / double(problem.columns));
    for (int64_t step = 0; step < team.steps(); ++step) {
      Run &run = part[size_t(step)];
      Flag inside = team.holds(step);
      for (Real &value : run) {
        Real centered = value - mean;
        value =
            team.isWhole(step) ? centered : select(inside, centered, k.real(0));
      }
    }
  }

  /// The row's of scales or biases.
  Global vectorAt(int argument) {
    Global vector = k.pointer(unsigned(argument));
    if (problem.scales == 1)
      return vector;
    int64_t bytes = scaleType.getIntOrFloatBitWidth() / 8;
    return vector.at(team.row() % problem.scales, problem.columns * bytes);
  }

  /// Scales and biases, before the dependency point where registers hold them.
  void preload() {
    int64_t held = team.steps() * schedule.row.width *
                   (2 + int(problem.bias) + int(problem.added));
    constexpr int64_t registers = 65536, others = 24;
    preloads = held + others <= registers / schedule.row.blockThreads();
    if (!preloads)
      return;
    scale = team.load(vectorAt(places.scale), scaleType);
    if (problem.bias)
      bias = team.load(vectorAt(places.bias), scaleType);
  }

  Run vectorOf(const RowPart &loaded, int argument, int64_t step) {
    return preloads ? loaded[size_t(step)]
                    : team.loadStep(vectorAt(argument), scaleType, step);
  }

  /// y = x · factor · scale + bias.
  void apply(RowPart &part, Real factor) {
    for (int64_t step = 0; step < team.steps(); ++step) {
      Run &run = part[size_t(step)];
      Run scales = vectorOf(scale, places.scale, step), biases;
      if (problem.bias)
        biases = vectorOf(bias, places.bias, step);
      for (size_t i = 0; i < run.size(); ++i) {
        Real y = run[i] * factor;
        run[i] = problem.bias ? fma(y, scales[i], biases[i]) : y * scales[i];
      }
    }
  }

  void addBehind(RowPart &part, const RowPart &other) {
    for (size_t step = 0; step < part.size(); ++step) {
      part[step] = roundRun(k, part[step], activation);
      for (size_t i = 0; i < part[step].size(); ++i)
        part[step][i] = part[step][i] + other[step][i];
    }
  }

  void build() {
    RowPart part = loadInput(), other;
    if (problem.added)
      other = team.load(rowOf(places.added, problem.columns * 2), activation);
    if (problem.kind == Kind::Layer)
      center(part);
    Real mean = sumOfSquares(part) * (1.0 / double(problem.columns));
    apply(part, k.reciprocalRoot(mean + k.real(problem.epsilon)));
    if (problem.added)
      addBehind(part, other);
    if (problem.result == Result::Int8)
      return team.quantize(rowOf(places.result, problem.columns),
                           rowOf(places.scales, 4), part);
    team.store(rowOf(places.result, problem.columns * 2), part, activation);
  }
};
} // namespace

StatusOr<gpu::GPUFuncOp> norm::buildKernel(gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Places places(problem);
  Kernel kernel(module, symbolOf(problem, target), places.arguments,
                {schedule.row.blockThreads()}, target);
  Body body{kernel,
            problem,
            schedule,
            places,
            RowTeam(kernel, schedule.row, problem.columns),
            typeOf(kernel, problem.activation),
            typeOf(kernel, problem.scale)};
  kernel.launchSuccessor();
  body.preload();
  kernel.waitForPredecessor();
  body.team.inside(kernel.integer(unsigned(places.rows)),
                   [&] { body.build(); });
  return kernel.finish();
}
