// Compares with what PyPI jinja2 rendered: see tools/make_template_cases.py.

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "jinja/chat.h"
#include "jinja/request_text.h"
#include "jinja/template.h"

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

RenderOptions FixedClock() {
  RenderOptions options;
  options.now = CivilTime{2024, 7, 26, 13, 5, 9};
  return options;
}

/// Checks one case; the text of the template is `source`.
void Check(const Json& test_case, const std::string& source, const Result<std::string>& rendered) {
  SCOPED_TRACE(source.substr(0, 300));
  if (test_case.contains("out")) {
    ASSERT_TRUE(rendered) << rendered.error().message;
    EXPECT_EQ(*rendered, test_case["out"].get<std::string>());
  } else {
    ASSERT_FALSE(rendered) << "jinja2 raised " << test_case["error"] << ", we rendered:\n" << *rendered;
    EXPECT_TRUE(rendered.error().message.starts_with("template line ")) << rendered.error().message;
  }
}

Result<std::string> Render(const std::string& source, const Json& context) {
  auto parsed = Template::Parse(source);
  if (!parsed) return std::unexpected(parsed.error());
  return parsed->Render(context, FixedClock());
}

TEST(TemplateCases, SnippetsRenderAsJinja2RendersThem) {
  // As a request is read: its integers may have any length.
  const auto read = ParseRequestText(ReadFile(KVASIR_SOURCE_DIR "/tests/cases/template/snippets.json"));
  ASSERT_TRUE(read) << read.error().message;
  const Json& file = *read;
  setenv("TZ", "UTC0", 1);  // for %s
  tzset();
  for (const Json& test_case : file.at("cases")) {
    const auto source = test_case["template"].get<std::string>();
    Check(test_case, source, Render(source, file.at("contexts").at("")));
  }
}

TEST(TemplateCases, PublishedTemplatesRenderAsJinja2RendersThem) {
  if (!std::filesystem::exists(KVASIR_SHARED_DATA "/templates")) GTEST_SKIP() << "no shared data beside the checkout";
  const Json file = Json::parse(ReadFile(KVASIR_SOURCE_DIR "/tests/cases/template/published.json"));
  for (const Json& test_case : file["cases"]) {
    const auto name = test_case["file"].get<std::string>();
    SCOPED_TRACE(name + ", conversation: " + test_case["context"].get<std::string>());
    const std::string source = ReadFile(std::filesystem::path(KVASIR_SHARED_DATA "/templates") / name);
    Check(test_case, name, Render(source, file["contexts"][test_case["context"].get<std::string>()]));
  }
}

/// The same through ApplyChatTemplate, which must prepare the same variables.
TEST(TemplateCases, ApplyChatTemplatePreparesTheVariables) {
  if (!std::filesystem::exists(KVASIR_SHARED_DATA "/templates")) GTEST_SKIP() << "no shared data beside the checkout";
  const Json file = Json::parse(ReadFile(KVASIR_SOURCE_DIR "/tests/cases/template/published.json"));
  for (const Json& test_case : file["cases"]) {
    const auto name = test_case["file"].get<std::string>();
    SCOPED_TRACE(name + ", conversation: " + test_case["context"].get<std::string>());
    Json request = file["contexts"][test_case["context"].get<std::string>()];
    request.erase("bos_token");
    request.erase("eos_token");
    auto parsed = Template::Parse(ReadFile(std::filesystem::path(KVASIR_SHARED_DATA "/templates") / name));
    ASSERT_TRUE(parsed) << parsed.error().message;
    auto chat = ParseChatRequest(request);
    ASSERT_TRUE(chat) << chat.error().message;
    Check(test_case, name, ApplyChatTemplate(*parsed, *chat, "<s>", "</s>", FixedClock()));
  }
}

}  // namespace
}  // namespace kvasir::jinja
