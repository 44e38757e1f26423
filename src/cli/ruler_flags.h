// Flags that `eval ruler` and `eval evict` share.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// --tasks.
void AddTasksFlag(CLI::App& app, std::vector<std::string>& tasks);

/// An option `name` with names that commas separate; replaces what `names` held.
void AddNames(CLI::App& app, const std::string& name, const std::string& help, std::vector<std::string>& names);

}  // namespace kvasir::cli
