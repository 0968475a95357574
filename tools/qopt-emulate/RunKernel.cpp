// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "lib/Io/Npz.h"
#include "runtime/emulator/Schedules.h"
#include "tools/cli/CommandLine.h"
#include "tools/qopt-emulate/EmulateOptions.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace qopt::emulate {
namespace {

using emulator::Kernel;
using emulator::Memory;
using emulator::Statistics;

bool isFloat(DType type) {
  return type == DType::F16 || type == DType::BF16 || type == DType::F32 ||
         type == DType::F64;
}

/// Scalars are passed by value, to parameters of their kind or of bits (.b32);
/// arrays by their address.
Status checkArgument(const Kernel &kernel, size_t index, const Tensor &tensor) {
  namespace ptx = emulator::ptx;
  ptx::Type type = kernel.parameterType(index);
  size_t wanted = kernel.parameterBytes(index);
  bool isScalar = tensor.shape().empty();
  std::string mismatch =
      "'" + tensor.name() + "' is " +
      (isScalar ? std::string("a scalar ") + spell(tensor.type()) : "an array");
  mismatch += ", but the parameter '" + kernel.parameterName(index) + "' ";
  if ((isScalar ? sizeOf(tensor.type()) : sizeof(uint64_t)) != wanted)
    return Status(StatusCode::InvalidArgument,
                  mismatch + "has " + std::to_string(wanted) + " bytes");
  bool takesBits = type >= ptx::Type::B8 && type <= ptx::Type::B128;
  bool takesFloat = ptx::isFloat(type);
  if (takesBits || takesFloat == (isScalar && isFloat(tensor.type())))
    return Status();
  return Status(StatusCode::InvalidArgument,
                mismatch + "is ." + std::string(ptx::nameOf(type)) +
                    "; give a 0-d array of " +
                    (takesFloat ? "floats" : "integers") + " of " +
                    std::to_string(8 * wanted) + " bits");
}

/// The file's arrays in the order of the parameters.
StatusOr<std::vector<Tensor>> readArguments(const EmulateOptions &options,
                                            const Kernel &kernel) {
  std::vector<Tensor> all, ordered;
  if (!options.arguments.empty()) {
    StatusOr<std::vector<Tensor>> read = io::readNpz(options.arguments);
    if (!read.ok())
      return read.status();
    all = std::move(*read);
  }
  for (size_t i = 0; i < kernel.parameters(); ++i) {
    std::string name = "arg" + std::to_string(i);
    const Tensor *found = nullptr;
    for (const Tensor &tensor : all)
      found = tensor.name() == name ? &tensor : found;
    if (!found)
      return Status(
          StatusCode::InvalidArgument,
          "kernel '" + kernel.name() + "' has " +
              std::to_string(kernel.parameters()) + " parameters, but " +
              (options.arguments.empty()
                   ? "there are no --args; give --args args.npz"
                   : "'" + options.arguments + "' has no '" + name + "'"));
    QOPT_RETURN_IF_ERROR(checkArgument(kernel, i, *found));
    ordered.push_back(*found);
  }
  if (all.size() > ordered.size())
    return Status(StatusCode::InvalidArgument,
                  "'" + options.arguments + "' has " +
                      std::to_string(all.size()) + " arrays, but kernel '" +
                      kernel.name() + "' has " +
                      std::to_string(ordered.size()) + " parameters");
  return ordered;
}

/// Device memory of one run; freed with the object.
class DeviceArrays {
public:
  explicit DeviceArrays(Memory &memory) : memory(memory) {}
  ~DeviceArrays() {
    for (uint64_t address : addresses)
      if (address)
        (void)memory.release(address);
  }

  /// Copies the arrays in and fills the parameter buffer.
  Status place(const Kernel &kernel, const std::vector<Tensor> &tensors) {
    buffer.assign(kernel.argumentBytes(), 0);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Tensor &tensor = tensors[i];
      uint8_t *to = buffer.data() + kernel.parameterOffset(i);
      if (tensor.shape().empty()) {
        std::memcpy(to, tensor.data(), tensor.bytes());
        addresses.push_back(0);
        continue;
      }
      StatusOr<uint64_t> address = memory.allocate(tensor.bytes());
      if (!address.ok())
        return address.status();
      addresses.push_back(*address);
      memory.setName(*address, tensor.name());
      std::memcpy(to, &*address, sizeof *address);
      if (tensor.bytes())
        QOPT_RETURN_IF_ERROR(
            memory.write(*address, tensor.data(), tensor.bytes()));
    }
    return Status();
  }

  StatusOr<std::vector<Tensor>> fetch(const std::vector<Tensor> &like) {
    std::vector<Tensor> arrays;
    for (size_t i = 0; i < like.size(); ++i) {
      if (!addresses[i])
        continue;
      Tensor array(like[i].name(), like[i].type(), like[i].shape());
      if (array.bytes())
        QOPT_RETURN_IF_ERROR(
            memory.read(array.data(), addresses[i], array.bytes()));
      arrays.push_back(array);
    }
    return arrays;
  }

  std::span<const uint8_t> arguments() const { return buffer; }

private:
  Memory &memory;
  std::vector<uint64_t> addresses; ///< 0: a scalar
  std::vector<uint8_t> buffer;
};

Status write(const std::string &path, const std::vector<Tensor> &arrays) {
  std::vector<TensorView> views;
  views.reserve(arrays.size());
  for (const Tensor &array : arrays)
    views.push_back(array.view());
  return io::writeNpz(path, views);
}

/// Says on standard error what is lost where nothing keeps the arrays.
void noteDropped(const std::vector<Tensor> &before,
                 const std::vector<Tensor> &after) {
  size_t changed = 0;
  std::string first;
  for (const Tensor &array : after) {
    auto same = [&](const Tensor &t) { return t.name() == array.name(); };
    const Tensor &was = *std::ranges::find_if(before, same);
    if (array.bytes() &&
        std::memcmp(array.data(), was.data(), array.bytes()) != 0)
      if (++changed == 1)
        first = array.name();
  }
  if (changed)
    std::fprintf(stderr,
                 "note: %zu of %zu arrays %s changed, the first of them '%s'; "
                 "--out FILE.npz keeps them\n",
                 changed, after.size(), changed == 1 ? "was" : "were",
                 first.c_str());
}

/// The kernel that was named, or the file's only one.
StatusOr<Kernel> chosenKernel(const EmulateOptions &options,
                              emulator::Module &module) {
  if (!options.kernel.empty()) {
    auto kernel = module.kernel(options.kernel);
    if (kernel.status().code() == StatusCode::NotFound) // no missing file
      return Status(StatusCode::InvalidArgument, kernel.status().message());
    return kernel;
  }
  std::vector<std::string> names = module.kernelNames();
  if (names.size() == 1)
    return module.kernel(names[0]);
  std::string all;
  for (const std::string &name : names)
    all += (all.empty() ? "'" : ", '") + name + "'";
  if (names.empty())
    return Status(StatusCode::BadModel, "'" + options.ptx + "' has no kernel");
  return Status(StatusCode::InvalidArgument,
                "'" + options.ptx + "' has " + std::to_string(names.size()) +
                    " kernels; name one by --kernel: " + all);
}

} // namespace

Status runKernel(const EmulateOptions &options) {
  StatusOr<std::string> text = io::readTextOrPipe(options.ptx);
  if (!text.ok())
    return text.status();
  Memory memory;
  StatusOr<std::unique_ptr<emulator::Module>> module =
      emulator::Module::parse(std::move(*text), memory);
  if (!module.ok())
    return Status(StatusCode::BadModel,
                  "'" + options.ptx + "': " + module.status().message());
  StatusOr<Kernel> kernel = chosenKernel(options, **module);
  if (!kernel.ok())
    return kernel.status();
  StatusOr<std::vector<Tensor>> tensors = readArguments(options, *kernel);
  if (!tensors.ok())
    return tensors.status();
  DeviceArrays device(memory);
  QOPT_RETURN_IF_ERROR(device.place(*kernel, *tensors));
  emulator::LaunchOptions launch = options.launch;
  if (options.json || options.time)
    launch.print = [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stderr);
    };
  StatusOr<Statistics> statistics =
      launchSchedules({*kernel, options.grid, options.block, options.shared,
                       device.arguments()},
                      memory, launch, options.schedules);
  if (!statistics.ok())
    return statistics.status();
  StatusOr<std::vector<Tensor>> arrays = device.fetch(*tensors);
  if (!arrays.ok())
    return arrays.status();
  if (options.output.empty())
    noteDropped(*tensors, *arrays);
  else
    QOPT_RETURN_IF_ERROR(write(options.output, *arrays));
  if (options.time)
    return printTime(*statistics);
  if (options.json)
    return printStatisticsJson(*statistics);
  if (options.statistics)
    printStatistics(*statistics);
  return cli::flushOutput();
}

} // namespace qopt::emulate
