#include "cli/ruler_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/flags.h"
#include "kvasir/ruler.h"

namespace kvasir::cli {

void AddTasksFlag(CLI::App& app, std::vector<std::string>& tasks) {
  AddValue(app, "--tasks", "NAME,...", "which tasks, or groups such as niah_single (default all)",
           [&tasks](std::string_view text) -> Status {
             auto parsed = ParseRulerTasks(text);
             if (!parsed)
               return Fail(parsed.error().code, fmt::format("is '{}', but {}", text, parsed.error().message));
             tasks = std::move(*parsed);
             return {};
           });
}

void AddNames(CLI::App& app, const std::string& name, const std::string& help, std::vector<std::string>& names) {
  AddValue(app, name, "NAME,...", help, [&names](std::string_view text) -> Status {
    names.clear();
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      if (end == begin) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("is '{}', but names with single commas between them are wanted", text));
      }
      names.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return {};
  });
}

}  // namespace kvasir::cli
