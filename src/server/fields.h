// Reading the members of a JSON object strictly: a wrong type, a value out of range and a member that nobody asked for
// are each a 400 that names the member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/json.h"

namespace kvasir::server {

/// Bytes of a name that a request gives to something, a tool or a schema: OpenAI's limit.
inline constexpr size_t kLongestName = 64;

/// The members of one object. The first problem is kept and every later read gives its default, so that a request is
/// read top to bottom without a check per line; Finish tells. A member that is null counts as absent.
class Fields {
 public:
  /// `object` must outlive this. `path` is what errors call it: "" for the whole request.
  explicit Fields(const Json& object, std::string path = "");

  [[nodiscard]] bool Has(std::string_view name) { return Find(name) != nullptr; }
  /// The member as it is, or nullptr.
  [[nodiscard]] const Json* Any(std::string_view name) { return Find(name); }
  [[nodiscard]] const Json* Object(std::string_view name);
  [[nodiscard]] const Json* Array(std::string_view name);
  [[nodiscard]] std::optional<bool> Bool(std::string_view name);
  [[nodiscard]] std::optional<int64_t> Integer(std::string_view name, int64_t low, int64_t high);
  [[nodiscard]] std::optional<double> Number(std::string_view name, double low, double high);
  [[nodiscard]] std::optional<std::string> Text(std::string_view name, size_t max_bytes = SIZE_MAX);
  /// A text, or a list of at most `max_items` texts, none of them empty.
  [[nodiscard]] std::vector<std::string> Texts(std::string_view name, size_t max_items);
  /// A list of whole numbers from `low` to `high`.
  [[nodiscard]] std::vector<int32_t> Integers(std::string_view name, int64_t low, int64_t high, size_t max_items);

  /// A member that is one input, a text or a list of numbers, or a list of 1 to `most` of them: `read(value, path)` is
  /// called for each, until there is a problem.
  void Inputs(const char* name, size_t most,
              const std::function<void(const Json& value, const std::string& path)>& read);

  /// Notes a problem with a member: "NAME MESSAGE". Only the first one counts.
  void Problem(std::string_view name, std::string_view message);
  void Problem(ApiError error);
  [[nodiscard]] bool ok() const { return !problem_; }
  /// The path of a member: "stream_options.include_usage".
  [[nodiscard]] std::string PathOf(std::string_view name) const;

  /// The first problem, or the first member that was never asked for and is not null.
  [[nodiscard]] ApiStatus Finish();
  /// The same for an object inside another, which takes the problem over.
  void FinishInto(Fields& outer);

 private:
  const Json* Find(std::string_view name);
  const Json* FindOf(std::string_view name, bool (*is_type)(const Json&), const char* type);

  const Json& object_;
  std::string path_;
  std::set<std::string, std::less<>> asked_;
  std::optional<ApiError> problem_;
};

/// `value` shortened for a message: texts in quotes, objects and lists by name.
[[nodiscard]] std::string Shown(const Json& value);

}  // namespace kvasir::server
