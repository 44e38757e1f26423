#include "jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<std::string> Render(std::string_view source, const Json& context = Json::object(),
                           const RenderOptions& options = {}) {
  auto parsed = Template::Parse(source);
  if (!parsed) return std::unexpected(parsed.error());
  return parsed->Render(context, options);
}

std::string Text(std::string_view source, const Json& context = Json::object()) {
  auto rendered = Render(source, context);
  return rendered ? *rendered : "ERROR " + rendered.error().message;
}

std::string Repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(Template, RendersVariables) {
  EXPECT_EQ(Text("Hello {{ name }}!", {{"name", "World"}}), "Hello World!");
  EXPECT_EQ(Text("{{ a.b[1] }}", {{"a", {{"b", {1, 2}}}}}), "2");
}

TEST(Template, KeepsTheOrderOfJsonObjects) {
  EXPECT_EQ(Text("{{ d | tojson }}", {{"d", Json::parse(R"({"z": 1, "a": {"y": 2, "b": 3}})")}}),
            R"({"z": 1, "a": {"y": 2, "b": 3}})");
}

TEST(Template, ErrorsNameTheLineAndTheCause) {
  const auto error = [](std::string_view source) {
    const auto rendered = Render(source);
    return rendered ? std::string("no error") : rendered.error().message;
  };
  EXPECT_EQ(error("a\nb\n{{ raise_exception('no ' ~ 'way') }}"), "template line 3: no way");
  EXPECT_EQ(error("{% if true %}\n{{ x.y }}{% endif %}"), "template line 2: 'x' is undefined");
  EXPECT_EQ(error("{% macro m() %}\n\n{{ none + 1 }}{% endmacro %}\n{{ m() }}"),
            "template line 3: unsupported operand type(s) for +: 'NoneType' and 'int'");
  EXPECT_EQ(error("\n{% for x in 5 %}{% endfor %}"), "template line 2: 'int' object is not iterable");
  EXPECT_EQ(error("{{ {}.a.b }}"), "template line 1: 'dict object' has no attribute 'a'");
  EXPECT_EQ(error("{{ [].append(1) }}"), "template line 1: access to attribute 'append' of 'list' object is unsafe.");
  EXPECT_EQ(error("\n\n{{ 1 | nope }}"), "template line 3: No filter named 'nope'.");
  EXPECT_THAT(error("{% if x %}\n\n"), StartsWith("template line 2: Unexpected end of template."));
  EXPECT_THAT(error("\n{% frob %}"), StartsWith("template line 2: Encountered unknown tag 'frob'."));
  EXPECT_THAT(error("{% include 'x' %}"), HasSubstr("not supported"));
}

TEST(Template, RefusesVariablesThatAreNoObject) {
  EXPECT_EQ(Render("x", Json::array()).error().code, ErrorCode::kInvalidArgument);
}

TEST(Template, RefusesToComputeIntegersBeyond64Bits) {
  EXPECT_EQ(Text("{{ n }}", {{"n", INT64_MIN}}), "-9223372036854775808");
  EXPECT_EQ(Text("{{ n }}", {{"n", uint64_t{1} << 63}}), "9223372036854775808");
  EXPECT_EQ(Render("{{ n + 1 }}", {{"n", uint64_t{1} << 63}}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Render("{{ 9223372036854775807 + 1 }}").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Render("{{ 99999999999999999999 }}").error().code, ErrorCode::kUnsupported);
}

TEST(Template, ReplacesInvalidUtf8) {
  EXPECT_EQ(Text("a\xff{{ x }}", {{"x", "b\xc3"}}),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(Template, StopsAtTheStepLimit) {
  RenderOptions options;
  options.limits.max_steps = 1000;
  const auto rendered = Render("{% for x in range(10000) %}{% endfor %}", Json::object(), options);
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(rendered.error().message, HasSubstr("max_steps"));
}

TEST(Template, StopsAtTheOutputLimit) {
  RenderOptions options;
  options.limits.max_output_bytes = 100;
  EXPECT_TRUE(Render("{% for x in range(100) %}x{% endfor %}", Json::object(), options));
  const auto rendered = Render("{% for x in range(101) %}x{% endfor %}", Json::object(), options);
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().code, ErrorCode::kResourceExhausted);
}

TEST(Template, StopsAtTheMemoryLimits) {
  for (const char* source : {
           "{{ 'x' * 1000000000000 }}",
           "{{ 'x' | center(1000000000000) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '{:>1000000000}'.format(1) }}",
           "{% set ns = namespace(s='xx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
           "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = ns.s | map('string') %}{% endfor %}",
           "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
           "{{ (',' * 9000000).split(',') | length }}",
       }) {
    const auto rendered = Render(source);
    ASSERT_FALSE(rendered) << source;
    EXPECT_EQ(rendered.error().code, ErrorCode::kResourceExhausted) << source << "\n" << rendered.error().message;
  }
}

TEST(Template, MemoryThatIsGivenBackDoesNotCount) {
  RenderOptions options;
  options.limits.max_live_bytes = 100'000;
  EXPECT_TRUE(Render("{% for i in range(1000) %}{{ ('x' * 10000) | length }}{% endfor %}", Json::object(), options));
  const auto rendered = Render(
      "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = ns.l + ['x' * 10000 ~ i] %}{% endfor %}",
      Json::object(), options);
  ASSERT_FALSE(rendered);
  EXPECT_THAT(rendered.error().message, HasSubstr("max_live_bytes"));
}

TEST(Template, SurvivesAnyNesting) {
  constexpr size_t kMany = 100'000;
  for (const std::string& source : {
           "{{ " + Repeat("(", kMany) + "1" + Repeat(")", kMany) + " }}",
           "{{ " + Repeat("[", kMany) + Repeat("]", kMany) + " }}",
           "{{ " + Repeat("{1:", kMany) + "1" + Repeat("}", kMany) + " }}",
           "{{ " + Repeat("not ", kMany) + "1 }}",
           "{{ " + Repeat("-", kMany) + "1 }}",
           "{{ " + Repeat("1+", kMany) + "1 }}",
           "{{ " + Repeat("1 and ", kMany) + "1 }}",
           "{{ 1" + Repeat("|string", kMany) + " }}",
           "{{ a" + Repeat(".b", kMany) + " }}",
           "{{ a" + Repeat("()", kMany) + " }}",
           "{{ " + Repeat("1 if 1 else ", kMany) + "1 }}",
           Repeat("{% if 1 %}", kMany),
           Repeat("{% if 1 %}", kMany) + Repeat("{% endif %}", kMany),
           Repeat("{% for x in y %}", kMany),
       }) {
    const auto parsed = Template::Parse(source);
    ASSERT_FALSE(parsed) << source.substr(0, 60);
    EXPECT_EQ(parsed.error().code, ErrorCode::kResourceExhausted) << parsed.error().message;
  }
}

TEST(Template, RecursionEndsInAnError) {
  for (const char* source : {
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
           "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
           "{% macro m() %}{{ [1] | map('string') | join(m()) }}{% endmacro %}{{ m() }}",
           "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}",
       }) {
    const auto rendered = Render(source);
    ASSERT_FALSE(rendered) << source;
    EXPECT_EQ(rendered.error().code, ErrorCode::kResourceExhausted) << rendered.error().message;
  }
  EXPECT_EQ(Text("{% macro m(n) %}{{ n }}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(150) | length }}"),
            "343");
}

TEST(Template, ManyBlocksAreFine) {
  EXPECT_EQ(Text(Repeat("{{ x }}{% if x %}y{% endif %}", 50'000), {{"x", 1}}).size(), 100'000u);
  EXPECT_EQ(Text("{% if 0 %}" + Repeat("{% elif 0 %}{% set x = 1 %}", 20'000) + "{% else %}e{% endif %}"), "e");
}

TEST(Template, ObjectsMayOutliveWhatMadeThem) {
  // None of these may touch a frame that is gone, nor leak through a cycle (the sanitizer build looks).
  EXPECT_EQ(Text("{% set ns = namespace() %}{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}"
                 "{% set ns.m = m %}{% endfor %}{{ ns.m() is string }}"),
            "True");
  EXPECT_EQ(
      Text("{% set ns = namespace() %}{% for i in [1, 2] if i %}{% set ns.l = loop %}{% endfor %}{{ ns.l.last }}"),
      "True");
  EXPECT_THAT(
      Text("{% set ns = namespace() %}{% for i in [1] recursive %}{% set ns.l = loop %}{% endfor %}{{ ns.l([1]) }}"),
      StartsWith("ERROR"));
  EXPECT_EQ(Text("{% set ns = namespace() %}{% for i in [1, 2] %}{% set c = loop.changed([loop]) %}"
                 "{% set ns.l = loop %}{% endfor %}x"),
            "x");
  EXPECT_EQ(Text("{% set ns = namespace() %}{% set ns.me = ns %}{% macro m() %}{% endmacro %}{% set ns.m = m %}x"),
            "x");
}

TEST(Template, OneTemplateMayBeRenderedByManyThreads) {
  const auto parsed = Template::Parse("{% for x in xs %}{{ 'const' ~ x }}{% endfor %}");
  ASSERT_TRUE(parsed);
  std::vector<std::string> results(4);
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (size_t i = 0; i < results.size(); ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 200; ++round) {
          results[i] = parsed->Render({{"xs", {i, i + 1}}}).value_or("error");
        }
      });
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i], "const" + std::to_string(i) + "const" + std::to_string(i + 1));
  }
}

}  // namespace
}  // namespace kvasir::jinja
