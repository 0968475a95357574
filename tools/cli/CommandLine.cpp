// What happens around a tool's work.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/cli/CommandLine.h"

#include "qopt/Version.h"
#include "runtime/PrintableText.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

namespace qopt::cli {

/// Below the examples of every tool; ExitCode.h has the same list.
static constexpr char exitCodesText[] = R"(
Exit codes:
  0    done
  2    the command line: an option, name or value
  3    a damaged model, tokenizer or array file
  4    valid, but this build cannot do it
  5    a format, context or budget that cannot be met
  6    a limit that was asked for is not met
  7    out of memory or disk space
  8    a damaged artifact, or one of another version
  9    a file or folder that does not exist or cannot be read
  10   an output that cannot be made where it was asked for
  11   a GPU that is busy or has failed
  70   a defect of qopt, or a kernel that failed on a GPU
  130  stopped by the user)";

/// Whatever the work printed must have arrived, or the run has failed.
static int report(Status status) {
  Status flushed = flushOutput();
  if (status.ok())
    status = std::move(flushed);
  if (status.ok())
    return int(ExitCode::Ok);
  std::fprintf(stderr, "error: %s\n",
               runtime::printableLines(status.message()).c_str());
  return int(exitCodeOf(status.code()));
}

/// CLI11's messages begin with a capital letter.
static Status usageError(const CLI::App &app, const CLI::ParseError &error) {
  std::string text = error.what();
  if (!text.empty() && (text.size() < 2 || !std::isupper(text[1])))
    text[0] = char(std::tolower(text[0]));
  while (!text.empty() && (text.back() == '\n' || text.back() == '.'))
    text.pop_back();
  return {StatusCode::InvalidArgument,
          text + "; \"" + app.get_name() + " --help\" lists the options"};
}

/// The options whose value may be empty: few, in one program.
static std::vector<const CLI::Option *> &optionsMayBeEmpty() {
  static std::vector<const CLI::Option *> options;
  return options;
}

void mayBeEmpty(CLI::Option *option) { optionsMayBeEmpty().push_back(option); }

void oneValueEach(CLI::Option *option) { option->allow_extra_args(false); }

/// An error for the first option that has "" as a value.
static Status checkValues(const CLI::App &app) {
  const auto &exempt = optionsMayBeEmpty();
  for (const CLI::Option *option : app.get_options()) {
    if (std::find(exempt.begin(), exempt.end(), option) != exempt.end())
      continue;
    for (const std::string &value : option->results())
      if (value.empty())
        return {StatusCode::InvalidArgument,
                option->get_name() + " is empty; expected a value, or leave " +
                    "the option out"};
  }
  return {};
}

Status refuseGiven(std::initializer_list<const CLI::Option *> options,
                   const std::string &why) {
  for (const CLI::Option *option : options)
    if (option->count())
      return {StatusCode::InvalidArgument,
              option->get_name() + " " + why + "; leave it out"};
  return {};
}

int run(CLI::App &app, int argc, char **argv,
        const std::function<Status()> &work) {
  try {
    app.get_formatter()->column_width(32);
    app.set_help_flag("-h,--help", "print this and exit");
    app.set_version_flag("--version",
                         app.get_name() + " " + std::string(versionString),
                         "print the release and exit");
    app.parse(argc, argv);
    Status status = checkValues(app);
    return report(status.ok() ? work() : status);
  } catch (const CLI::CallForHelp &) {
    std::fputs(app.help().c_str(), stdout);
    return report({});
  } catch (const CLI::CallForVersion &version) {
    std::printf("%s\n", version.what());
    return report({});
  } catch (const CLI::ParseError &error) {
    return report(usageError(app, error));
  } catch (const std::bad_alloc &) {
    return report({StatusCode::OutOfResources, "out of memory"});
  } catch (const std::exception &error) {
    return report({StatusCode::Internal, error.what()});
  }
}

void addExamples(CLI::App &app, const std::vector<std::string> &commands) {
  std::string text = "Examples:\n";
  for (const std::string &command : commands)
    text += "  " + command + "\n";
  app.footer(text + exitCodesText);
}

CLI::Validator between(int64_t least, int64_t most) {
  auto check = [least, most](std::string &text) -> std::string {
    int64_t value = 0;
    auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed == std::errc() && end == text.data() + text.size() &&
        value >= least && value <= most)
      return {};
    std::string upTo =
        most == INT64_MAX ? " or above" : " to " + std::to_string(most);
    return "expected a number from " + std::to_string(least) + upTo +
           ", got \"" + text + "\"";
  };
  return CLI::Validator(check, "");
}

CLI::Validator realBetween(double least, double most) {
  auto check = [least, most](std::string &text) -> std::string {
    char *end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    if (end != text.c_str() && !*end && value >= least && value <= most)
      return {};
    char range[80];
    if (std::isinf(most))
      std::snprintf(range, sizeof range, "%g or above", least);
    else
      std::snprintf(range, sizeof range, "%g to %g", least, most);
    return std::string("expected a number from ") + range + ", got \"" + text +
           "\"";
  };
  return CLI::Validator(check, "");
}

StatusOr<std::vector<int32_t>> parseTokens(const std::string &text) {
  std::vector<int32_t> tokens;
  const char *at = text.data(), *last = at + text.size();
  auto skipSpace = [&] {
    while (at != last && std::isspace(static_cast<unsigned char>(*at)))
      ++at;
  };
  skipSpace();
  for (bool more = true; more;) {
    int32_t token = 0;
    auto [end, failed] = std::from_chars(at, last, token);
    bool ends = end == last || *end == ',' ||
                std::isspace(static_cast<unsigned char>(*end));
    if (failed != std::errc() || token < 0 || !ends)
      return Status(StatusCode::InvalidArgument,
                    "\"" + text + "\" is no list of token ids; expected " +
                        "numbers with a comma or spaces between, " +
                        "\"1,403,407\"");
    tokens.push_back(token);
    at = end;
    skipSpace();
    more = at != last;
    if (more && *at == ',') {
      ++at;
      skipSpace();
    }
  }
  return tokens;
}

Status flushOutput() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return {};
  return {StatusCode::OutOfResources, "cannot write to standard output"};
}

Status printJson(const nlohmann::ordered_json &json) {
  std::string text =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::fputs(text.c_str(), stdout);
  std::fputc('\n', stdout);
  return flushOutput();
}

} // namespace qopt::cli
