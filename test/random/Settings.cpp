// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Settings.h"

namespace qopt::programs {

CompileOptions Settings::options() const {
  CompileOptions options;
  options.target =
      target == Target::Cuda ? TargetDevice::Cuda : TargetDevice::Host;
  options.activations = activations;
  options.cache = cache;
  options.sumOrder = sumOrder;
  options.formats = formats;
  options.threads = 1;
  return options;
}

std::vector<std::string> Settings::words() const {
  std::vector<std::string> words;
  auto add = [&](const char *option, const std::string &value) {
    if (!value.empty())
      words.insert(words.end(), {option, value});
  };
  add("--target", target == Target::Cuda ? "cuda" : "host");
  add("--activations", activations);
  add("--kv", cache);
  add("--sum-order", sumOrder);
  for (const std::string &format : formats)
    add("--format", format);
  return words;
}

StatusOr<Settings> Settings::parse(const std::vector<std::string> &words) {
  Settings settings;
  auto refuse = [](const std::string &why) {
    return Status(StatusCode::InvalidArgument, "random.options: " + why);
  };
  for (size_t i = 0; i < words.size(); i += 2) {
    const std::string &option = words[i];
    if (i + 1 == words.size())
      return refuse("\"" + option + "\" has no value");
    const std::string &value = words[i + 1];
    if (option == "--target" && (value == "host" || value == "cuda"))
      settings.target = value == "cuda" ? Target::Cuda : Target::Host;
    else if (option == "--activations")
      settings.activations = value;
    else if (option == "--kv")
      settings.cache = value;
    else if (option == "--sum-order")
      settings.sumOrder = value;
    else if (option == "--format")
      settings.formats.push_back(value);
    else
      return refuse("\"" + option + " " + value +
                    "\" is not known; expected --target host or cuda, "
                    "--activations, --kv, --sum-order or --format");
  }
  return settings;
}

} // namespace qopt::programs
